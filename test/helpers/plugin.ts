/** Calls of the kubectl plugin in this process, and what they printed. */
import { writeFileSync } from "node:fs";
import { complete } from "../../src/cli/complete.ts";
import { run } from "../../src/cli/program.ts";
import type { Surroundings } from "../../src/cli/surroundings.ts";
import type { ApiServer } from "./api-server.ts";
import { patienceMs } from "./until.ts";

export interface Called {
  code: number;
  out: string;
  err: string;
  /** What is printed that is no text. */
  bytes: Uint8Array[];
}

export interface CallOptions {
  environment?: Readonly<Record<string, string>>;
  isTerminal?: boolean;
  now?: Date;
  signal?: AbortSignal;
  /** Gets what is printed, while the call goes on. */
  onOut?: (text: string) => void;
  /** Takes bytes that are printed, instead of `bytes` of the call. */
  onBytes?: (bytes: Uint8Array) => Promise<void>;
}

/** `words` as after `kubectl chatmail`. */
export async function callPlugin(words: readonly string[], options: CallOptions = {}): Promise<Called> {
  const called: Called = { code: 0, out: "", err: "", bytes: [] };
  called.code = await run(words, surroundings(called, options));
  return called;
}

/** What is offered for the last word. */
export async function completePlugin(words: readonly string[], options: CallOptions = {}): Promise<string> {
  const called: Called = { code: 0, out: "", err: "", bytes: [] };
  await complete(words, surroundings(called, options), patienceMs.client);
  return called.out;
}

function surroundings(called: Called, options: CallOptions): Surroundings {
  const { environment = {}, isTerminal = false, now, signal = new AbortController().signal, onOut, onBytes } = options;
  const columns = isTerminal ? 100 : undefined;
  return {
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
    writeBytes: async (bytes) => {
      if (onBytes) await onBytes(bytes);
      else called.bytes.push(bytes);
    },
    writeFile: async (path, bytes) => writeFileSync(path, bytes),
    now: () => now ?? new Date(),
    signal,
  };
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
