/** A mailbox that notes when each of its mails was accepted and when it was seen. */
import { wait } from "../../src/lib/wait.ts";
import { ports } from "../../src/mail/ports.ts";
import { newAccount, password } from "../../test/helpers/accounts.ts";
import { ImapClient } from "../../test/helpers/imap-client.ts";
import type { RelayPod } from "../../test/helpers/relay-pod.ts";
import { until } from "../../test/helpers/until.ts";
import { quantile, say } from "../machine.ts";

/** The header that tells mails apart. */
export const mark = "Chat-Mark";

/** A busy machine refuses some first logins for now; clients try again. */
export const account = (pod: RelayPod): Promise<string> =>
  until("an account", () => newAccount(pod), { patienceMs: 60_000, everyMs: 500 });

export interface Figures {
  count: number;
  p50Ms: number;
  mostMs: number;
}

/** An account whose mail is looked at all the time. */
export class Inbox {
  readonly user: string;
  readonly #client: ImapClient;
  readonly #accepted = new Map<string, number>();
  readonly #seen = new Map<string, number>();
  readonly #closing = new AbortController();
  #next = 1;

  private constructor(user: string, client: ImapClient) {
    this.user = user;
    this.#client = client;
  }

  static async open(pod: RelayPod, signal: AbortSignal): Promise<Inbox> {
    const user = await account(pod);
    const client = await ImapClient.ready(pod.at(ports.imaps), user, password);
    await client.say("SELECT INBOX");
    const inbox = new Inbox(user, client);
    const looking = inbox.#look(AbortSignal.any([signal, inbox.#closing.signal]));
    // the end of the connection that closes it
    void looking.catch((thrown) => inbox.#closing.signal.aborted || say(String(thrown)));
    return inbox;
  }

  accepted(id: string): void {
    this.#accepted.set(id, performance.now());
  }

  get count(): number {
    return this.#seen.size;
  }

  get complete(): boolean {
    return this.#seen.size >= this.#accepted.size;
  }

  figures(): Figures {
    const ms = [...this.#accepted].map(([id, at]) => Math.max(0, (this.#seen.get(id) ?? Number.NaN) - at));
    return { count: ms.length, p50Ms: quantile(ms, 0.5), mostMs: Math.max(...ms) };
  }

  close(): void {
    this.#closing.abort();
    this.#client.destroy();
  }

  /** Twenty times a second, so that is how exact the figures are. */
  async #look(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const { untagged } = await this.#client.say("NOOP");
      const exists = untagged.flatMap((line) => /^\* (\d+) EXISTS/.exec(line)?.[1] ?? []).at(-1);
      if (exists !== undefined && Number(exists) >= this.#next) {
        const now = performance.now();
        const fetched = await this.#client.say(`FETCH ${this.#next}:${exists} (BODY.PEEK[HEADER.FIELDS (${mark})])`);
        for (const line of fetched.untagged) {
          const id = new RegExp(`${mark}: (\\w+)`, "i").exec(line)?.[1];
          if (id !== undefined) this.#seen.set(id, now);
        }
        this.#next = Number(exists) + 1;
      }
      await wait(50, signal);
    }
  }
}
