/** Reference pages that are not about a kind: the operator's configuration, and metrics. */
import { z } from "zod";
import { OperatorConfig } from "../src/operator/config.ts";
import { operatorHelp } from "../src/operator/metrics.ts";
import { relayHelp } from "../src/relay/metrics.ts";

const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", " ");
const row = (...cells: string[]) => `| ${cells.map(cell).join(" | ")} |`;
const table = (head: string[], rows: string[]) => [row(...head), row(...head.map(() => "---")), ...rows].join("\n");
const code = (text: string) => `\`${text}\``;

/** Which value of the chart sets a variable; a test holds it against the chart's template. */
export const chartValues: Readonly<Record<keyof z.input<typeof OperatorConfig>, readonly string[]>> = {
  WATCH_NAMESPACES: ["watch.namespaces", "watch.allNamespaces"],
  POD_NAMESPACE: [],
  POD_NAME: [],
  RELAY_IMAGE: ["relayImage.registry", "relayImage.repository", "relayImage.tag", "relayImage.digest"],
  ALLOWED_IMAGES: ["relayImage.allowed"],
  SERVER_DEFAULTS: ["serverDefaults", "relayImage.pullPolicy", "relayImage.pullSecrets"],
  ROLLOUT_PAUSED: ["rollout.paused"],
  ROLLOUT_GATE: ["rollout.gate"],
  ROLLOUT_CANARY_SOAK_SECONDS: ["rollout.canarySoakSeconds"],
  ROLLOUT_MAX_UNAVAILABLE: ["rollout.maxUnavailable"],
  ROLLOUT_SOAK_SECONDS: ["rollout.soakSeconds"],
  ROLLOUT_MAX_FAILURES: ["rollout.maxFailures"],
  LOG_LEVEL: ["logLevel"],
  HEALTH_PORT: ["healthPort"],
  LEADER_ELECTION: [],
  LEASE_NAME: [],
  WORKERS: ["workers"],
};

interface Variable {
  description?: string;
  default?: string | number;
  enum?: string[];
  minimum?: number;
  maximum?: number;
}

export function operatorConfigurationPage(): string {
  const { properties = {}, required = [] } = z.toJSONSchema(OperatorConfig, { io: "input", unrepresentable: "any" });
  const rows = Object.entries(properties as Record<string, Variable>).map(([name, variable]) => {
    const { description = "", default: value, enum: words, minimum, maximum } = variable;
    const bounds = words?.map(code).join(", ") ?? (maximum === undefined ? "" : `${minimum} to ${maximum}`);
    const values = chartValues[name as keyof typeof chartValues].map(code).join(", ");
    const builtIn = value === undefined || value === "" ? "" : code(`${value}`);
    return row(code(name), values, required.includes(name) ? "required" : builtIn, bounds, description);
  });
  return `<!-- Written by npm run generate from src/operator/config.ts; edit there. -->

# Configuration of the operator

The operator reads these environment variables once, at its start. A wrong one ends it with a message that names the variable. With the chart, set
the chart's value; with the one-file install, edit the variables of the Deployment.

${table(["Variable", "Value of the chart", "Default", "Values", "What it does"], rows)}

The chart sets \`POD_NAMESPACE\`, \`POD_NAME\` and \`LEASE_NAME\` by itself. It has no value for the others without one in the table.
All values of the chart, also those that are no variable: its [README](../../charts/chatmail-operator/README.md).
`;
}

export function metricsPage(): string {
  const rows = (help: Readonly<Record<string, string>>) =>
    Object.entries(help).map(([name, text]) => row(code(name), text));
  return `<!-- Written by npm run generate from src/operator/metrics.ts and src/relay/metrics.ts; edit there. -->

# Metrics

How to read them: [monitoring](../monitoring.md).

## Of the operator

Port 8081, \`/metrics\`.

${table(["Name", "What it says"], rows(operatorHelp))}

## Of a relay

Port 9090 of the relay pod, \`/metrics\`. No label holds an address.

${table(["Name", "What it says"], rows(relayHelp))}
`;
}
