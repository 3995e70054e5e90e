/** Where mailboxes and the queue are kept. */
import * as z from "zod";
import { smallerSize, withRules } from "../rules.ts";
import { entries, objectName, size } from "../schema.ts";

const ReclaimPolicy = z.enum(["Retain", "RetainIdentity", "Delete"]);
export type ReclaimPolicy = z.infer<typeof ReclaimPolicy>;

export const Storage = withRules(
  z.object({
    size: size({ name: "size", atLeast: "100Mi", atMost: "100Ti" })
      .default("10Gi")
      .describe(
        "Size of the volume for mailboxes and the queue. A volume that exists becomes larger, and smaller only by kubectl chatmail move-volume NAME.",
      ),
    reservedForMailboxes: size({ name: "reservedForMailboxes", atLeast: "1Mi", atMost: "100Ti" })
      .optional()
      .describe(
        "Free space on the volume below which no mail is accepted (452), so that a full queue leaves space for mailboxes. Default: a tenth of size.",
      ),
    storageClassName: objectName("storageClassName")
      .optional()
      .describe(
        "StorageClass of the volume. Default: the cluster's. A volume that exists keeps its class until it is moved by kubectl chatmail move-volume NAME.",
      ),
    annotations: entries({ atMost: 50, valueMaxLength: 1024 })
      .optional()
      .describe(
        "Annotations of the volume claim, for example for a backup tool. The operator's own annotations go before them.",
      ),
    reclaimPolicy: ReclaimPolicy.default("Retain").describe(
      "What happens to mailboxes and keys when the ChatmailServer is deleted. Retain: the volume claim and the Secrets are kept as they are. RetainIdentity: they are kept, and all mail on the volume is deleted; a server of the same name and domain has the accounts, passwords and keys again. Delete: all is deleted. Before mail is deleted, the queue is sent, for five minutes at most.",
    ),
  }),
  smallerSize(
    "reservedForMailboxes",
    "size",
    "reservedForMailboxes must be smaller than size, or no mail is ever accepted",
  ),
).describe("Where mailboxes and the queue are kept.");
