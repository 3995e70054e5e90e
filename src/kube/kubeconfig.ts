/**
 * Credentials from a kubeconfig, for development and tests. client-node knows all the ways of
 * logging in that one may name.
 */
import type { RequestOptions as HttpsOptions } from "node:https";
import { KubeConfig } from "@kubernetes/client-node";
import { shared } from "../lib/shared.ts";
import type { Credentials } from "./credentials.ts";

/** After so long without an answer a plugin is asked again. */
const pluginMs = 30_000;

/**
 * From KUBECONFIG or ~/.kube/config, with whatever way of logging in it names: certificate, token,
 * file, exec plugin, OIDC. Throws where there is no current context, or where it goes through a
 * proxy, which is not supported.
 */
export async function kubeconfigCredentials(): Promise<Credentials> {
  const config = load();
  const cluster = config.getCurrentCluster();
  if (!cluster) throw new Error("the kubeconfig has no current context");
  if (cluster.proxyUrl) throw new Error("the kubeconfig names a proxy, which is not supported");
  const first: RequestOptions = {};
  await config.applyToHTTPSOptions(first as HttpsOptions);
  const { ca, cert, key, servername } = first;
  // Each answer may be a run of a plugin.
  const asking = (of: KubeConfig) => shared(() => headersOf(of), pluginMs);
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
      if (refused) ask = asking(load());
      return ask();
    },
  };
}

async function headersOf(config: KubeConfig): Promise<Record<string, string>> {
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options as HttpsOptions);
  const headers = Object.entries(options.headers ?? {});
  return Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), String(value)]));
}

function load(): KubeConfig {
  const config = new KubeConfig();
  config.loadFromDefault();
  return config;
}

interface RequestOptions {
  ca?: string | Buffer;
  cert?: string | Buffer;
  key?: string | Buffer;
  servername?: string;
  headers?: Record<string, unknown>;
}
