/**
 * A few calls to the lab's API server, with the certificate that kind wrote into the kubeconfig.
 */
import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { parse } from "yaml";

interface Kubeconfig {
  clusters: { cluster: { server: string; "certificate-authority-data": string } }[];
  users: { user: { "client-certificate-data": string; "client-key-data": string } }[];
}

export interface KubeApi {
  get<T>(path: string): Promise<T>;
  /** Merge patch. */
  patch(path: string, body: unknown): Promise<void>;
  /**
   * Calls back whenever something of the collection changes; ends, by throwing, when the connection
   * does.
   */
  watch(path: string, changed: () => void, signal: AbortSignal): Promise<never>;
}

/** Connects to the first cluster of a kubeconfig file. */
export function kubeApi(file: string): KubeApi {
  const config = parse(readFileSync(file, "utf8")) as Kubeconfig;
  const [{ cluster } = fail(file)] = config.clusters;
  const [{ user } = fail(file)] = config.users;
  const decode = (text: string) => Buffer.from(text, "base64");
  const agent = new Agent({
    keepAlive: true,
    ca: decode(cluster["certificate-authority-data"]),
    cert: decode(user["client-certificate-data"]),
    key: decode(user["client-key-data"]),
  });

  const call = (method: string, path: string, body?: unknown) =>
    new Promise<string>((resolve, reject) => {
      const headers = body === undefined ? {} : { "content-type": "application/merge-patch+json" };
      const sent = request(new URL(path, cluster.server), { method, agent, headers, timeout: 10_000 }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          if ((response.statusCode ?? 500) < 300) resolve(text);
          else reject(new Error(`${method} ${path}: ${response.statusCode} ${text.slice(0, 200)}`));
        });
      });
      sent.on("timeout", () => sent.destroy(new Error(`${method} ${path}: no answer`)));
      sent.on("error", reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });

  return {
    async get<T>(path: string) {
      return JSON.parse(await call("GET", path)) as T;
    },
    async patch(path, body) {
      await call("PATCH", path, body);
    },
    watch: (path, changed, signal) =>
      new Promise<never>((_, reject) => {
        const url = new URL(`${path}?watch=1&allowWatchBookmarks=true&timeoutSeconds=240`, cluster.server);
        const sent = request(url, { agent, signal, timeout: 90_000 }, (response) => {
          if (response.statusCode !== 200) reject(new Error(`watch ${path}: ${response.statusCode}`));
          response.on("data", changed);
          response.on("error", reject);
          response.on("close", () => reject(new Error(`watch ${path}: ended`)));
        });
        sent.on("timeout", () => sent.destroy(new Error(`watch ${path}: silent`)));
        sent.on("error", reject);
        sent.end();
      }),
  };
}

function fail(file: string): never {
  throw new Error(`${file} names no cluster`);
}
