/** Credentials from a kubeconfig, for development and tests. client-node knows all the ways of logging in that one may name. */
import type { RequestOptions as HttpsOptions } from "node:https";
import { KubeConfig } from "@kubernetes/client-node";
import type { Credentials } from "./credentials.ts";

/** From KUBECONFIG or ~/.kube/config, with whatever way of logging in it names: certificate, token, file, exec plugin, OIDC. */
export async function kubeconfigCredentials(): Promise<Credentials> {
  let config = load();
  const cluster = config.getCurrentCluster();
  if (!cluster) throw new Error("the kubeconfig has no current context");
  const first: RequestOptions = {};
  await config.applyToHTTPSOptions(first as HttpsOptions);
  const { ca, cert, key, servername } = first;
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
      // What was read and what a plugin said is kept within a KubeConfig: another one asks anew.
      if (refused) config = load();
      const options: RequestOptions = {};
      await config.applyToHTTPSOptions(options as HttpsOptions);
      return Object.fromEntries(Object.entries(options.headers ?? {}).map(([name, value]) => [name, String(value)]));
    },
  };
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
