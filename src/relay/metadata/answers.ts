/** Answers Dovecot's metadata dict; push tokens stand in metadata.json of the account. */
import { join } from "node:path";
import type { Logger } from "pino";
import type { Accounts } from "../accounts/accounts.ts";
import type { DictAnswers } from "../dict/server.ts";
import type { LocalAddress } from "../domains.ts";
import * as events from "../events.ts";
import { readIfThere, replaceFile } from "../files.ts";
import { OneAtATime } from "../one-at-a-time.ts";
import { isToken, metadataKey, parseTokens, serverValues, type Tokens, validTokens, withToken } from "./policy.ts";

export interface MetadataTools {
  accounts: Accounts;
  log: Logger;
  now(): number;
}

const refused = "this entry can't be set";

export class Metadata implements DictAnswers {
  readonly #tools: MetadataTools;
  readonly #writing = new OneAtATime();

  constructor(tools: MetadataTools) {
    this.#tools = tools;
  }

  async lookup(key: string, user: string): Promise<string | undefined> {
    const asked = metadataKey(key);
    if (asked.kind === "server") return Object.hasOwn(serverValues, asked.name) ? serverValues[asked.name] : undefined;
    if (asked.kind === "other") return undefined;
    const account = await this.#tools.accounts.find(user);
    const tokens = account && Object.keys(validTokens(await this.#read(account), this.#now()));
    return tokens && tokens.length > 0 ? tokens.join(" ") : undefined;
  }

  async set(key: string, value: string, user: string): Promise<string | undefined> {
    if (metadataKey(key).kind !== "deviceToken") return refused;
    if (!isToken(value)) return "not a token";
    const account = await this.#tools.accounts.find(user);
    if (!account) return "no such account";
    await this.#writing.run(account.address, async () => {
      const tokens = withToken(await this.#read(account), value, this.#now());
      await replaceFile(pathOf(account), `${JSON.stringify({ devicetoken: tokens })}\n`);
    });
    return undefined;
  }

  /** A token is not taken back by one device for all: the request is ignored. */
  async unset(key: string): Promise<string | undefined> {
    return metadataKey(key).kind === "deviceToken" ? undefined : refused;
  }

  async #read(account: LocalAddress): Promise<Tokens> {
    const text = await readIfThere(pathOf(account));
    const tokens = parseTokens(text ?? "{}", this.#now());
    if (!tokens) events.unreadableMetadata(this.#tools.log, account.domain);
    return tokens ?? {};
  }

  #now(): number {
    return Math.floor(this.#tools.now() / 1000);
  }
}

const pathOf = (account: LocalAddress) => join(account.home, "metadata.json");
