/** Processes that hold the clients of a measurement; one alone would have too much to do. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Login } from "../mail/sender.ts";

export type HolderCall = { work: "come"; logins: readonly Login[]; atOnce: number } | { work: "leave" };
/**
 * `served`: milliseconds of each client from its start to its IDLE. `failed`: why, of each attempt
 * that did.
 */
export interface Come {
  served: number[];
  failed: string[];
}
export type HolderReply = Come | { error: string };

const most = 4;

export class Holders {
  readonly #children: readonly ChildProcess[];
  readonly #signal: AbortSignal;

  /** `addresses`: of this machine, from which they connect in turns. */
  constructor(host: string, { addresses, signal }: { addresses: readonly string[]; signal: AbortSignal }) {
    const file = join(import.meta.dirname, "holder.ts");
    this.#children = Array.from({ length: most }, () => fork(file, [host, ...addresses]));
    this.#signal = signal;
  }

  /** They log in, so many at once, and stay in IDLE. */
  async come(logins: readonly Login[], atOnce: number): Promise<Come> {
    const replies = await this.#all((at) => ({
      work: "come",
      logins: logins.filter((_, nth) => nth % most === at),
      atOnce: Math.ceil(atOnce / most),
    }));
    return {
      served: replies.flatMap(({ served }) => served),
      failed: replies.flatMap(({ failed }) => failed),
    };
  }

  /** All close their connections, without a word. */
  async leave(): Promise<void> {
    await this.#all(() => ({ work: "leave" }));
  }

  end(): void {
    for (const child of this.#children) child.kill("SIGKILL");
  }

  #all(call: (at: number) => HolderCall) {
    return Promise.all(
      this.#children.map(async (child, at) => {
        const answered = once(child, "message", { signal: this.#signal });
        child.send(call(at));
        const [reply] = (await answered) as [HolderReply];
        if ("error" in reply) throw new Error(reply.error);
        return reply;
      }),
    );
  }
}
