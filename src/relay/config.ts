/** What the relay's processes are told from outside, read once: the environment and the configuration file it names. */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import * as z from "zod"; // as a namespace: `{ z }` would bring all of zod into the bundle, 12 MB of memory
import { messageOf } from "../lib/text.ts";
import { ports } from "../mail/ports.ts";
import { folders, loopback } from "../pod/layout.ts";
import { RelayConfig } from "../pod/relay-config.ts";

const Environment = z.object({
  /** Path of the configuration file. */
  RELAY_CONFIG: z.string().min(1).default(`${folders.relayConfig}/relay.json`),
  /** TCP port of health and metrics; 0 takes a free one. */
  RELAY_HEALTH_PORT: z.coerce.number().int().min(0).max(65_535).default(ports.health),
  /** TCP port on the loopback where Postfix hands over what goes by HTTPS; 0 takes a free one. */
  RELAY_HTTPS_DELIVERY_PORT: z.coerce.number().int().min(0).max(65_535).default(loopback.httpsDelivery),
  /** The address of the cluster's API server, as the kubelet gives it to every container; never a peer. */
  KUBERNETES_SERVICE_HOST: z.string().optional(),
});

/** What is wrong, in one sentence for a person. */
class ConfigError extends Error {
  override readonly name = "ConfigError";
}

export interface Settings extends RelayConfig {
  healthPort: number;
  httpsDeliveryPort: number;
}

export function readSettings(environment: Record<string, string | undefined>): Settings {
  const parsed = Environment.safeParse(environment);
  if (!parsed.success) throw new ConfigError(`environment: ${firstProblem(parsed.error)}`);
  const {
    RELAY_CONFIG: path,
    RELAY_HEALTH_PORT: healthPort,
    RELAY_HTTPS_DELIVERY_PORT: httpsDeliveryPort,
  } = parsed.data;
  const config = readConfigFile(path);
  const { KUBERNETES_SERVICE_HOST: api } = parsed.data;
  const refusedPeers = [...(config.refusedPeers ?? []), ...(api !== undefined && isIP(api) !== 0 ? [api] : [])];
  return { ...config, refusedPeers, healthPort, httpsDeliveryPort };
}

function readConfigFile(path: string): RelayConfig {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch (thrown) {
    throw new ConfigError(`${path}: ${messageOf(thrown)}`, { cause: thrown });
  }
  const config = RelayConfig.safeParse(json);
  if (!config.success) throw new ConfigError(`${path}: ${firstProblem(config.error)}`);
  return config.data;
}

function firstProblem(error: z.ZodError): string {
  const [issue] = error.issues;
  if (!issue) return "not understood";
  const field = issue.path.map(String).join(".");
  return field === "" ? issue.message : `${field}: ${issue.message}`;
}
