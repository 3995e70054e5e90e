/** A relay pod that a process of its own runs, by the code of any checkout. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Image } from "../../scripts/images.ts";
import { loadRelay } from "../../test/helpers/relay-image.ts";
import type { RelayPod } from "../../test/helpers/relay-pod.ts";
import type { LoadedPod } from "./load.ts";

type Container = Parameters<RelayPod["processes"]>[0];

export interface PodStarted {
  host: string;
  volumes: { mail: string; queue: string };
}

export type PodCall = { id: number } & (
  | { call: "cpu" | "memory" | "remove"; args: [] }
  | { call: "processes"; args: [container: Container, name: string] }
);

export type PodReply = { id: number; value: unknown } | { id: number; error: string };

export class PodProcess implements LoadedPod {
  readonly #child: ChildProcess;
  readonly #started: PodStarted;
  readonly #waiting = new Map<number, (reply: PodReply) => void>();
  #last = 0;

  private constructor(child: ChildProcess, started: PodStarted) {
    this.#child = child;
    this.#started = started;
    child.on("message", (reply: PodReply) => this.#waiting.get(reply.id)?.(reply));
    child.on("exit", () => {
      for (const [id, end] of this.#waiting) end({ id, error: "the process that runs the pod has ended" });
    });
  }

  /** `tree`: a checkout with its dependencies. */
  static async start(tree: string, image: Image): Promise<PodProcess> {
    await loadRelay(image);
    const cache = olderCache(image);
    try {
      const child = fork(join(import.meta.dirname, "pod-of.ts"), [tree, image.name], {
        // an older relay-pod.ts finds its image here
        env: { ...process.env, XDG_CACHE_HOME: cache },
      });
      const ended = new AbortController();
      child.once("exit", (code) => ended.abort(new Error(`the pod of ${tree} did not start (exit code ${code})`)));
      const [started] = (await once(child, "message", { signal: ended.signal }).catch(() => {
        throw ended.signal.reason;
      })) as [PodStarted];
      return new PodProcess(child, started);
    } finally {
      rmSync(cache, { recursive: true });
    }
  }

  at(port: number): { host: string; port: number } {
    return { host: this.#started.host, port };
  }

  volume(name: "mail" | "queue"): string {
    return this.#started.volumes[name];
  }

  cpu(): ReturnType<RelayPod["cpu"]> {
    return this.#call({ call: "cpu", args: [] });
  }

  memory(): ReturnType<RelayPod["memory"]> {
    return this.#call({ call: "memory", args: [] });
  }

  processes(container: Container, name: string): Promise<number> {
    return this.#call({ call: "processes", args: [container, name] });
  }

  async remove(): Promise<void> {
    await this.#call({ call: "remove", args: [] });
    this.#child.kill("SIGKILL");
  }

  #call<T>(call: Pick<PodCall, "call" | "args">): Promise<T> {
    const id = ++this.#last;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, (reply) => {
        this.#waiting.delete(id);
        if ("error" in reply) reject(new Error(reply.error));
        else resolve(reply.value as T);
      });
      this.#child.send({ id, ...call });
    });
  }
}

function olderCache(relay: Image): string {
  const cache = mkdtempSync(join(tmpdir(), "bench-pod-"));
  const folder = join(cache, "chatmail-operator", "lab");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "images.json"), JSON.stringify({ relay }));
  return cache;
}
