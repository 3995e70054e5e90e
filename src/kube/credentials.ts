/** Where the API server is and how we prove who we are: a pod's own service account, or a kubeconfig. */
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { RequestOptions as HttpsOptions } from "node:https";

export interface Credentials {
  server: URL;
  tls: { ca?: string | Buffer; cert?: string | Buffer; key?: string | Buffer; servername?: string; insecure?: boolean };
  /** Headers that go with every request; called for each, so it answers from memory. */
  headers(): Promise<Record<string, string>>;
  /** The namespace that the credentials belong to. */
  namespace: string | undefined;
}

/** Kubelets renew a token well before its end; client-go looks once a minute too. */
const tokenLivesMs = 60_000;

/** Three files and two variables: no library is needed, and none is loaded. */
export function inClusterCredentials(options: {
  host: string;
  port: string;
  folder: string;
  now?: () => number;
}): Credentials {
  const { folder, now = Date.now } = options;
  let token = { value: "", readAt: Number.NEGATIVE_INFINITY };
  return {
    server: new URL(`https://${options.host.includes(":") ? `[${options.host}]` : options.host}:${options.port}`),
    tls: { ca: readFileSync(`${folder}/ca.crt`) },
    namespace: readFileSync(`${folder}/namespace`, "utf8").trim(),
    async headers() {
      if (now() - token.readAt > tokenLivesMs)
        token = { value: (await readFile(`${folder}/token`, "utf8")).trim(), readAt: now() };
      return { authorization: `Bearer ${token.value}` };
    },
  };
}

/** From KUBECONFIG or ~/.kube/config, with whatever way of logging in it names (client-node knows them). */
export async function kubeconfigCredentials(): Promise<Credentials> {
  const { KubeConfig } = await import("@kubernetes/client-node");
  const config = new KubeConfig();
  config.loadFromDefault();
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
    async headers() {
      const options: RequestOptions = {};
      await config.applyToHTTPSOptions(options as HttpsOptions);
      return Object.fromEntries(Object.entries(options.headers ?? {}).map(([name, value]) => [name, String(value)]));
    },
  };
}

interface RequestOptions {
  ca?: string | Buffer;
  cert?: string | Buffer;
  key?: string | Buffer;
  servername?: string;
  headers?: Record<string, unknown>;
}

/** A service account where there is one, unless KUBECONFIG says otherwise. */
export async function defaultCredentials(environment: Record<string, string | undefined>): Promise<Credentials> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port, KUBECONFIG: kubeconfig } = environment;
  if (host && port && !kubeconfig)
    return inClusterCredentials({ host, port, folder: "/var/run/secrets/kubernetes.io/serviceaccount" });
  return kubeconfigCredentials();
}
