/** What the operator reads from its environment, once. */

import * as z from "zod";
import { ChatmailServerSpec } from "../api/chatmail-server.ts";
import { writtenIssues } from "../api/resolve.ts";
import { issueTexts } from "../lib/issues.ts";
import { messageOf } from "../lib/text.ts";
import { repositoryOf } from "./image.ts";
import { builtInPolicy, type Policy } from "./rollout/policy.ts";
import { resolveServer, type ServerDefaults } from "./server/spec.ts";

const switchText = (builtIn: "true" | "false") =>
  z
    .enum(["true", "false"])
    .default(builtIn)
    .transform((text) => text === "true");

const seconds = z.coerce.number().int().min(0).max(604_800);

const [canary, rest] = builtInPolicy.waves;

export const OperatorConfig = z
  .object({
    WATCH_NAMESPACES: z
      .string()
      .optional()
      .describe("Namespaces to look after, with commas between; * for all. Without it the operator's own."),
    POD_NAMESPACE: z.string().optional().describe("The operator's own namespace; by default that of its credentials."),
    POD_NAME: z.string().optional().describe("Who holds the lease; by default the host's name."),
    RELAY_IMAGE: z.string().min(1).describe("Image of the relay pods' containers."),
    ALLOWED_IMAGES: z
      .string()
      .default("")
      .transform((text) =>
        text
          .split(",")
          .map((each) => each.trim())
          .filter((each) => each !== ""),
      )
      .refine((list) => list.every(isAllowable), { message: "not a repository, a folder that ends in /, or *" })
      .describe(
        "What spec.image.reference may name beside RELAY_IMAGE's repository: repositories, folders of them that end in /, or * for any image; with commas between.",
      ),
    SERVER_DEFAULTS: z
      .string()
      .default("{}")
      .transform((text, context) => {
        const read = readServerDefaults(text);
        if ("values" in read) return read.values;
        context.addIssue({ code: "custom", message: read.problem });
        return z.NEVER;
      })
      .describe("Values for what the specs of servers leave out, as JSON: any part of a spec but the domain."),
    ROLLOUT_PAUSED: switchText("false").describe("true: no server is updated to another version."),
    ROLLOUT_GATE: z
      .enum(["Ready", "Deliverable"])
      .default(builtInPolicy.gate)
      .describe(
        "What a server has to be after its update. Deliverable: ready, and not known to be unable to deliver a message.",
      ),
    ROLLOUT_CANARY_SOAK_SECONDS: seconds
      .default(canary.soakSeconds)
      .describe("How long the first server serves before others are updated."),
    ROLLOUT_MAX_UNAVAILABLE: z
      .string()
      .regex(/^([1-9][0-9]*|[1-9][0-9]?%|100%)$/, "not a number of servers, 1 at least, or a share such as 5%")
      .default(String(rest.maxUnavailable))
      .describe("How many servers are updated at once after the first: a number, or a share such as 5%."),
    ROLLOUT_SOAK_SECONDS: seconds
      .default(rest.soakSeconds)
      .describe("How long each of them serves before another one takes its place."),
    ROLLOUT_MAX_FAILURES: z.coerce
      .number()
      .int()
      .min(1)
      .max(1_000)
      .default(builtInPolicy.maxFailures)
      .describe("With so many failed updates no further server is updated."),
    LOG_LEVEL: z.enum(["error", "warn", "info", "debug", "trace"]).default("info").describe("How much is logged."),
    HEALTH_PORT: z.coerce
      .number()
      .int()
      .min(0)
      .max(65535)
      .default(8081)
      .describe("Port of /healthz, /readyz, /metrics."),
    LEADER_ELECTION: switchText("true").describe("true: several may run, one works. false: this one works, alone."),
    LEASE_NAME: z
      .string()
      .min(1)
      .default("chatmail-operator")
      .describe("Name of the lease in the operator's namespace; operators that share it take turns."),
    WORKERS: z.coerce.number().int().min(1).max(64).default(4).describe("Servers that are worked on at the same time."),
  })
  .transform((env) => ({
    watchNamespaces: env.WATCH_NAMESPACES,
    podNamespace: env.POD_NAMESPACE,
    podName: env.POD_NAME,
    relayImage: env.RELAY_IMAGE,
    allowedImages: allowedImages(env.RELAY_IMAGE, env.ALLOWED_IMAGES),
    serverDefaults: env.SERVER_DEFAULTS,
    rollout: {
      waves: [
        { ...canary, soakSeconds: env.ROLLOUT_CANARY_SOAK_SECONDS },
        { ...rest, maxUnavailable: env.ROLLOUT_MAX_UNAVAILABLE, soakSeconds: env.ROLLOUT_SOAK_SECONDS },
      ],
      gate: env.ROLLOUT_GATE,
      maxFailures: env.ROLLOUT_MAX_FAILURES,
      paused: env.ROLLOUT_PAUSED,
    } satisfies Policy,
    logLevel: env.LOG_LEVEL,
    healthPort: env.HEALTH_PORT,
    leaderElection: env.LEADER_ELECTION,
    leaseName: env.LEASE_NAME,
    workers: env.WORKERS,
  }));
export type OperatorConfig = z.infer<typeof OperatorConfig>;

/**
 * Those that could not be the defaults of any server are refused: an operator with wrong ones would
 * refuse every server.
 */
function readServerDefaults(text: string): { values: ServerDefaults } | { problem: string } {
  let values: unknown;
  try {
    values = JSON.parse(text);
  } catch (thrown) {
    return { problem: `not JSON: ${messageOf(thrown)}` };
  }
  if (typeof values !== "object" || values === null || Array.isArray(values)) return { problem: "not a JSON object" };
  for (const field of ["domain", "fleetRef"])
    if (field in values) return { problem: `${field}: each server has its own` };
  const anyServer = { domain: "any.example" };
  const issues = writtenIssues(ChatmailServerSpec, { ...values, ...anyServer });
  if (issues.length > 0) return { problem: issueTexts({ issues }) };
  const resolved = resolveServer({ spec: anyServer, metadata: {} }, values);
  return "problem" in resolved ? { problem: resolved.problem.message } : { values };
}

/** The repository of the operator's own relay image, and those that its administrators add. */
export const allowedImages = (relayImage: string, more: readonly string[] = []): string[] => [
  ...[repositoryOf(relayImage) ?? []].flat(),
  ...more,
];

const isAllowable = (text: string) =>
  text === "*" || repositoryOf(text.endsWith("/") ? `${text}x` : text) !== undefined;

/** Throws an error that names each variable that is wrong. */
export function readConfig(environment: Record<string, string | undefined>): OperatorConfig {
  const result = OperatorConfig.safeParse(environment);
  if (result.success) return result.data;
  throw new Error(`environment: ${issueTexts(result.error)}`);
}

/** Scopes for stores and watches: namespaces, or one "" for the whole cluster. */
export function scopesOf(watchNamespaces: string | undefined, own: string): string[] {
  const names = (watchNamespaces ?? own)
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  if (names.includes("*")) return [""];
  return names.length > 0 ? [...new Set(names)] : [own];
}
