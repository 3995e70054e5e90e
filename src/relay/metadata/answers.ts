/** Answers Dovecot's metadata dict: an account's push tokens, and what the server says of itself. */
import type { Logger } from "pino";
import { mailDomainOf } from "../../mail/address.ts";
import type { RelayConfig } from "../../pod/relay-config.ts";
import type { Accounts } from "../accounts/accounts.ts";
import * as events from "../events.ts";
import { readIfThere } from "../files.ts";
import type { DictAnswers } from "../wire/dict-server.ts";
import { appVersions } from "./app-versions.ts";
import { isToken, metadataKey, serverValues, turnValue } from "./policy.ts";
import type { TokenStore } from "./tokens.ts";

export interface MetadataTools {
  accounts: Accounts;
  tokens: TokenStore;
  /** Files that it names are read for each question, for they may change at any time. */
  config: Pick<RelayConfig, "appVersionsFile" | "push" | "turn" | "iroh">;
  log: Logger;
  now: () => number;
}

const refused = "this entry can't be set";

export class Metadata implements DictAnswers {
  readonly #tools: MetadataTools;

  constructor(tools: MetadataTools) {
    this.#tools = tools;
  }

  async lookup(key: string, user: string): Promise<string | undefined> {
    const asked = metadataKey(key);
    if (asked.kind === "server") return this.#ofServer(asked.name, user);
    if (asked.kind === "other" || !this.#tools.config.push) return undefined;
    const account = this.#tools.accounts.find(user);
    const tokens = account ? await this.#tools.tokens.list(account) : [];
    return tokens.length > 0 ? tokens.join(" ") : undefined;
  }

  async set(key: string, value: string, user: string): Promise<string | undefined> {
    if (!this.#setsTokens(key)) return refused;
    if (!isToken(value)) return "not a token";
    const account = this.#tools.accounts.find(user);
    if (!account) return "no such account";
    await this.#tools.tokens.add(account, value);
    return undefined;
  }

  /** A token is not taken back by one device for all: the request is ignored. */
  async unset(key: string): Promise<string | undefined> {
    return this.#setsTokens(key) ? undefined : refused;
  }

  /** Without push nobody uses a token, so none is kept. */
  #setsTokens(key: string): boolean {
    return this.#tools.config.push !== undefined && metadataKey(key).kind === "deviceToken";
  }

  async #ofServer(name: string, user: string): Promise<string | undefined> {
    if (name === "appversions") return this.#appVersions();
    if (name === "turn") return this.#turn(user);
    if (name === "irohrelay") return ofDomain(this.#tools.config.iroh, mailDomainOf(user) ?? "");
    return Object.hasOwn(serverValues, name) ? serverValues[name] : undefined;
  }

  async #turn(user: string): Promise<string | undefined> {
    const account = this.#tools.accounts.find(user)?.address;
    const server = ofDomain(this.#tools.config.turn, mailDomainOf(user) ?? "");
    if (account === undefined || !server) return undefined;
    const secret = (await readIfThere(server.secretFile))?.trimEnd();
    return secret
      ? turnValue({ server, secret, account, nowSeconds: Math.floor(this.#tools.now() / 1000) })
      : undefined;
  }

  async #appVersions(): Promise<string | undefined> {
    const { log } = this.#tools;
    const { appVersionsFile } = this.#tools.config;
    const text = appVersionsFile === undefined ? undefined : await readIfThere(appVersionsFile);
    if (text === undefined) return undefined;
    const answer = appVersions(text);
    if ("problem" in answer) events.wrongAppVersions(log, answer.problem);
    return "line" in answer ? answer.line : undefined;
  }
}

function ofDomain<Value>(table: Record<string, Value> | undefined, domain: string): Value | undefined {
  return table && Object.hasOwn(table, domain) ? table[domain] : undefined;
}
