/**
 * Credentials from a kubeconfig, for development, tests and the kubectl plugin. client-node knows
 * all the ways of logging in that one may name.
 */
import { existsSync } from "node:fs";
import type { RequestOptions as HttpsOptions } from "node:https";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { KubeConfig } from "@kubernetes/client-node";
import { shared } from "../lib/shared.ts";
import { messageOf } from "../lib/text.ts";
import type { Credentials, IdentityHeaders } from "./credentials.ts";

/** After so long without an answer a plugin is asked again. */
const pluginMs = 30_000;

export interface KubeconfigOptions {
  environment: Readonly<Record<string, string | undefined>>;
  /** A file instead of those that KUBECONFIG and the home folder have. */
  path?: string | undefined;
  /** Instead of the current context. */
  context?: string | undefined;
  /** Whom the API server is asked to take us for; groups need a user. */
  as?: string | undefined;
  asGroups?: readonly string[] | undefined;
}

/**
 * From `path`, the files in KUBECONFIG or ~/.kube/config, with whatever way of logging in the
 * context names: certificate, token, file, exec plugin, OIDC. Of several files the first that has a
 * cluster, user, context or current context counts, as for kubectl. Throws where there is no such
 * context, or where it goes through a proxy, which is not supported.
 */
export async function kubeconfigCredentials(
  options: KubeconfigOptions = { environment: process.env },
): Promise<Credentials> {
  const config = load(options);
  const cluster = config.getCurrentCluster();
  if (!cluster) throw new Error(lacksCluster(config));
  if (cluster.proxyUrl) throw new Error("the kubeconfig names a proxy, which is not supported");
  const first: RequestOptions = {};
  await config.applyToHTTPSOptions(first as HttpsOptions);
  const { ca, cert, key, servername } = first;
  // Each answer may be a run of a plugin.
  const asking = (of: KubeConfig) => shared(() => headersOf(of, options), pluginMs);
  let ask = asking(config);
  return {
    server: new URL(cluster.server),
    tls: {
      ...(ca && { ca }),
      ...(cert && { cert }),
      ...(key && { key }),
      ...(servername && { servername }),
      insecure: cluster.skipTLSVerify ?? false,
    },
    namespace: config.getContextObject(config.getCurrentContext())?.namespace,
    async headers({ refused = false } = {}) {
      // What was read and what a plugin said is kept within a KubeConfig: another one asks again.
      if (refused) ask = asking(load(options));
      return ask();
    },
  };
}

async function headersOf(config: KubeConfig, { as, asGroups = [] }: KubeconfigOptions): Promise<IdentityHeaders> {
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options as HttpsOptions);
  const headers = Object.entries(options.headers ?? {});
  return {
    ...Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), String(value)])),
    ...(as !== undefined && { "impersonate-user": as }),
    ...(asGroups.length > 0 && { "impersonate-group": [...asGroups] }),
  };
}

/** Whether there is a file to read. */
export const hasKubeconfig = (options: KubeconfigOptions): boolean => filesOf(options).some((file) => existsSync(file));

function filesOf({ environment, path }: KubeconfigOptions): string[] {
  if (path !== undefined) return [path];
  const listed = (environment.KUBECONFIG ?? "").split(delimiter).filter((file) => file !== "");
  return listed.length > 0 ? listed : [join(environment.HOME ?? homedir(), ".kube", "config")];
}

function load(options: KubeconfigOptions): KubeConfig {
  const files = filesOf(options);
  const there = files.filter((file) => existsSync(file));
  if (there.length === 0) throw new Error(`there is no kubeconfig: ${files.join(", ")} does not exist`);
  const parts = there.map(read);
  const config = new KubeConfig();
  config.loadFromOptions({
    clusters: firstOfEachName(parts.flatMap(({ clusters }) => clusters)),
    users: firstOfEachName(parts.flatMap(({ users }) => users)),
    contexts: firstOfEachName(parts.flatMap(({ contexts }) => contexts)),
    currentContext: options.context ?? (parts.find(({ currentContext }) => currentContext)?.currentContext || ""),
  });
  return config;
}

function read(file: string): KubeConfig {
  const config = new KubeConfig();
  try {
    config.loadFromFile(file);
  } catch (cause) {
    throw new Error(`kubeconfig ${file} can't be read: ${messageOf(cause)}`, { cause });
  }
  return config;
}

function firstOfEachName<T extends { name: string }>(items: readonly (T | undefined)[]): T[] {
  const byName = new Map<string, T>();
  for (const item of items) if (item && !byName.has(item.name)) byName.set(item.name, item);
  return [...byName.values()];
}

function lacksCluster(config: KubeConfig): string {
  const current = config.getCurrentContext();
  const names = config.getContexts().map(({ name }) => name);
  if (!current) return "the kubeconfig has no current context";
  if (!names.includes(current))
    return `the kubeconfig has no context ${current}; it has ${names.length > 0 ? names.join(", ") : "none"}`;
  return `the kubeconfig has no cluster for its context ${current}`;
}

interface RequestOptions {
  ca?: string | Buffer;
  cert?: string | Buffer;
  key?: string | Buffer;
  servername?: string;
  headers?: Record<string, unknown>;
}
