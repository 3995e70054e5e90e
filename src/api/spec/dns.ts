/** The records of the domain. */
import * as z from "zod";
import { neededWhen, onlyWhen, withRules } from "../rules.ts";
import { entries, objectName, text } from "../schema.ts";

const label = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?";
const host = "([A-Za-z0-9_.-]+|\\[[0-9A-Fa-f:.]+\\])";

const Tsig = z
  .object({
    keyName: text({
      name: "keyName",
      pattern: `^${label}([.]${label})*[.]?$`,
      says: "the name of a key, such as chatmail or chatmail.example.org",
      maxLength: 253,
    }).describe("Name of the key, as the name server knows it."),
    algorithm: z
      .enum(["HMACSHA256", "HMACSHA384", "HMACSHA512"])
      .default("HMACSHA256")
      .describe("Algorithm of the key."),
    secretRef: z
      .object({
        name: objectName("name").describe("Name of the Secret, in the namespace of the ChatmailServer."),
        key: z
          .string()
          .min(1)
          .max(253)
          .regex(/^[-._a-zA-Z0-9]+$/)
          .default("secret")
          .describe("Key in the Secret that holds the TSIG secret in base64, as tsig-keygen prints it."),
      })
      .describe("The secret of the key."),
  })
  .describe("The key by which updates are signed (TSIG, RFC 8945).");

const Rfc2136 = z
  .object({
    servers: z
      .array(
        text({
          name: "servers",
          pattern: `^${host}(:(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5]?[0-9]{1,4}))?$`,
          says: "addresses or host names of name servers, such as 192.0.2.53, [2001:db8::53]:5353 or ns1.example.org",
          maxLength: 260,
        }),
      )
      .min(1)
      .max(4)
      .meta({ "x-kubernetes-list-type": "atomic" })
      .describe("Primary name servers of the zone. The first that answers is used."),
    zone: text({
      name: "zone",
      pattern: `^${label}([.]${label})*$`,
      says: "the name of a zone such as example.org",
      maxLength: 253,
    })
      .optional()
      .describe("The zone to update. Default: the one that the name server has for the domain."),
    tsig: Tsig,
  })
  .describe("How the zone is updated.");

export const Dns = withRules(
  z.object({
    mode: z
      .enum(["Manual", "RFC2136", "ExternalDNS", "None"])
      .default("Manual")
      .describe(
        "Who publishes the records. Manual: you do, and the operator verifies them. RFC2136: the operator updates the zone. ExternalDNS: external-dns does, by a DNSEndpoint that the operator keeps. None: nobody verifies them.",
      ),
    records: z
      .enum(["Required", "Recommended"])
      .default("Recommended")
      .describe("Which records RFC2136 and ExternalDNS publish. Required: only those. Recommended: these, too."),
    ttlSeconds: z
      .int()
      .min(30)
      .max(86_400)
      .default(300)
      .describe("Time in seconds for which resolvers may keep the records."),
    rfc2136: Rfc2136.optional(),
    externalDNS: z
      .object({
        labels: entries({ atMost: 16, valueMaxLength: 63 })
          .optional()
          .describe("Labels of the DNSEndpoint, for --label-filter. The operator's own labels go before them."),
        annotations: entries({ atMost: 50, valueMaxLength: 1024 })
          .optional()
          .describe("Annotations of the DNSEndpoint, for --annotation-filter."),
      })
      .optional()
      .describe("The DNSEndpoint that external-dns reads. It can't carry CAA and TLSA records."),
    onDelete: z
      .enum(["Remove", "Keep"])
      .default("Remove")
      .describe(
        "What becomes of the records that were published when the server is deleted. Remove: with RFC2136 the MX record first, the others when its TTL is over; with ExternalDNS the DNSEndpoint is deleted. Keep: they stay.",
      ),
  }),
  neededWhen("rfc2136", "mode", "RFC2136"),
  onlyWhen("rfc2136", "mode", "RFC2136", "Manual"),
  onlyWhen("externalDNS", "mode", "ExternalDNS", "Manual"),
).describe("The DNS records of the domain.");
export type Dns = z.output<typeof Dns>;
