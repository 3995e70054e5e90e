/** In which order the servers of a fleet are updated, and when that stops. */
import * as z from "zod";
import { atMostOneOf, onlyLastWithout, withRules } from "../rules.ts";
import { entries, text } from "../schema.ts";

const percentage = "^(100|[1-9][0-9]?)%$";

/** The rest of the fleet has no name of its own in the status. */
const chosenBy = ["selector", "share", "count"] as const;

const Wave = withRules(
  z.object({
    name: text({
      name: "name",
      pattern: "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
      says: "lower-case letters, digits and -",
      maxLength: 63,
    }).describe("Name of the wave, for the status."),
    selector: z
      .object({
        matchLabels: entries({ atMost: 16, valueMaxLength: 63 })
          .optional()
          .describe("Labels that the ChatmailServer has."),
        matchExpressions: z
          .array(
            z.object({
              key: z.string().min(1).max(317).describe("Key of the label."),
              operator: z
                .enum(["In", "NotIn", "Exists", "DoesNotExist"])
                .describe("How the label compares to the values."),
              values: z
                .array(z.string().max(63))
                .max(64)
                .meta({ "x-kubernetes-list-type": "atomic" })
                .optional()
                .describe("Values for In and NotIn."),
            }),
          )
          .max(16)
          .meta({ "x-kubernetes-list-type": "atomic" })
          .optional()
          .describe("Requirements that the labels of the ChatmailServer meet."),
      })
      .optional()
      .describe("The wave is the servers with these labels, of those that no earlier wave has."),
    share: text({
      name: "share",
      pattern: percentage,
      says: "a share of the fleet such as 10%",
      maxLength: 4,
    })
      .optional()
      .describe("The wave is this share of the fleet, of the servers that no earlier wave has; at least one."),
    count: z.int().min(1).max(10_000).optional().describe("The wave is this many servers that no earlier wave has."),
    maxUnavailable: z
      .union([z.int().min(1).max(10_000), z.string().regex(new RegExp(percentage, "u")).max(4)])
      .meta({ "x-kubernetes-int-or-string": true })
      .default(1)
      .describe(
        "How many servers may be unavailable by their update at once, which they are until their soak time is over: a number, or a share of the wave such as 5%, rounded down, at least one.",
      ),
    soakSeconds: z
      .int()
      .min(0)
      .max(604_800)
      .default(0)
      .describe("How long an updated server has to pass the gate before it counts as available."),
  }),
  atMostOneOf(chosenBy, "a wave has at most one of selector, share and count"),
);

export const Rollout = withRules(
  z.object({
    version: text({
      name: "version",
      pattern: "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$",
      says: "a version such as 1.4.0",
      maxLength: 128,
    })
      .optional()
      .describe(
        "Version of the relay: the tag of the operator's relay image. A server whose own spec names an image has that one. Default: the image of the operator's version.",
      ),
    waves: z
      .array(Wave)
      .max(16)
      .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"] })
      .optional()
      .describe(
        "One after the other; the next one begins when all servers of the one before are updated. Servers that are in no wave come last, one at a time. Default: the waves of the operator's configuration.",
      ),
    gate: z
      .enum(["Ready", "Deliverable"])
      .default("Deliverable")
      .describe(
        "What an updated server has to be throughout its soak time. Deliverable: messages between two addresses of the relay arrive, too, where that is probed.",
      ),
    maxFailures: z
      .int()
      .min(1)
      .max(1_000)
      .default(1)
      .describe("With so many failed updates no other server is updated."),
    onFailure: z
      .enum(["Stop", "Rollback"])
      .default("Stop")
      .describe(
        "What happens when maxFailures updates have failed. Stop: the servers that are updated stay so. Rollback: they go back to what they had, in the same order and no faster.",
      ),
    paused: z
      .boolean()
      .default(false)
      .describe("Whether no other server is updated. Servers that are being updated go on to the end."),
  }),
  onlyLastWithout("waves", chosenBy, "only the last wave may be without selector, share and count: it has the rest"),
).describe("In which order the servers are updated, and when that stops.");
export type Rollout = z.output<typeof Rollout>;
