/**
 * Answers Dovecot's metadata dict: an account's push tokens, and what the server says of itself.
 */
import type { Logger } from "pino";
import { mailDomainOf } from "../../mail/address.ts";
import type { RelayConfig } from "../../pod/relay-config.ts";
import type { Accounts } from "../accounts/accounts.ts";
import * as events from "../events.ts";
import { readIfThere } from "../files.ts";
import type { Metrics } from "../metrics.ts";
import type { DictAnswers } from "../wire/dict-server.ts";
import { appVersions } from "./app-versions.ts";
import { isToken, metadataKey, serverValues, turnValue } from "./policy.ts";
import type { TokenStore } from "./tokens.ts";

export interface MetadataTools {
  accounts: Accounts;
  tokens: TokenStore;
  /** Files that it names are read for each question, for they may change at any time. */
  config: Pick<RelayConfig, "appVersions" | "push" | "turn" | "iroh">;
  metrics: Pick<Metrics, "of">;
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
    if (asked.kind === "other" || !this.#pushes(user)) return undefined;
    const account = this.#tools.accounts.find(user);
    const tokens = account ? await this.#tools.tokens.list(account) : [];
    return tokens.length > 0 ? tokens.join(" ") : undefined;
  }

  async set(key: string, value: string, user: string): Promise<string | undefined> {
    if (!this.#setsTokens(key, user)) return refused;
    if (!isToken(value)) return "not a token";
    const account = this.#tools.accounts.find(user);
    if (!account) return "no such account";
    await this.#tools.tokens.add(account, value);
    return undefined;
  }

  /** A token is not taken back by one device for all: the request is ignored. */
  async unset(key: string, user: string): Promise<string | undefined> {
    return this.#setsTokens(key, user) ? undefined : refused;
  }

  /** Without push nobody uses a token, so none is kept. */
  #setsTokens(key: string, user: string): boolean {
    return this.#pushes(user) && metadataKey(key).kind === "deviceToken";
  }

  #pushes(user: string): boolean {
    return ofDomain(this.#tools.config.push, user) !== undefined;
  }

  async #ofServer(name: string, user: string): Promise<string | undefined> {
    if (name === "appversions") return this.#appVersions(user);
    if (name === "turn") return this.#turn(user);
    if (name === "irohrelay") return ofDomain(this.#tools.config.iroh, user);
    return Object.hasOwn(serverValues, name) ? serverValues[name] : undefined;
  }

  async #turn(user: string): Promise<string | undefined> {
    const account = this.#tools.accounts.find(user)?.address;
    const server = ofDomain(this.#tools.config.turn, user);
    if (account === undefined || !server) return undefined;
    const secret = (await readIfThere(server.secretFile))?.trimEnd();
    if (!secret) return undefined;
    this.#tools.metrics.of(mailDomainOf(account)).count("chatmail_turn_credentials_total");
    return turnValue({ server, secret, account, nowSeconds: Math.floor(this.#tools.now() / 1000) });
  }

  async #appVersions(user: string): Promise<string | undefined> {
    const { config, log } = this.#tools;
    const file = ofDomain(config.appVersions, user);
    const text = file === undefined ? undefined : await readIfThere(file);
    if (text === undefined) return undefined;
    const answer = appVersions(text);
    if ("problem" in answer) events.wrongAppVersions(log, answer.problem);
    return "line" in answer ? answer.line : undefined;
  }
}

/** What a table has for the domain of an address. */
function ofDomain<Value>(table: Record<string, Value> | undefined, address: string): Value | undefined {
  const domain = mailDomainOf(address) ?? "";
  return table && Object.hasOwn(table, domain) ? table[domain] : undefined;
}
