/**
 * What the relay's processes are told from outside, read at the start: the environment and the
 * plan.
 */

import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import * as z from "zod";
import { firstIssue } from "../lib/issues.ts";
import { messageOf } from "../lib/text.ts";
import { ports } from "../mail/ports.ts";
import { loopback } from "../pod/layout.ts";
import { peerRule } from "../pod/networks.ts";
import { type Plan, PlanError } from "../pod/plan.ts";
import { type PlanPlaces, planPlaces, withPlan } from "../pod/plan-files.ts";
import { RelayConfig, relayConfig } from "../pod/relay-config.ts";

const Environment = z.object({
  /** Where the plan is, and where the last good one is kept. */
  RELAY_PLAN: z.string().min(1).default(planPlaces.given),
  RELAY_LAST_PLAN: z.string().min(1).default(planPlaces.last),
  /**
   * A file with what would follow from a plan, in its place: for the daemon outside of a pod, where
   * folders are others.
   */
  RELAY_CONFIG: z.string().min(1).optional(),
  /** TCP port of health and metrics; 0 takes a free one. */
  RELAY_HEALTH_PORT: z.coerce.number().int().min(0).max(65_535).default(ports.health),
  /** TCP port on the loopback where Postfix hands over what goes by HTTPS; 0 takes a free one. */
  RELAY_HTTPS_DELIVERY_PORT: z.coerce.number().int().min(0).max(65_535).default(loopback.httpsDelivery),
  /** Time between two messages of the relay to itself, for each domain; 0: it sends none. */
  RELAY_PROBE_SECONDS: z.coerce.number().min(0).max(86_400).default(60),
  /**
   * The address of the cluster's API server, as the kubelet gives it to every container; never a
   * peer.
   */
  KUBERNETES_SERVICE_HOST: z.string().optional(),
});
type Environment = z.infer<typeof Environment>;

/** What is wrong, in one sentence for a person. */
class ConfigError extends Error {
  override readonly name = "ConfigError";
}

export interface Settings extends RelayConfig {
  healthPort: number;
  httpsDeliveryPort: number;
  /** 0 where there are no public ports that lead to this daemon, or where nobody wants it. */
  probeEveryMs: number;
}

/** Where the plan comes from that the settings follow from. */
export interface PlanSource {
  places: PlanPlaces;
  /** The plan in use, as it was read. */
  text: string;
  /** What would follow from another plan. Throws PlanError where that can't be used. */
  settingsFor(plan: Plan): Settings;
}

/** Without a source where the settings follow from no plan. */
export interface Start {
  settings: Settings;
  plan?: PlanSource;
}

/** Throws an error that says in one sentence what is wrong with the environment or the plan. */
export async function readStart(environment: Record<string, string | undefined>): Promise<Start> {
  const parsed = Environment.safeParse(environment);
  if (!parsed.success) throw new ConfigError(`environment: ${firstIssue(parsed.error)}`);
  const { RELAY_CONFIG: path, RELAY_PLAN: given, RELAY_LAST_PLAN: last } = parsed.data;
  if (path !== undefined)
    return { settings: settingsOf(readConfigFile(path), { ...parsed.data, RELAY_PROBE_SECONDS: 0 }) };
  const places = { given, last };
  const settingsFor = (plan: Plan) => checkedSettings(plan, parsed.data);
  return withPlan(places, ({ text, plan }) => ({ settings: settingsFor(plan), plan: { places, text, settingsFor } }));
}

function settingsOf(config: RelayConfig, environment: Environment): Settings {
  const { KUBERNETES_SERVICE_HOST: api, RELAY_HEALTH_PORT: healthPort } = environment;
  const { RELAY_HTTPS_DELIVERY_PORT: httpsDeliveryPort } = environment;
  const refusedPeers = [...(config.refusedPeers ?? []), ...(api !== undefined && isIP(api) !== 0 ? [api] : [])];
  const probeEveryMs = environment.RELAY_PROBE_SECONDS * 1000;
  return { ...config, refusedPeers, healthPort, httpsDeliveryPort, probeEveryMs };
}

function checkedSettings(plan: Plan, environment: Environment): Settings {
  const settings = settingsOf(relayConfig(plan), environment);
  try {
    peerRule({ allowed: settings.privatePeers ?? [], refused: settings.refusedPeers ?? [] });
  } catch (thrown) {
    throw new PlanError(`privatePeers or refusedPeers: ${messageOf(thrown)}`);
  }
  return settings;
}

function readConfigFile(path: string): RelayConfig {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch (thrown) {
    throw new ConfigError(`${path}: ${messageOf(thrown)}`, { cause: thrown });
  }
  const config = RelayConfig.safeParse(json);
  if (!config.success) throw new ConfigError(`${path}: ${firstIssue(config.error)}`);
  return config.data;
}
