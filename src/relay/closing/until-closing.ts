/**
 * A filter of a server that may be about to be deleted: from then on every message is refused for
 * now, also one that was begun before, so that nothing is accepted behind the last look into the
 * queue. Whoever sends it tries again, and finds another server or none.
 */
import type { Judgement, MessageFilter } from "../wire/milter-server.ts";

const closed = "451 4.3.2 This server is being shut down and accepts no more mail";

export class UntilClosing implements MessageFilter {
  readonly #filter: MessageFilter;
  readonly #settings: { closing?: boolean | undefined };

  /** `settings` are asked each time. */
  constructor(filter: MessageFilter, settings: { closing?: boolean | undefined }) {
    this.#filter = filter;
    this.#settings = settings;
  }

  async recipient(address: string, parameters: readonly string[] = []): Promise<string | undefined> {
    return this.#settings.closing ? closed : this.#filter.recipient(address, parameters);
  }

  header(name: string, value: string): void {
    this.#filter.header(name, value);
  }

  endOfHeaders(): void {
    this.#filter.endOfHeaders();
  }

  body(chunk: Buffer): void {
    this.#filter.body(chunk);
  }

  async endOfMessage(): Promise<Judgement> {
    const refused: Judgement = { reply: { kind: "reply", text: closed }, modifications: [] };
    if (this.#settings.closing) return refused;
    const judgement = await this.#filter.endOfMessage();
    // it may have waited for its turn; what is in mailboxes by now is not refused
    return this.#settings.closing && judgement.reply.kind === "accept" ? refused : judgement;
  }

  ended(): void {
    this.#filter.ended?.();
  }
}
