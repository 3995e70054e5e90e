/**
 * What is done to the pod: rounds of mail, single mails to a client that waits, clients that wait,
 * logins.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { chownSync, linkSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ports } from "../../src/mail/ports.ts";
import { ImapClient } from "../../test/helpers/imap-client.ts";
import type { KeptSession } from "../../test/helpers/line-socket.ts";
import { encryptedMessage, randomName } from "../../test/helpers/messages.ts";
import type { RelayPod } from "../../test/helpers/relay-pod.ts";
import { until } from "../../test/helpers/until.ts";
import { Fetching } from "./fetching.ts";
import { difference, type Round } from "./figures.ts";
import { type Login, type Mail, Sender } from "./sender.ts";
import { type Destination, discardDomain, domain } from "./variants.ts";

const mailBytes = 5600;
const patienceMs = 120_000;
export const connections = 8;

export const newLogin = (): Login => ({ user: `${randomName(9)}@${domain}`, password: randomName(12) });

/** What the load needs of a pod. */
export type LoadedPod = Pick<RelayPod, "at" | "cpu" | "memory" | "processes" | "volume" | "remove">;

const logIn = (pod: LoadedPod, { user, password }: Login) => ImapClient.ready(pod.at(ports.imaps), user, password);

/** The first login makes an account. */
export async function newAccounts(pod: LoadedPod, count: number): Promise<Login[]> {
  const logins = Array.from({ length: count }, newLogin);
  await inTurns(logins, connections, async (login) => (await logIn(pod, login)).logout());
  return logins;
}

/** Works on all, so many at once. */
export async function inTurns<T>(all: readonly T[], atOnce: number, work: (each: T) => Promise<unknown>) {
  const left = all.values();
  const run = async () => {
    for (const each of left) await work(each);
  };
  await Promise.all(Array.from({ length: atOnce }, run));
}

function mailOf(from: string, to: string): Mail {
  const make = (size: number) =>
    encryptedMessage({ from, to: [to], subject: "what the filter replaces", headers: { "User-Agent": "bench" }, size });
  const rest = mailBytes - make(0).length;
  // base64 with a line end after 64 characters
  return { from, to, data: make(Math.floor((rest / 4 / 66) * 64 * 3)) };
}

/** Hands in `count` mails by so many senders at once, each with its own mails over and over. */
async function sendAll(
  senders: readonly Sender[],
  mails: readonly (readonly Mail[])[],
  count: number,
  signal: AbortSignal,
) {
  let next = 0;
  const run = async (sender: Sender, own: readonly Mail[]) => {
    for (let at = next++; at < count; at = next++) {
      signal.throwIfAborted();
      const mail = own[at % own.length];
      if (mail) await sender.send(mail);
    }
  };
  await Promise.all(senders.map((sender, at) => run(sender, mails[at] ?? [])));
}

export class Bench {
  readonly #pod: LoadedPod;
  readonly #senders: readonly Login[];
  readonly #signal: AbortSignal;

  constructor(pod: LoadedPod, senders: readonly Login[], signal: AbortSignal) {
    this.#pod = pod;
    this.#senders = senders;
    this.#signal = signal;
  }

  /**
   * From the first mail submitted to the last one delivered. Every round has recipients of its own,
   * so none finds fuller mailboxes. `port`: of a submission service with TLS.
   */
  async round(port: number, destination: Destination, count: number, during = async () => {}): Promise<Round> {
    const to = await this.#recipients(destination);
    const round = await this.#submitted(port, { to, count }, async (submitted) => {
      await Promise.all([submitted, during()]);
      await this.#emptyQueue();
    });
    if (destination === "imap") this.#allAreThere(to, count);
    return round;
  }

  /**
   * From the first mail submitted to the last one that its recipient has fetched and deleted: each
   * recipient is online and does what Delta Chat does.
   */
  async fetched(port: number, count: number): Promise<Round> {
    const logins = await newAccounts(this.#pod, 2 * connections);
    const fetching = await Promise.all(logins.map((login) => Fetching.open(this.#pod.at(ports.imaps), login)));
    let seen = 0;
    const running = fetching.map((each) =>
      each.run((more) => {
        seen += more;
      }),
    );
    const round = await this.#submitted(port, { to: logins.map(({ user }) => user), count }, async (submitted) => {
      await submitted;
      const all = until("all fetched", () => seen >= count, { patienceMs, everyMs: 10 });
      // a client that fails ends the round
      await Promise.race([...running, all]);
    });
    for (const each of fetching) each.close();
    await Promise.all(running);
    if (seen !== count) throw new Error(`${count} mails were submitted and ${seen} fetched`);
    return round;
  }

  /** `work` is measured, and gets what ends when the last mail is submitted. */
  async #submitted(
    port: number,
    { to, count }: { to: readonly string[]; count: number },
    work: (submitted: Promise<void>) => Promise<void>,
  ): Promise<Round> {
    const mails = this.#senders.map(({ user }) => to.map((each) => mailOf(user, each)));
    const address = this.#pod.at(port);
    const senders = await Promise.all(this.#senders.map((login) => Sender.smtp(address, login)));
    const round = await this.#measure(count, () => work(sendAll(senders, mails, count, this.#signal)));
    for (const sender of senders) sender.close();
    return round;
  }

  /** All senders to one recipient, whose INBOX has so many mails already. */
  async intoOne(port: number, { has, count }: { has: number; count: number }): Promise<Round> {
    const [login = newLogin()] = await newAccounts(this.#pod, 1);
    const inbox = await logIn(this.#pod, login);
    await inbox.say("SELECT INBOX");
    await inbox.logout();
    fill(join(this.#pod.volume("mail"), domain, login.user, "new"), has);
    // they get their numbers, and stay where they are
    const client = await logIn(this.#pod, login);
    await client.say("EXAMINE INBOX");
    await client.logout();
    const delivered = (mails: number) =>
      this.#submitted(port, { to: [login.user], count: mails }, async (submitted) => {
        await submitted;
        await this.#emptyQueue();
      });
    await delivered(connections);
    return delivered(count);
  }

  /** Straight into Dovecot by its LMTP socket, so many at once. */
  async deliveries(path: string, atOnce: number, count: number): Promise<Round> {
    const to = await this.#recipients("imap");
    const mails = this.#senders.map(({ user }) => to.map((each) => mailOf(user, each)));
    const senders = await Promise.all(Array.from({ length: atOnce }, () => Sender.lmtp(path)));
    const round = await this.#measure(count, () => sendAll(senders, mails, count, this.#signal));
    for (const sender of senders) sender.close();
    this.#allAreThere(to, count);
    return round;
  }

  async #measure(mails: number, work: () => Promise<void>): Promise<Round> {
    const before = await this.#pod.cpu();
    const own = process.cpuUsage();
    const started = performance.now();
    await work();
    const seconds = (performance.now() - started) / 1000;
    const { user, system } = process.cpuUsage(own);
    return { mails, seconds, cpu: difference(await this.#pod.cpu(), before), loadCpu: (user + system) / 1e6 };
  }

  async #recipients(destination: Destination): Promise<string[]> {
    if (destination === "discard") return [`someone@${discardDomain}`];
    return (await newAccounts(this.#pod, 2 * connections)).map(({ user }) => user);
  }

  async #emptyQueue(): Promise<void> {
    await until("an empty queue", () => this.#queued() === 0, { patienceMs, everyMs: 10 });
  }

  #queued(): number {
    this.#signal.throwIfAborted();
    return ["incoming", "active", "deferred"]
      .map((name) => join(this.#pod.volume("queue"), name))
      .reduce((total, folder) => total + readdirSync(folder, { recursive: true }).filter(isQueueFile).length, 0);
  }

  #allAreThere(recipients: readonly string[], count: number) {
    const inNew = (user: string) => readdirSync(join(this.#pod.volume("mail"), domain, user, "new")).length;
    const there = recipients.reduce((total, user) => total + inNew(user), 0);
    if (there !== count) throw new Error(`${count} mails were handed in and ${there} delivered`);
  }
}

/** Mails of an hour ago. Names of one file, since nobody reads them. */
function fill(folder: string, count: number): void {
  const { uid, gid } = statSync(folder);
  const seconds = Math.floor(Date.now() / 1000) - 3600;
  const path = (at: number) => join(folder, `${seconds}.M${at}P1.bench,S=${mailBytes},W=${mailBytes}`);
  for (let at = 0; at < count; at++) {
    if (at > 0) linkSync(path(0), path(at));
    else {
      writeFileSync(path(at), "x".repeat(mailBytes));
      chownSync(path(at), uid, gid);
    }
  }
}

/** deferred/ has a folder for each first letter. */
const isQueueFile = (path: string | Buffer) => (String(path).split("/").at(-1) ?? "").length > 1;

export interface Wait {
  /** From MAIL to the reply that took the mail. */
  takenMs: number;
  /** From MAIL to EXISTS at the client in IDLE. */
  seenMs: number;
}

/** A client in IDLE that has done before what Delta Chat does. */
export class Waiting {
  readonly user: string;
  readonly #client: ImapClient;
  readonly #idle: Awaited<ReturnType<ImapClient["idle"]>>;

  private constructor(user: string, client: ImapClient, idle: Awaited<ReturnType<ImapClient["idle"]>>) {
    this.user = user;
    this.#client = client;
    this.#idle = idle;
  }

  static async open(pod: LoadedPod, login: Login): Promise<Waiting> {
    const client = await ImapClient.likeDeltaChat(pod.at(ports.imaps), login.user, login.password, randomName(64));
    const idle = await client.idle();
    await idle.done();
    await client.say("NOOP");
    return new Waiting(login.user, client, await client.idle());
  }

  async receive(sender: Sender, from: string): Promise<Wait> {
    const mail = mailOf(from, this.user);
    const started = performance.now();
    const seen = this.#exists().then(() => performance.now() - started);
    // when the mail is refused, that is the error to show
    seen.catch(() => undefined);
    await sender.send(mail);
    const takenMs = performance.now() - started;
    return { takenMs, seenMs: await seen };
  }

  close(): void {
    this.#client.destroy();
  }

  async #exists(): Promise<void> {
    while (!/^\* \d+ EXISTS/.test(await this.#idle.next()));
  }
}

/**
 * Logins a second for so many seconds, each on a connection of its own; `next` says who. Whoever
 * comes again resumes the session of TLS where the server offers that, as Delta Chat does.
 */
export async function loginRate(
  pod: LoadedPod,
  seconds: number,
  signal: AbortSignal,
  next: () => Login,
): Promise<number> {
  let done = 0;
  const sessions = new Map<string, KeptSession>();
  const started = performance.now();
  const run = async () => {
    while (performance.now() - started < seconds * 1000) {
      signal.throwIfAborted();
      const { user, password } = next();
      const kept = sessions.get(user) ?? {};
      sessions.set(user, kept);
      (await ImapClient.ready({ ...pod.at(ports.imaps), kept }, user, password)).destroy();
      done++;
    }
  };
  await Promise.all(Array.from({ length: connections }, run));
  return (done * 1000) / (performance.now() - started);
}

/**
 * Sessions hibernate after 30 s, and processes that nobody needs end some time later: then no more
 * are left than wait for the next login.
 */
export async function allAsleep(pod: LoadedPod, signal: AbortSignal) {
  const end = performance.now() + 300_000;
  for (;;) {
    const left = await pod.processes("dovecot", "imap");
    if (left <= 2) return;
    if (performance.now() > end) throw new Error(`${left} imap processes are left, and nobody needs them`);
    await pause(1000, signal);
  }
}

/** What the load itself can do: mails a second to a server that does nothing with them. */
export async function ceiling(count: number, signal: AbortSignal): Promise<number> {
  const sink = fork(join(import.meta.dirname, "sink.ts"));
  try {
    const [port] = (await once(sink, "message", { signal })) as [number];
    const login = newLogin();
    const own = [mailOf(login.user, login.user)];
    const address = { host: "127.0.0.1", port };
    const senders = await Promise.all(Array.from({ length: connections }, () => Sender.smtp(address, login)));
    const all = senders.map(() => own);
    await sendAll(senders, all, count, signal);
    const started = performance.now();
    await sendAll(senders, all, count, signal);
    const rate = (count * 1000) / (performance.now() - started);
    for (const sender of senders) sender.close();
    return rate;
  } finally {
    sink.kill();
  }
}

export const pause = (ms: number, signal: AbortSignal) => sleep(ms, undefined, { signal });
