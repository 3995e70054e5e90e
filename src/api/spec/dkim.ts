/** The keys that mail is signed with. */
import * as z from "zod";
import { cel, text } from "../schema.ts";

const rsaNeeded = "algorithms must contain RSA2048: many servers verify no other";

export const Dkim = z
  .object({
    algorithms: z
      .array(z.enum(["RSA2048", "Ed25519"]))
      .min(1)
      .max(2)
      .refine((list) => list.includes("RSA2048"), { message: rsaNeeded })
      .meta({
        ...cel({ rule: "self.exists(each, each == 'RSA2048')", message: rsaNeeded }),
        "x-kubernetes-list-type": "set",
      })
      .default(["RSA2048"])
      .describe("Algorithms of the keys. Each mail is signed with a key of each. One that is added starts a rotation."),
    selectorPrefix: text({
      name: "selectorPrefix",
      pattern: "^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$",
      says: "lower-case letters, digits and -, such as chatmail",
      maxLength: 32,
    })
      .default("chatmail")
      .describe(
        "How the selectors of new keys begin. The first key has it as its selector; a later one has the date of its creation after it, such as chatmail-20261129.",
      ),
    rotation: z
      .object({
        everyDays: z
          .int()
          .min(1)
          .max(3_650)
          .optional()
          .describe("Days after which a new key takes the place of the one that signs. Default: never."),
        keepOldDays: z
          .int()
          .min(3)
          .max(90)
          .default(7)
          .describe(
            "Days for which the record of the key before stays published, so that mail on its way can be verified.",
          ),
      })
      .prefault({})
      .describe("When keys are replaced. The annotation chatmail.dev/rotate-dkim replaces them at any time."),
  })
  .describe("The keys that mail is signed with (DKIM).");
export type Dkim = z.output<typeof Dkim>;
