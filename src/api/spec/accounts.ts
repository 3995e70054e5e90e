/** Who can create an account, and limits of an account. */
import * as z from "zod";
import { notGreater, withRules } from "../rules.ts";
import { objectName, size } from "../schema.ts";

export const Accounts = withRules(
  z.object({
    registration: z
      .enum(["Open", "Invite", "Closed"])
      .default("Open")
      .describe(
        "Who can create an account. Open: everybody, by logging in. Invite: holders of an invite. Closed: nobody; existing accounts keep working.",
      ),
    invitesSecretName: objectName("invitesSecretName")
      .optional()
      .describe(
        "A Secret of which each key holds one invite: 8 to 128 letters, digits, - and _, or a link that ends in one. Removing a key revokes its invite. If not set, registration Invite creates the Secret NAME-invites with one invite.",
      ),
    usernameMinLength: z
      .int()
      .min(1)
      .max(64)
      .default(9)
      .describe(
        "Minimum length of the local part of a new address, in characters. Clients generate 9. If that is not allowed, or if their passwords are too short, the invite link requests an address from the relay.",
      ),
    usernameMaxLength: z
      .int()
      .min(1)
      .max(64)
      .default(9)
      .describe("Maximum length of the local part of a new address, in characters."),
    passwordMinLength: z
      .int()
      .min(8)
      .max(100)
      .default(9)
      .describe(
        "Minimum length of the password of a new address, in characters. Clients generate 50. The maximum is 128 bytes.",
      ),
    sendRatePerMinute: z
      .int()
      .min(1)
      .max(10_000)
      .default(60)
      .describe("Sustained sending rate of one address, in messages per minute."),
    sendBurst: z
      .int()
      .min(1)
      .max(10_000)
      .default(10)
      .describe("Messages that one address may send at once before sendRatePerMinute applies."),
    sendSizePerMinute: size({ name: "sendSizePerMinute", atLeast: "64Ki", atMost: "1Ti" })
      .default("10Mi")
      .describe("Sustained sending rate of one address in bytes per minute, regardless of the number of recipients."),
    sendSizeBurst: size({ name: "sendSizeBurst", atLeast: "1Mi", atMost: "1Ti" })
      .default("150Mi")
      .describe(
        "Bytes that one address may send at once before sendSizePerMinute applies. One message of messages.maxSize may always be sent.",
      ),
    createRatePerMinute: z
      .int()
      .min(1)
      .max(10_000)
      .default(120)
      .describe(
        "Sustained rate at which one client may create addresses, per minute; also requests to /new. A client is an IPv4 address or an IPv6 /64. Clients that a load balancer hides count as one.",
      ),
    createBurst: z
      .int()
      .min(1)
      .max(10_000)
      .default(300)
      .describe(
        "Addresses that one client may create at once before createRatePerMinute applies. A whole class or office may be one client.",
      ),
    mailboxQuota: size({ name: "mailboxQuota", atLeast: "10Mi", atMost: "1Ti" })
      .default("500Mi")
      .describe("Size limit of one mailbox, such as 500Mi."),
    deleteInactiveAfterDays: z
      .int()
      .min(1)
      .max(3650)
      .default(90)
      .describe("Days without a login after which an account and all its data are deleted."),
    refuseNew: z
      .object({
        loadPerCoreAbove: z
          .int()
          .min(1)
          .max(1_000)
          .default(10)
          .describe("One-minute load average of the node per core above which no addresses are created."),
        memoryBelow: size({ name: "memoryBelow", atLeast: "1Mi", atMost: "1Ti" })
          .default("200Mi")
          .describe(
            "Free memory below which no addresses are created, but at most an eighth of the container's memory limit.",
          ),
        diskBelow: size({ name: "diskBelow", atLeast: "1Mi", atMost: "1Ti" })
          .default("1Gi")
          .describe(
            "Free space on the volume below which no addresses are created, but at most an eighth of the volume.",
          ),
      })
      .prefault({})
      .describe("When no new addresses are created. Clients retry or use another relay."),
  }),
  notGreater("usernameMinLength", "usernameMaxLength"),
).describe("Who can create an account, and limits of an account.");
