/**
 * The TXT records by which an authority verifies names (RFC 8555 §8.4): written to the zone, seen
 * at every name server of it before the authority looks, and removed afterwards.
 */
import { randomInt } from "node:crypto";
import { Failure } from "../../api/failure.ts";
import { AcmeError } from "../../certificates/acme/client.ts";
import type { ChallengeAnswer } from "../../certificates/acme/perform.ts";
import { changeTexts } from "../../dns/providers/challenge.ts";
import { Zones } from "../../dns/zone.ts";
import { wait } from "../../lib/wait.ts";
import type { WantedUpdate } from "./dns.ts";

/** Where and how they are written. */
export type WantedRecords = Omit<WantedUpdate, "records">;

const everyMs = 1_000;
const withinMs = 180_000;

export class ChallengeRecords {
  readonly #zones: Zones;
  readonly #now: () => Date;

  constructor(options: { resolvers: readonly string[]; now: () => Date }) {
    this.#now = options.now;
    this.#zones = new Zones({ ...options, random: (below) => randomInt(below), timeoutMs: 2_000, tries: 2 });
  }

  /** Throws AcmeError where they can't be written, or are not seen in time. */
  async put(answers: readonly ChallengeAnswer[], update: WantedRecords, signal: AbortSignal): Promise<void> {
    await this.#change("add", answers, update, signal);
    const until = this.#now().getTime() + withinMs;
    for (;;) {
      const lacking = await this.#lacking(answers, update.domain);
      if (lacking.length === 0) return;
      if (this.#now().getTime() > until)
        throw new AcmeError(`the TXT record of a challenge is missing at ${lacking.join(", ")}`, { type: "dns" });
      await wait(everyMs, signal);
    }
  }

  remove(answers: readonly ChallengeAnswer[], update: WantedRecords, signal: AbortSignal): Promise<void> {
    return this.#change("delete", answers, update, signal);
  }

  async #change(
    change: "add" | "delete",
    answers: readonly ChallengeAnswer[],
    update: WantedRecords,
    signal: AbortSignal,
  ): Promise<void> {
    const texts = answers.map(({ name, record }) => ({ name: nameOf(name), value: record }));
    if (texts.length === 0) return;
    try {
      await changeTexts(change, texts, { ...update, random: (below) => randomInt(below), now: this.#now, signal });
    } catch (thrown) {
      if (!(thrown instanceof Failure)) throw thrown;
      // the zone takes it later, and the order is still there
      throw new AcmeError(thrown.message, { type: "serverInternal", cause: thrown });
    }
  }

  /** Name servers without one of them; one that does not answer is passed over, as resolvers do. */
  async #lacking(answers: readonly ChallengeAnswer[], domain: string): Promise<string[]> {
    const zone = await this.#zones.of(domain);
    if ("unknown" in zone) return [zone.unknown];
    const lacking = await Promise.all(
      zone.servers.map(async (server) => {
        for (const { name, record } of answers) {
          const asked = await this.#zones.ask(server, { name: nameOf(name), type: "TXT" });
          if (!("reply" in asked)) return [];
          const has = asked.reply.answers.some(({ type, value }) => type === "TXT" && value === record);
          if (!has) return [server.name];
        }
        return [];
      }),
    );
    return lacking.flat();
  }
}

const nameOf = (name: string) => `_acme-challenge.${name}.`;
