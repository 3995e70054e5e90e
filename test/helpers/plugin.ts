/** Calls of the kubectl plugin in this process, and what they printed. */
import { writeFileSync } from "node:fs";
import { run } from "../../src/cli/program.ts";
import type { Surroundings } from "../../src/cli/surroundings.ts";
import type { ApiServer } from "./api-server.ts";

export interface Called {
  code: number;
  out: string;
  err: string;
}

export interface CallOptions {
  environment?: Readonly<Record<string, string>>;
  isTerminal?: boolean;
  now?: Date;
  signal?: AbortSignal;
  /** Gets what is printed, while the call goes on. */
  onOut?: (text: string) => void;
}

/** `words` as after `kubectl chatmail`. */
export async function callPlugin(words: readonly string[], options: CallOptions = {}): Promise<Called> {
  const { environment = {}, isTerminal = false, now, signal = new AbortController().signal, onOut } = options;
  const called = { code: 0, out: "", err: "" };
  const columns = isTerminal ? 100 : undefined;
  const around: Surroundings = {
    environment,
    out: {
      write: (text) => {
        called.out += text;
        onOut?.(text);
      },
      isTerminal,
      columns,
    },
    err: {
      write: (text) => {
        called.err += text;
      },
      isTerminal,
      columns,
    },
    writeFile: async (path, bytes) => writeFileSync(path, bytes),
    now: () => now ?? new Date(),
    signal,
  };
  called.code = await run(words, around);
  return called;
}

/** A kubeconfig for a real API server, with its all-powerful token or another one. */
export function kubeconfigOf({ url, tls, token }: ApiServer, namespace: string, otherToken = token): string {
  const ca = Buffer.from(tls.cert).toString("base64");
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "it", cluster: { server: url.origin, "certificate-authority-data": ca } }],
    users: [{ name: "admin", user: { token: otherToken } }],
    contexts: [{ name: "it", context: { cluster: "it", user: "admin", namespace } }],
    "current-context": "it",
  });
}
