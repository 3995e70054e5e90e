/**
 * A kind that does not exist, of groups that another kind has too: what is generated has to fit any
 * number of kinds.
 */
import { z } from "zod";
import { Condition } from "../../src/api/chatmail-server.ts";
import type { Kind } from "../../src/api/kinds.ts";
import { apiVersion } from "../../src/api/names.ts";
import { Network } from "../../src/api/spec/network.ts";
import { Storage } from "../../src/api/spec/storage.ts";

export const madeUpKind: Kind = {
  kind: "ChatmailHouse",
  plural: "chatmailhouses",
  singular: "chatmailhouse",
  shortNames: ["cmh"],
  description: "Several relays in one pod.",
  spec: z
    .object({ storage: Storage.prefault({}), network: Network.prefault({}) })
    .describe("What the house should be."),
  status: z
    .object({
      observedGeneration: z.int().min(-1).optional().describe("Of the spec."),
      conditions: z.array(Condition).max(32).optional().describe("How it is."),
    })
    .describe("What is true of it."),
  name: {
    rule: "self.metadata.name.size() <= 20",
    message: "a short name",
    says: "The name has at most 20 characters.",
  },
  columns: [{ name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" }],
  selectableFields: [],
  example: `apiVersion: ${apiVersion}\nkind: ChatmailHouse\nmetadata: { name: one }\nspec: {}\n`,
  about: "A house holds several relays.",
  hasPod: true,
  listsReasons: true,
};
