/** The push tokens of an account: metadata.json in its folder (chatmail protocol §13). */
import { join } from "node:path";
import type { Logger } from "pino";
import type { LocalAddress } from "../domains.ts";
import * as events from "../events.ts";
import { readIfThere, replaceFile } from "../files.ts";
import { OneAtATime } from "../one-at-a-time.ts";
import { maxTokens, parseTokens, type Tokens, validTokens, withoutToken, withTokens } from "./policy.ts";

export class TokenStore {
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #writing = new OneAtATime();
  /**
   * Tokens that wait for a write of their account to begin, with what it comes to: all are written
   * at once.
   */
  readonly #toAdd = new Map<string, { tokens: string[]; written: Promise<void> }>();

  /** `now` in milliseconds. */
  constructor(options: { log: Logger; now(): number }) {
    this.#log = options.log;
    this.#now = () => Math.floor(options.now() / 1000);
  }

  /** Those that count now, in the order in which they came. */
  async list(account: LocalAddress): Promise<string[]> {
    return Object.keys(validTokens(await this.#read(account), this.#now()));
  }

  /** Resolves when it is on the disk. */
  add(account: LocalAddress, token: string): Promise<void> {
    const waiting = this.#toAdd.get(account.address);
    if (waiting) {
      waiting.tokens.push(token);
      return waiting.written;
    }
    const tokens = [token];
    const written = this.#writing.run(account.address, () => {
      this.#toAdd.delete(account.address);
      return this.#change(account, (before) => withTokens(before, tokens.slice(-maxTokens), this.#now()));
    });
    this.#toAdd.set(account.address, { tokens, written });
    return written;
  }

  async remove(account: LocalAddress, token: string): Promise<void> {
    await this.#writing.run(account.address, () =>
      this.#change(account, (tokens) => withoutToken(tokens, token, this.#now())),
    );
  }

  async #change(account: LocalAddress, change: (tokens: Tokens) => Tokens): Promise<void> {
    const before = await this.#read(account);
    const after = JSON.stringify(change(before));
    if (after !== JSON.stringify(before)) await replaceFile(pathOf(account), `{"devicetoken":${after}}\n`);
  }

  async #read(account: LocalAddress): Promise<Tokens> {
    const text = await readIfThere(pathOf(account));
    const tokens = parseTokens(text ?? "{}", this.#now());
    if (!tokens) events.unreadableMetadata(this.#log, account.domain);
    return tokens ?? {};
  }
}

export const tokensName = "metadata.json";
const pathOf = (account: LocalAddress) => join(account.home, tokensName);
