/** The ChatmailServer resource: one schema is the source of types, defaults, validation messages and the CRD. */
import { z } from "zod";
import { sizeNotGreater, withRules } from "./rules.ts";
import { text } from "./schema.ts";
import { Accounts } from "./spec/accounts.ts";
import { Certificate } from "./spec/certificate.ts";
import { Domain } from "./spec/domain.ts";
import { Messages } from "./spec/messages.ts";
import { Network } from "./spec/network.ts";
import { Privacy } from "./spec/privacy.ts";
import { Resources } from "./spec/resources.ts";
import { Scheduling } from "./spec/scheduling.ts";
import { Services } from "./spec/services.ts";
import { Storage } from "./spec/storage.ts";
import { Website } from "./spec/website.ts";

export const ChatmailServerSpec = withRules(
  z.strictObject({
    domain: Domain,
    management: z
      .enum(["Managed", "Paused", "Unmanaged"])
      .default("Managed")
      .describe(
        "Managed: the operator carries out the spec. Paused: spec changes wait, health is still reported. Unmanaged: hands off.",
      ),
    accounts: Accounts.prefault({}),
    messages: Messages.prefault({}),
    privacy: Privacy.prefault({}),
    website: Website.prefault({}),
    services: Services.prefault({}),
    storage: Storage.prefault({}),
    certificate: Certificate.prefault({}),
    network: Network.prefault({}),
    resources: Resources.prefault({}),
    scheduling: Scheduling.prefault({}),
    image: text({
      name: "image",
      pattern: "^[^ \\t\\r\\n]+$",
      says: "an image reference without spaces",
      maxLength: 512,
    })
      .optional()
      .describe("Relay image to run instead of the one that belongs to the operator's version."),
  }),
  sizeNotGreater(["messages", "maxSize"], ["accounts", "mailboxQuota"]),
).describe("What the relay should be. Every field but domain has a default that suits a public relay.");
export type ChatmailServerSpec = z.infer<typeof ChatmailServerSpec>;

export const Condition = z.object({
  type: z.string().max(316).describe("What is judged, such as Ready or CertificateReady."),
  status: z.enum(["True", "False", "Unknown"]).describe("Whether it is so."),
  reason: z.string().max(1024).describe("One word for why; docs/reference lists them."),
  message: z.string().max(32_768).describe("What is so, and what to do where something is missing."),
  lastTransitionTime: z.iso.datetime().describe("When status last changed."),
  observedGeneration: z.int().min(0).optional().describe("The generation of the spec that was judged."),
});
export type Condition = z.infer<typeof Condition>;

export const ChatmailServerStatus = z
  .object({
    observedGeneration: z.int().min(0).optional().describe("The generation of the spec that this status speaks of."),
    conditions: z
      .array(Condition)
      .max(32)
      .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"] })
      .optional()
      .describe("Ready, Reconciling and Stalled, and one for each concern."),
    addresses: z
      .array(z.string().max(253))
      .max(16)
      .optional()
      .describe("Where the relay is reached: IP addresses or host names."),
    invite: z
      .object({
        link: z
          .string()
          .max(512)
          .optional()
          .describe("The link that makes Delta Chat get an address here; also what the QR code on the page says."),
        page: z.string().max(512).optional().describe("The page with the link and the QR code."),
        secretName: z
          .string()
          .max(253)
          .optional()
          .describe(
            "The Secret of invites, where registration asks for one. Invites are not shown here: whoever may read this may not have one.",
          ),
      })
      .optional()
      .describe("How people join."),
    certificate: z
      .object({
        source: z.string().max(64).optional().describe("Where the certificate came from."),
        notAfter: z.iso.datetime().optional().describe("When it ends."),
        sha256: z.string().max(128).optional().describe("SHA-256 of the certificate, hexadecimal."),
      })
      .optional()
      .describe("The certificate that the pod is given."),
    dkim: z
      .object({
        selector: z.string().max(63).optional().describe("The selector of the relay's key."),
        record: z
          .object({
            name: z.string().max(320).optional().describe("Its name."),
            value: z.string().max(2048).optional().describe("Its value, as it stands in a zone file."),
          })
          .optional()
          .describe("The TXT record to publish."),
      })
      .optional()
      .describe("The key that the relay signs its mail with. Other relays refuse mail until the record is published."),
    dns: z
      .array(
        z.object({
          name: z.string().max(320).describe("Its name, with the dot at the end."),
          type: z.string().max(16).describe("Such as MX."),
          value: z.string().max(2048).describe("As it stands in a zone file."),
          required: z.boolean().describe("Whether mail fails without it."),
        }),
      )
      .max(40)
      .meta({ "x-kubernetes-list-type": "atomic" })
      .optional()
      .describe("The DNS records that the domain needs, to be published by whoever looks after its zone."),
    lastExpiry: z
      .object({
        finishedAt: z.iso.datetime().optional().describe("When the last expiry job ended well."),
      })
      .optional()
      .describe("The last daily clean-up."),
  })
  .describe("What is true of the relay and what is missing.");
export type ChatmailServerStatus = z.infer<typeof ChatmailServerStatus>;

/** A ChatmailServer as the API server hands it out: defaults filled in. */
export interface ChatmailServer {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace: string;
    uid: string;
    generation: number;
    resourceVersion?: string;
    creationTimestamp?: string;
    deletionTimestamp?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  spec: ChatmailServerSpec;
  status?: ChatmailServerStatus;
}
