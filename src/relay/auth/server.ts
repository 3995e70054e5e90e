/**
 * Dovecot's Lua questions over HTTP on a unix socket: is this the password, who is this, who is
 * there.
 */
import { join } from "node:path";
import { within } from "../../lib/within.ts";
import { vmail } from "../../pod/layout.ts";
import type { RelayConfig } from "../../pod/relay-config.ts";
import type { Accounts } from "../accounts/accounts.ts";
import { imapText, type Later } from "../accounts/refusals.ts";
import { listAccounts, noteLogin } from "../accounts/store.ts";
import { type Domains, type LocalAddress, ourDomainOf } from "../domains.ts";
import type { Metrics } from "../metrics.ts";
import type { ProbeAccounts } from "../probe/accounts.ts";
import type { Rate, RateLimiter } from "../rate.ts";
import type { Answer, Question } from "../wire/http.ts";

export const maxQuestionBytes = 4096;

export interface AuthTools {
  accounts: Accounts;
  /** Those of the relay itself, which are in no list. */
  probes: Pick<ProbeAccounts, "login" | "mailbox">;
  config: Domains & Pick<RelayConfig, "dovecot">;
  metrics: Metrics;
  /** Of all logins, for whether they are many. */
  logins: RateLimiter;
  now: () => number;
  /** The day of a login could not be noted, which is no failure of the login. */
  onNoteFailure: (thrown: unknown) => void;
}

/**
 * Less than auth.lua waits, so that the client gets the sentence. What has begun goes on: the next
 * attempt finds it done.
 */
const loginPatienceMs = 40_000;
const busy: Later = { kind: "later", reason: "busy", retryMs: 1_000 };

/**
 * With more logins than these, as after a pod was replaced, sessions hibernate after this time and
 * not after half a minute: each holds a process of 1 MB until then (decision 0060).
 */
const usualLogins: Rate = { perMinute: 600, burst: 100 };
const inCrowd = { imap_hibernate_timeout: "3s" };

const no = (status: number): Answer => ({ status, body: "no\n" });

export async function answerAuth(question: Question, tools: AuthTools): Promise<Answer> {
  if (question.method !== "POST") return no(405);
  switch (question.path) {
    case "/passdb":
      return passdb(question, tools);
    case "/userdb":
      return userdb(question, tools);
    case "/users":
      return users(tools);
    default:
      return { status: 400, body: "no such question\n" };
  }
}

async function passdb({ body, client }: Question, tools: AuthTools): Promise<Answer> {
  const { accounts, probes, config, metrics, logins, now, onNoteFailure } = tools;
  const end = body.indexOf("\n");
  if (end < 0) return { status: 400, body: "user and password are two lines\n" };
  const address = body.slice(0, end);
  const password = body.slice(end + 1);
  const probe = probes.login("imap", { address, password }, client);
  if (probe)
    return probe.kind === "ok" ? { status: 200, body: lines("userdb_", fieldsOf(probe.account, config)) } : no(401);
  const asked = accounts.login(address, password, client);
  const login = await within(asked, loginPatienceMs, busy);
  metrics.of(ourDomainOf(config, address)).count("logins_total", { service: "imap", outcome: login.kind });
  if (login.kind === "ok") {
    await noteLogin(login.account, now()).catch(onNoteFailure);
    const isCrowd = logins.take("", usualLogins) !== undefined;
    const all = { ...fieldsOf(login.account, config), ...(isCrowd && inCrowd) };
    return { status: 200, body: lines("userdb_", all) };
  }
  if (login.kind === "later") return { status: 429, body: imapText(login) };
  return no(login.kind === "wrongPassword" ? 401 : 404);
}

function userdb({ body }: Question, tools: AuthTools): Answer {
  const found = findUser(body.trimEnd(), tools);
  return found ? { status: 200, body: lines("", found.fields) } : no(404);
}

/** Who has this mailbox, and what Dovecot has to know of it. */
export function findUser(
  address: string,
  { accounts, probes, config }: Pick<AuthTools, "accounts" | "probes" | "config">,
) {
  const account = probes.mailbox(address) ?? accounts.find(address);
  return account && { address: account.address, fields: fieldsOf(account, config) };
}

async function users({ config }: AuthTools): Promise<Answer> {
  const lists = await Promise.all(
    Object.keys(config.domains).map((domain) => listAccounts(join(config.mailFolder, domain))),
  );
  return {
    status: 200,
    body: lists
      .flat()
      .map((address) => `${address}\n`)
      .join(""),
  };
}

/** The daemon and Dovecot run as the same user; in tests that is whoever runs them. */
function fieldsOf(
  { domain, home }: LocalAddress,
  { dovecot = {} }: Pick<RelayConfig, "dovecot">,
): Record<string, string | number> {
  const uid = process.getuid?.() ?? vmail.uid;
  const gid = process.getgid?.() ?? vmail.gid;
  return { uid, gid, home, ...(Object.hasOwn(dovecot, domain) && dovecot[domain]) };
}

const lines = (prefix: string, fields: Readonly<Record<string, string | number>>) =>
  Object.entries(fields)
    .map(([name, value]) => `${prefix}${name}=${value}\n`)
    .join("");
