/**
 * The ChatmailServer resource: one schema is the source of types, defaults, validation messages and
 * the CRD.
 */
import * as z from "zod";
import { isIPv6Literal } from "./domain.ts";
import { type JudgedRule, sizeNotGreater, withRules } from "./rules.ts";
import { objectName } from "./schema.ts";
import { Accounts } from "./spec/accounts.ts";
import { Backup } from "./spec/backup.ts";
import { Bootstrap } from "./spec/bootstrap.ts";
import { Certificate } from "./spec/certificate.ts";
import { Dkim } from "./spec/dkim.ts";
import { Dns } from "./spec/dns.ts";
import { Domain } from "./spec/domain.ts";
import { Image } from "./spec/image.ts";
import { Messages } from "./spec/messages.ts";
import { Network } from "./spec/network.ts";
import { Pod } from "./spec/pod.ts";
import { Privacy } from "./spec/privacy.ts";
import { Resources } from "./spec/resources.ts";
import { Scheduling } from "./spec/scheduling.ts";
import { Services } from "./spec/services.ts";
import { Storage } from "./spec/storage.ts";
import { UpdatePolicy } from "./spec/update-policy.ts";
import { Website } from "./spec/website.ts";
import type { StoredMetadata } from "./stored-metadata.ts";

/** What a fleet may say for its servers: all but what each has for itself. */
export const serverGroups = {
  management: z
    .enum(["Managed", "Paused", "Unmanaged"])
    .default("Managed")
    .describe(
      "Managed: the operator applies the spec. Paused: the pod, its volume and its Service are left as they are; keys, certificates and invites are still maintained, and health is reported. Unmanaged: the operator does nothing.",
    ),
  accounts: Accounts.prefault({}),
  messages: Messages.prefault({}),
  privacy: Privacy.prefault({}),
  website: Website.prefault({}),
  services: Services.prefault({}),
  dns: Dns.prefault({}),
  certificate: Certificate.prefault({}),
  dkim: Dkim.prefault({}),
  image: Image.prefault({}),
  updatePolicy: UpdatePolicy.prefault({}),
  storage: Storage.prefault({}),
  network: Network.prefault({}),
  resources: Resources.prefault({}),
  scheduling: Scheduling.prefault({}),
  pod: Pod.prefault({}),
  backup: Backup.prefault({}),
};

/** Rules over several groups, which hold for the defaults of a fleet, too. */
export const groupRules = [sizeNotGreater("messages.maxSize", "accounts.mailboxQuota")];

/** Of a TURN server clients read `HOST:PORT:…`, and the host up to the first colon. */
const turnNeedsName: JudgedRule = {
  message:
    "services.turn.enabled is not used when domain is an IPv6 address: Delta Chat can't be given a TURN server with one",
  fields: ["services.turn.enabled", "domain"],
  holds: (enabled, domain) => enabled !== true || !isIPv6Literal(String(domain)),
  unused: true,
};

export const ChatmailServerSpec = withRules(
  z.object({
    domain: Domain,
    fleetRef: z
      .object({ name: objectName("name").describe("Name of the ChatmailFleet.") })
      .optional()
      .describe(
        "The ChatmailFleet, in the same namespace, that has values for what this spec leaves out, and that decides when the relay is updated.",
      ),
    bootstrap: Bootstrap.optional(),
    ...serverGroups,
  }),
  ...groupRules,
  turnNeedsName,
).describe(
  "Desired state of the relay. Every field except domain may be left out: it then has the value of the fleet (fleetRef), of the operator's configuration (serverDefaults), or else the built-in value, which suits a public relay.",
);
/** With the value of each field that has a built-in one: what the operator goes by (resolve.ts). */
export type ChatmailServerSpec = z.output<typeof ChatmailServerSpec>;
/** As a person writes it. */
export type WrittenSpec = z.input<typeof ChatmailServerSpec>;

/** Of something counted. */
const count = z.int().min(0);

export const Condition = z.object({
  type: z.string().max(316).describe("Type of the condition, such as Ready or CertificateReady."),
  status: z.enum(["True", "False", "Unknown"]).describe("True, False or Unknown."),
  reason: z.string().max(1024).describe("Reason in one word; docs/reference lists all reasons."),
  message: z.string().max(32_768).describe("Details, and what to do if something is missing."),
  lastTransitionTime: z.iso.datetime().describe("When status last changed; of Reconciling, when its reason did."),
  observedGeneration: z.int().min(0).optional().describe("Generation of the spec that the condition refers to."),
});
export type Condition = z.infer<typeof Condition>;

export const ChatmailServerStatus = z
  .object({
    observedGeneration: z
      .int()
      .min(-1)
      .optional()
      .describe("Generation of the spec that this status refers to. -1: the operator has not seen the resource yet."),
    conditions: z
      .array(Condition)
      .max(32)
      .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"] })
      .optional()
      .describe("Ready, Reconciling and Stalled, and one for each aspect."),
    relay: z
      .object({
        version: z.string().max(128).optional().describe("Version of the relay that runs: the tag of its image."),
        image: z.string().max(512).optional().describe("Image that runs."),
        revision: z
          .string()
          .max(16)
          .optional()
          .describe("Revision of the pod that was ready last: its image and template."),
        previousRevision: z.string().max(16).optional().describe("The revision before it."),
        failedRevision: z
          .string()
          .max(16)
          .optional()
          .describe(
            "Revision that did not become ready. It is not tried again until chatmail.dev/retry-update is set.",
          ),
        target: z
          .string()
          .max(16)
          .optional()
          .describe("Revision that the spec and the operator's version ask for, while it is another one."),
        targetImage: z.string().max(512).optional().describe("Image of the target, while it is another one."),
        node: z.string().max(253).optional().describe("Node that the pod is on."),
      })
      .optional()
      .describe("The relay pod."),
    addresses: z
      .array(
        z.object({
          type: z.enum(["IPAddress", "Hostname"]).describe("Kind of address."),
          value: z.string().max(253).describe("The address."),
          from: z.enum(["Spec", "Service", "Node"]).describe("Where the operator has it from."),
        }),
      )
      .max(16)
      .meta({ "x-kubernetes-list-type": "atomic" })
      .optional()
      .describe("Addresses at which the relay is reached."),
    invite: z
      .object({
        link: z
          .string()
          .max(512)
          .optional()
          .describe("Link with which Delta Chat creates an account here; the QR code on the page contains it."),
        page: z.string().max(512).optional().describe("Web page with the link and the QR code."),
        secretName: z
          .string()
          .max(253)
          .optional()
          .describe(
            "Secret that holds the invites, if registration requires one. Invites are not shown here, because reading the status does not entitle to an invite.",
          ),
      })
      .optional()
      .describe("How people join the relay."),
    certificate: z
      .object({
        source: z.string().max(64).optional().describe("Source of the certificate."),
        secretName: z.string().max(253).optional().describe("Secret that the relay pod mounts."),
        notAfter: z.iso.datetime().optional().describe("When the certificate expires."),
        sha256: z.string().max(128).optional().describe("SHA-256 of the certificate, hexadecimal."),
        renewalTime: z.iso.datetime().optional().describe("When the operator orders the next one, if it does."),
        acme: z
          .object({
            accountURI: z.string().max(512).optional().describe("The account, as CAA records name it."),
            lastError: z.string().max(2048).optional().describe("Why nothing was issued the last time."),
            retryTime: z.iso.datetime().optional().describe("When it is tried again."),
          })
          .optional()
          .describe("The order, if the operator orders the certificate itself."),
        served: z
          .array(
            z.object({
              port: z.int().min(1).max(65_535).describe("Port of the relay."),
              state: z
                .enum(["Current", "Outdated", "Unreachable"])
                .describe(
                  "Current: the port presents this certificate, to clients that name the domain in TLS and to those that name none. Outdated: it presents another one. Unreachable: it does not answer with TLS.",
                ),
              notAfter: z.iso.datetime().optional().describe("When the certificate that it presents expires."),
            }),
          )
          .max(16)
          .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port"] })
          .optional()
          .describe("What the ports of the running pod present."),
      })
      .optional()
      .describe("The certificate that the relay uses."),
    dkim: z
      .object({
        signing: z
          .array(z.string().max(63))
          .max(16)
          .meta({ "x-kubernetes-list-type": "atomic" })
          .optional()
          .describe("Selectors that mail is signed with, as the relay pod says; without a pod, that it is to be."),
        nextRotationTime: z.iso.datetime().optional().describe("When a new key is created next."),
        message: z.string().max(1024).optional().describe("What a rotation waits for."),
        keys: z
          .array(
            z.object({
              selector: z.string().max(63).describe("Selector of the key."),
              algorithm: z.enum(["RSA", "Ed25519"]).describe("Algorithm of the key."),
              state: z
                .enum(["Pending", "Publishing", "Published", "Active", "Retiring"])
                .optional()
                .describe(
                  "Pending: nobody verifies its record. Publishing: its record is not yet at every name server. Published: it is, and the key signs after two TTLs. Active: mail is signed with it. Retiring: mail was signed with it; its record stays for a while.",
                ),
              since: z.iso.datetime().optional().describe("When state last changed."),
              fingerprint: z.string().max(64).optional().describe("SHA-256 of the public key, hexadecimal."),
              record: z
                .object({
                  name: z.string().max(320).describe("Name of the record."),
                  value: z.string().max(2048).describe("Value of the record, as in a zone file."),
                })
                .optional()
                .describe("The TXT record to publish."),
            }),
          )
          .max(16)
          .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["selector"] })
          .optional()
          .describe("The keys. With another key in place of the required one, the operator does not go on."),
      })
      .optional()
      .describe("Keys with which the relay signs mail. Other relays reject its mail until the records are published."),
    dns: z
      .object({
        records: z
          .array(
            z.object({
              name: z.string().max(320).describe("Name of the record, with the dot at the end."),
              type: z.string().max(16).describe("Type of the record, such as MX."),
              values: z
                .array(z.string().max(2048))
                .max(16)
                .meta({ "x-kubernetes-list-type": "atomic" })
                .describe("All values of this name and type, as in a zone file."),
              need: z
                .enum(["Required", "Recommended"])
                .describe("Required: mail fails without the record. Recommended: it helps."),
              state: z
                .enum(["Published", "Missing", "Different", "NotOurs", "Unknown"])
                .optional()
                .describe(
                  "Published: every name server that answers has it. Missing, Different: at least one has none, or another one. NotOurs: a record that the operator did not write is in the way. Unknown: no name server answers.",
                ),
              seen: z
                .array(z.string().max(2048))
                .max(16)
                .meta({ "x-kubernetes-list-type": "atomic" })
                .optional()
                .describe("What stands there instead."),
              at: z
                .array(z.string().max(253))
                .max(16)
                .meta({ "x-kubernetes-list-type": "atomic" })
                .optional()
                .describe("Name servers at which it is not as it has to be."),
              since: z.iso.datetime().optional().describe("When state last changed."),
            }),
          )
          .max(64)
          .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "type"] })
          .optional()
          .describe("DNS records that the domain needs. Publish them in its zone."),
        zone: z.string().max(253).optional().describe("The zone that has the domain, as its name servers say."),
        nameServers: z
          .array(z.string().max(253))
          .max(16)
          .meta({ "x-kubernetes-list-type": "atomic" })
          .optional()
          .describe("Name servers of the zone, as it is delegated."),
        dnssec: z
          .enum(["Secure", "Signed", "Insecure", "Bogus", "Unknown"])
          .optional()
          .describe(
            "Whether the zone is signed. Secure, Bogus: the resolvers in network.dnssecResolvers have validated it, or refuse it. Signed: the zone above vouches for its keys. Insecure: it is not signed.",
          ),
        required: z
          .string()
          .max(16)
          .optional()
          .describe("How many of the required records are published, such as 6/6."),
        recommended: z.string().max(16).optional().describe("The same of the recommended ones."),
        reverse: z
          .array(
            z.object({
              address: z.string().max(45).describe("Address of the relay."),
              want: z.string().max(320).describe("Its reverse name as it should be."),
              seen: z.string().max(320).optional().describe("Its reverse name as it is."),
              state: z
                .enum(["Published", "Missing", "Different", "Unknown"])
                .describe("Whether the two are the same. Chatmail relays don't need it; classic providers may."),
            }),
          )
          .max(16)
          .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["address"] })
          .optional()
          .describe("Reverse names of the addresses. Whoever provides an address sets its name."),
        configMapName: z
          .string()
          .max(253)
          .optional()
          .describe(
            "ConfigMap with the records as text. records.zone: for a zone file. records.txt: to copy into a form.",
          ),
      })
      .optional()
      .describe("DNS of the domain."),
    storage: z
      .object({
        claimName: z.string().max(253).optional().describe("Claim of the volume."),
        claimUID: z.string().max(64).optional().describe("UID of the claim. With another one, the relay does not run."),
        volumeName: z.string().max(253).optional().describe("The PersistentVolume that the claim is bound to."),
        requested: z.string().max(32).optional().describe("Size that the claim requests."),
        capacity: z.string().max(32).optional().describe("Size of the volume. It is smaller while the volume grows."),
      })
      .optional()
      .describe("The volume for mailboxes and the queue."),
    acceptedDataLoss: z
      .string()
      .max(63)
      .optional()
      .describe("Value of the annotation chatmail.dev/accept-data-loss that has taken effect."),
    accounts: count
      .optional()
      .describe("Accounts of the domain. Told again when the number has changed by more than a twentieth."),
    lastExpiry: z
      .object({
        completionTime: z.iso.datetime().optional().describe("When the last expiry job succeeded."),
        accounts: count.optional().describe("Accounts after the last run whose figures are known."),
        accountsActive: count.optional().describe("How many of them had logged in within 30 days."),
        accountsRemoved: count.optional().describe("Accounts that the run removed."),
        messages: count.optional().describe("Messages after the run."),
        messagesRemoved: count.optional().describe("Messages that the run removed."),
        bytes: count.optional().describe("Size of the messages after the run, uncompressed."),
        bytesRemoved: count.optional().describe("Size of the messages that the run removed."),
      })
      .optional()
      .describe("The last daily expiry run."),
    backup: z
      .object({
        lastSuccessTime: z.iso.datetime().optional().describe("When a backup was last made and verified."),
        name: z.string().max(512).optional().describe("Name of the last backup whose figures are known."),
        bytes: count.optional().describe("Its size, encrypted."),
        accounts: count.optional().describe("Accounts in it."),
        messages: count.optional().describe("Messages in it."),
        drill: z
          .object({
            lastSuccessTime: z.iso.datetime().optional().describe("When a backup was last read and decrypted."),
            name: z.string().max(512).optional().describe("Name of that backup."),
            backupTime: z.iso.datetime().optional().describe("When that backup was begun."),
            accounts: count.optional().describe("Accounts in it."),
          })
          .optional()
          .describe("The last drill, if the spec asks for drills."),
      })
      .optional()
      .describe("The last backup."),
  })
  .describe("Observed state of the relay, and what is missing.");
export type ChatmailServerStatus = z.infer<typeof ChatmailServerStatus>;

interface ServerOf<Spec> {
  apiVersion: string;
  kind: string;
  metadata: StoredMetadata;
  spec: Spec;
  status?: ChatmailServerStatus;
}

/** A ChatmailServer as the API server hands it out. */
export type WrittenServer = ServerOf<WrittenSpec>;

/** The same with its spec resolved. */
export type ChatmailServer = ServerOf<ChatmailServerSpec>;
