/** A client that is online and does with each mail what Delta Chat core 2.60 does. */
import { ImapClient } from "../../test/helpers/imap-client.ts";
import { randomName } from "../../test/helpers/messages.ts";
import type { Login } from "./sender.ts";

const headers = "MESSAGE-ID REFERENCES FROM IN-REPLY-TO CHAT-VERSION CHAT-IS-POST-MESSAGE AUTOCRYPT-SETUP-MESSAGE";

const isNews = (line: string) => /^\* \d+ EXISTS/.test(line);

export class Fetching {
  readonly #client: ImapClient;
  #next = 1;
  #closed = false;

  private constructor(client: ImapClient) {
    this.#client = client;
  }

  static async open(address: { host: string; port: number }, { user, password }: Login): Promise<Fetching> {
    return new Fetching(await ImapClient.likeDeltaChat(address, user, password, randomName(64)));
  }

  /**
   * IDLE; what is new is fetched, first its headers, then whole; it is deleted, and IDLE again.
   * Until `close`.
   */
  async run(got: (count: number) => void): Promise<void> {
    try {
      for (;;) {
        const { count, more } = await this.#fetchNew();
        got(count);
        if (!more) await this.#untilNews();
      }
    } catch (thrown) {
      if (!this.#closed) throw thrown;
    }
  }

  close(): void {
    this.#closed = true;
    this.#client.destroy();
  }

  /** `more`: what came while this was on its way, and is not announced again in IDLE. */
  async #fetchNew(): Promise<{ count: number; more: boolean }> {
    const query = `(UID INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (${headers})])`;
    const { untagged } = await this.#client.say(`UID FETCH ${this.#next}:* ${query}`);
    const uids = untagged
      .map((line) => Number(/^\* \d+ FETCH \(.*?\bUID (\d+)/.exec(line)?.[1] ?? 0))
      .filter((uid) => uid >= this.#next);
    if (uids.length === 0) return { count: 0, more: untagged.some(isNews) };
    this.#next = Math.max(...uids) + 1;
    const set = uids.join(",");
    const whole = await this.#client.say(`UID FETCH ${set} (FLAGS BODY.PEEK[])`);
    if (whole.status !== "OK") throw new Error(`FETCH: ${whole.status} ${whole.text}`);
    await this.#client.say(`UID STORE ${set} +FLAGS (\\Deleted)`);
    await this.#client.say("CLOSE");
    await this.#client.say('SELECT "INBOX"');
    return { count: uids.length, more: true };
  }

  async #untilNews(): Promise<void> {
    const idle = await this.#client.idle();
    while (!isNews(await idle.next()));
    await idle.done();
  }
}
