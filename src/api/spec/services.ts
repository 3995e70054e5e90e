/** What a relay does beside mail. */
import { z } from "zod";
import { withRules } from "../rules.ts";
import { httpsUrl, objectName, text } from "../schema.ts";
import { ipv4Pattern } from "./domain.ts";

/** The highest port there is. */
const lastPort = 65_535;

const Turn = withRules(
  z.strictObject({
    enabled: z
      .boolean()
      .default(false)
      .describe("Whether the relay runs a TURN server and announces it to clients. UDP port 3478 must be open."),
    externalAddress: text({
      name: "externalAddress",
      pattern: ipv4Pattern,
      says: "an IPv4 address",
      // a name is told what is asked for, not that it is too long
      maxLength: 253,
    })
      .optional()
      .describe(
        "Public IPv4 address of the relay. Default: the address of the load balancer, or of the node. Required if the node is behind a NAT or the load balancer has only a host name.",
      ),
    firstRelayPort: z.int().min(10_000).max(lastPort).default(49_152).describe("First UDP port for calls."),
    relayPorts: z
      .int()
      .min(4)
      .max(500)
      .default(40)
      .describe(
        "Number of UDP ports for calls. A device in a call uses one for each of its networks. A tenth is kept free, and one account can use 12 at most. With LoadBalancer and HostPort all of them are opened.",
      ),
  }),
  {
    message: `firstRelayPort and relayPorts must not go beyond port ${lastPort}`,
    rule: `self.firstRelayPort + self.relayPorts - 1 <= ${lastPort}`,
    holds: (turn) => turn.firstRelayPort + turn.relayPorts - 1 <= lastPort,
    path: ["relayPorts"],
  },
).describe("TURN server, for calls between devices that cannot reach each other directly.");

export const Services = z
  .strictObject({
    push: z
      .strictObject({
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
      .strictObject({
        url: httpsUrl("url")
          .optional()
          .describe(
            "URL of an iroh relay that is announced to clients, such as https://iroh.example.org. Default: clients use their own.",
          ),
      })
      .prefault({})
      .describe("The iroh relay that connects devices for realtime apps in chats (webxdc)."),
    appVersionsConfigMapName: objectName("appVersionsConfigMapName")
      .optional()
      .describe(
        "A ConfigMap with the key appversions.json, which informs apps of their newest versions. Changes take effect at once; an invalid file is not served.",
      ),
  })
  .describe("Services in addition to mail.");
