/** What a relay does beside mail. */
import * as z from "zod";
import { withRules } from "../rules.ts";
import { httpsUrl, objectName } from "../schema.ts";

/** The highest port there is. */
const lastPort = 65_535;

const Turn = withRules(
  z.object({
    enabled: z
      .boolean()
      .default(false)
      .describe(
        "Whether the relay runs a TURN server and announces it to clients. UDP port 3478 must be open. Clients are given the first IPv4 address in network.addresses. Default: the address of the load balancer, or of the node.",
      ),
    firstRelayPort: z.int().min(10_000).max(lastPort).default(49_152).describe("First UDP port for calls."),
    relayPortCount: z
      .int()
      .min(4)
      .max(500)
      .default(40)
      .describe(
        "Number of UDP ports for calls. A device in a call uses one for each of its networks. A tenth is kept free, and one account can use 12 at most. With LoadBalancer and HostPort all of them are opened.",
      ),
  }),
  {
    message: `firstRelayPort and relayPortCount must not go beyond port ${lastPort}`,
    rule: `!has(self.firstRelayPort) || !has(self.relayPortCount) || self.firstRelayPort + self.relayPortCount - 1 <= ${lastPort}`,
    fields: ["relayPortCount", "firstRelayPort"],
    holds: (count, first) =>
      count === undefined || first === undefined || Number(first) + Number(count) - 1 <= lastPort,
  },
).describe("TURN server, for calls between devices that cannot reach each other directly.");

export const Services = z
  .object({
    push: z
      .object({
        enabled: z
          .boolean()
          .default(true)
          .describe("Whether delivered messages trigger push notifications to devices that requested them."),
        url: httpsUrl("url")
          .default("https://notifications.delta.chat/notify")
          .describe("URL of the push service. It receives only the token of a device, which is encrypted for it."),
      })
      .prefault({})
      .describe("Push notifications."),
    turn: Turn.prefault({}),
    iroh: z
      .object({
        url: httpsUrl("url")
          .optional()
          .describe(
            "URL of an iroh relay that is announced to clients, such as https://iroh.example.org. Default: clients use their own.",
          ),
      })
      .prefault({})
      .describe("The iroh relay that connects devices for realtime apps in chats (webxdc)."),
    appVersions: z
      .object({
        configMapName: objectName("configMapName")
          .optional()
          .describe(
            "A ConfigMap with the key appversions.json. Changes take effect at once; an invalid file is not served. Default: nothing is announced.",
          ),
      })
      .prefault({})
      .describe("Informs apps of their newest versions."),
  })
  .describe("Services in addition to mail.");
