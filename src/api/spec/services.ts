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
      .describe("Whether a TURN server runs beside the relay and clients are told of it. Needs UDP port 3478 open."),
    externalAddress: text({
      name: "externalAddress",
      pattern: ipv4Pattern,
      says: "an IPv4 address",
      // a name is told what is asked for, not that it is too long
      maxLength: 253,
    })
      .optional()
      .describe(
        "The IPv4 address under which the outside reaches the relay. Without it that of the load balancer, or the node's own; to be given where the node is behind a NAT or the load balancer has only a name.",
      ),
    firstRelayPort: z
      .int()
      .min(10_000)
      .max(lastPort)
      .default(49_152)
      .describe("The first of the UDP ports that calls pass through."),
    relayPorts: z
      .int()
      .min(4)
      .max(500)
      .default(40)
      .describe(
        "How many of them there are: one for each network that a caller's device is in. A tenth stays free, and one account has 12 of them at most. With LoadBalancer and HostPort all are opened.",
      ),
  }),
  {
    message: `firstRelayPort and relayPorts must not go beyond port ${lastPort}`,
    rule: `self.firstRelayPort + self.relayPorts - 1 <= ${lastPort}`,
    holds: (turn) => turn.firstRelayPort + turn.relayPorts - 1 <= lastPort,
    path: ["relayPorts"],
  },
).describe("TURN: carries calls between two devices that can't reach each other.");

export const Services = z
  .strictObject({
    push: z
      .strictObject({
        enabled: z
          .boolean()
          .default(true)
          .describe("Whether a delivered message wakes the devices that have asked for it."),
        url: httpsUrl("url")
          .default("https://notifications.delta.chat/notify")
          .describe("The push service. It is sent a device's token, encrypted for it, and nothing else."),
      })
      .prefault({})
      .describe("Push notifications."),
    turn: Turn.prefault({}),
    iroh: z
      .strictObject({
        url: httpsUrl("url")
          .optional()
          .describe(
            "An iroh relay that clients are told of, such as https://iroh.example.org. Without it they use their own.",
          ),
      })
      .prefault({})
      .describe("The iroh relay that helps apps in chats (webxdc) find a direct way between devices."),
    appVersionsConfigMapName: objectName("appVersionsConfigMapName")
      .optional()
      .describe(
        "A ConfigMap whose appversions.json tells apps of their newest versions. It may change at any time; one that can't be understood is not handed out.",
      ),
  })
  .describe("What the relay does beside mail.");
