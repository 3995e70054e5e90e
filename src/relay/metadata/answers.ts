/** Answers Dovecot's metadata dict: an account's push tokens, and what the server says of itself. */
import type { Logger } from "pino";
import type { Accounts } from "../accounts/accounts.ts";
import type { DictAnswers } from "../dict/server.ts";
import * as events from "../events.ts";
import { readIfThere } from "../files.ts";
import { appVersions } from "./app-versions.ts";
import { isToken, metadataKey, serverValues } from "./policy.ts";
import type { TokenStore } from "./tokens.ts";

export interface MetadataTools {
  accounts: Accounts;
  tokens: TokenStore;
  /** JSON of the newest versions of clients; read for each question, for it may change at any time. */
  appVersionsFile: string | undefined;
  log: Logger;
}

const refused = "this entry can't be set";

export class Metadata implements DictAnswers {
  readonly #tools: MetadataTools;

  constructor(tools: MetadataTools) {
    this.#tools = tools;
  }

  async lookup(key: string, user: string): Promise<string | undefined> {
    const asked = metadataKey(key);
    if (asked.kind === "server") return this.#ofServer(asked.name);
    if (asked.kind === "other") return undefined;
    const account = await this.#tools.accounts.find(user);
    const tokens = account ? await this.#tools.tokens.list(account) : [];
    return tokens.length > 0 ? tokens.join(" ") : undefined;
  }

  async set(key: string, value: string, user: string): Promise<string | undefined> {
    if (metadataKey(key).kind !== "deviceToken") return refused;
    if (!isToken(value)) return "not a token";
    const account = await this.#tools.accounts.find(user);
    if (!account) return "no such account";
    await this.#tools.tokens.add(account, value);
    return undefined;
  }

  /** A token is not taken back by one device for all: the request is ignored. */
  async unset(key: string): Promise<string | undefined> {
    return metadataKey(key).kind === "deviceToken" ? undefined : refused;
  }

  async #ofServer(name: string): Promise<string | undefined> {
    if (name === "appversions") return this.#appVersions();
    return Object.hasOwn(serverValues, name) ? serverValues[name] : undefined;
  }

  async #appVersions(): Promise<string | undefined> {
    const { appVersionsFile, log } = this.#tools;
    const text = appVersionsFile === undefined ? undefined : await readIfThere(appVersionsFile);
    if (text === undefined) return undefined;
    const answer = appVersions(text);
    if ("problem" in answer) events.wrongAppVersions(log, answer.problem);
    return "line" in answer ? answer.line : undefined;
  }
}
