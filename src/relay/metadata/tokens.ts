/** The push tokens of an account: metadata.json in its folder (reference §13). */
import { join } from "node:path";
import type { Logger } from "pino";
import type { LocalAddress } from "../domains.ts";
import * as events from "../events.ts";
import { readIfThere, replaceFile } from "../files.ts";
import { OneAtATime } from "../one-at-a-time.ts";
import { parseTokens, type Tokens, validTokens, withoutToken, withToken } from "./policy.ts";

export class TokenStore {
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #writing = new OneAtATime();

  /** `now` in milliseconds. */
  constructor(options: { log: Logger; now(): number }) {
    this.#log = options.log;
    this.#now = () => Math.floor(options.now() / 1000);
  }

  /** Those that count now, in the order in which they came. */
  async list(account: LocalAddress): Promise<string[]> {
    return Object.keys(validTokens(await this.#read(account), this.#now()));
  }

  add(account: LocalAddress, token: string): Promise<void> {
    return this.#change(account, (tokens) => withToken(tokens, token, this.#now()));
  }

  async remove(account: LocalAddress, token: string): Promise<void> {
    await this.#change(account, (tokens) => withoutToken(tokens, token, this.#now()));
  }

  #change(account: LocalAddress, change: (tokens: Tokens) => Tokens): Promise<void> {
    return this.#writing.run(account.address, async () => {
      const before = await this.#read(account);
      const after = JSON.stringify(change(before));
      if (after !== JSON.stringify(before)) await replaceFile(pathOf(account), `{"devicetoken":${after}}\n`);
    });
  }

  async #read(account: LocalAddress): Promise<Tokens> {
    const text = await readIfThere(pathOf(account));
    const tokens = parseTokens(text ?? "{}", this.#now());
    if (!tokens) events.unreadableMetadata(this.#log, account.domain);
    return tokens ?? {};
  }
}

const pathOf = (account: LocalAddress) => join(account.home, "metadata.json");
