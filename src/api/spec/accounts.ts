/** Who gets an address and what one address may use. */
import { z } from "zod";
import { notGreater, withRules } from "../rules.ts";
import { objectName, size } from "../schema.ts";

export const Accounts = withRules(
  z.strictObject({
    registration: z
      .enum(["Open", "Invite", "Closed"])
      .default("Open")
      .describe(
        "Who gets an address: Open, whoever logs in first with it; Invite, holders of an invite; Closed, nobody new.",
      ),
    invitesSecretName: objectName("invitesSecretName")
      .optional()
      .describe(
        "A Secret with an invite under each key: a text of 8 to 128 letters, digits, - and _, or a link that ends in one. Taking a key away takes its invite back. Without it, registration Invite makes the Secret NAME-invites, with one.",
      ),
    usernameMinLength: z
      .int()
      .min(1)
      .max(64)
      .default(9)
      .describe(
        "Shortest local part of a new address, in characters. Clients make up 9; where that is not allowed, or their passwords are too short, the invite asks the relay for an address.",
      ),
    usernameMaxLength: z
      .int()
      .min(1)
      .max(64)
      .default(9)
      .describe("Longest local part of a new address, in characters."),
    passwordMinLength: z
      .int()
      .min(8)
      .max(100)
      .default(9)
      .describe("Shortest password of a new address, in characters. Clients make up 50. The longest has 128 bytes."),
    sendRatePerMinute: z
      .int()
      .min(1)
      .max(10_000)
      .default(60)
      .describe("Messages one address may send in a minute, sustained."),
    sendBurst: z
      .int()
      .min(1)
      .max(10_000)
      .default(10)
      .describe("Messages one address may send at once before the rate counts."),
    sendSizePerMinute: size({ name: "sendSizePerMinute", atLeast: "64Ki", atMost: "1Ti" })
      .default("10Mi")
      .describe("Mail in bytes that one address may send in a minute, sustained, whatever the number of recipients."),
    sendSizeBurst: size({ name: "sendSizeBurst", atLeast: "1Mi", atMost: "1Ti" })
      .default("150Mi")
      .describe(
        "Mail in bytes that one address may send at once before sendSizePerMinute counts. Where it is smaller than messages.maxSize, one such mail may be sent.",
      ),
    createRatePerMinute: z
      .int()
      .min(1)
      .max(10_000)
      .default(120)
      .describe(
        "New addresses one client may make in a minute, sustained; requests to /new likewise. A client is an IPv4 address or an IPv6 /64. Where a load balancer hides its clients, they count together.",
      ),
    createBurst: z
      .int()
      .min(1)
      .max(10_000)
      .default(300)
      .describe(
        "New addresses one client may make at once before the rate counts. A whole class or office may be one client.",
      ),
    mailboxQuota: size({ name: "mailboxQuota", atLeast: "10Mi", atMost: "1Ti" })
      .default("500Mi")
      .describe("What one mailbox may hold, such as 500Mi."),
    imapConnections: z
      .int()
      .min(10)
      .max(100_000)
      .default(10_000)
      .describe("IMAP sessions at the same time that are not asleep."),
    smtpConnections: z
      .int()
      .min(10)
      .max(10_000)
      .default(1_000)
      .describe(
        "Submission sessions at the same time, on each of the ports 465 and 587; one client (an IPv4 address, or the /64 of an IPv6 one) may have a third of them.",
      ),
    refuseNewAbove: z
      .strictObject({
        loadPerCore: z
          .int()
          .min(1)
          .max(1_000)
          .default(10)
          .describe("One-minute load average of the node, for each of its cores, above which no address is made."),
      })
      .prefault({})
      .describe("When no new address is made: clients try again or go to another relay."),
    refuseNewBelow: z
      .strictObject({
        memory: size({ name: "memory", atLeast: "1Mi", atMost: "1Ti" })
          .default("200Mi")
          .describe(
            "Free memory below which no address is made. An eighth of the container's memory limit, where that is less.",
          ),
        disk: size({ name: "disk", atLeast: "1Mi", atMost: "1Ti" })
          .default("1Gi")
          .describe(
            "Free room on the volume below which no address is made. An eighth of the volume, where that is less.",
          ),
      })
      .prefault({})
      .describe("When no new address is made: clients try again or go to another relay."),
  }),
  notGreater("usernameMinLength", "usernameMaxLength"),
).describe("Who gets an address and what one address may use.");
