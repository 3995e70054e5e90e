/** The ChatmailFleet resource: values for what its servers leave out, and the order of updates. */
import * as z from "zod";
import { Condition, groupRules, serverGroups } from "./chatmail-server.ts";
import { atMostOneOf, withRules } from "./rules.ts";
import { entries, text } from "./schema.ts";
import { Domain } from "./spec/domain.ts";
import { Rollout } from "./spec/rollout.ts";
import type { StoredMetadata } from "./stored-metadata.ts";

/** What the API server can count of the rules of each row. */
const mostDomains = 1_000;

const FleetDomain = z.object({
  name: text({
    name: "name",
    pattern: "^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$",
    says: "a name of at most 40 characters: lower-case letters, digits and -, beginning with a letter",
    maxLength: 40,
  }).describe("Name of the ChatmailServer."),
  domain: Domain,
  labels: entries({ atMost: 16, valueMaxLength: 63 })
    .optional()
    .describe("Labels of the ChatmailServer, by which a wave can select it."),
});

export const ChatmailFleetSpec = withRules(
  z.object({
    defaults: withRules(z.object(serverGroups), ...groupRules)
      .prefault({})
      .describe(
        "Values for what the servers of the fleet leave out: any part of a server's spec but domain and fleetRef.",
      ),
    domains: z
      .array(FleetDomain)
      .max(mostDomains)
      .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"] })
      .optional()
      .describe(
        "ChatmailServers that the operator makes. They belong to the fleet and are deleted with it; what their reclaimPolicy keeps is kept. A row that is removed deletes nothing: the status names the server, and a person deletes it.",
      ),
    rollout: Rollout.prefault({}),
  }),
  atMostOneOf(
    ["rollout.version", "defaults.image.reference"],
    "rollout.version and defaults.image.reference both say which image the servers have: use one of them",
  ),
).describe("Values for the servers of the fleet, and the order in which they are updated.");
/** As a person writes it. */
export type WrittenFleetSpec = z.input<typeof ChatmailFleetSpec>;
export type ChatmailFleetSpec = z.output<typeof ChatmailFleetSpec>;

const count = (what: string) => z.int().min(0).optional().describe(`How many ${what}.`);

export const ChatmailFleetStatus = z
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
      .describe("Ready, Reconciling and Stalled, and DomainsServed where the spec has domains."),
    servers: z
      .object({
        total: count("servers belong to the fleet"),
        ready: count("are Ready"),
        stalled: count("are Stalled: a person has to act"),
        paused: count("are Paused or Unmanaged"),
        updated: count("run what the fleet wants"),
        waiting: count("wait for their turn to be updated"),
        failed: count("have failed to be updated"),
      })
      .optional()
      .describe("The servers of the fleet, counted."),
    rollout: z
      .object({
        target: z.string().max(512).optional().describe("Relay image that the servers are to have."),
        wave: z.string().max(63).optional().describe("Wave that is being updated."),
        givenUp: z
          .string()
          .max(512)
          .optional()
          .describe("Relay image that was given up, because too many updates to it failed."),
        instead: z.string().max(512).optional().describe("Relay image that the servers go back to."),
        startTime: z.iso.datetime().optional().describe("When the first server began to be updated."),
        message: z.string().max(4_000).optional().describe("How the update goes."),
      })
      .optional()
      .describe("The update that is under way, or the last one."),
    worst: z
      .array(
        z.object({
          name: z.string().max(253).describe("Name of the ChatmailServer."),
          reason: z.string().max(1024).describe("Reason of its condition Ready."),
          message: z.string().max(1024).describe("Beginning of the message of that condition."),
        }),
      )
      .max(20)
      .meta({ "x-kubernetes-list-type": "atomic" })
      .optional()
      .describe("Servers that are not Ready, those first for which a person has to act."),
  })
  .describe("The fleet, added up from the status of its servers.");
export type ChatmailFleetStatus = z.infer<typeof ChatmailFleetStatus>;

/** A ChatmailFleet as the API server hands it out. */
export interface WrittenFleet {
  apiVersion: string;
  kind: string;
  metadata: StoredMetadata;
  spec: WrittenFleetSpec;
  status?: ChatmailFleetStatus;
}
