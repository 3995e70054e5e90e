/** Wrong passwords without end, by IMAP and by submission, and the honest logins beside them. */
import { chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ports } from "../../src/mail/ports.ts";
import { vmail } from "../../src/pod/layout.ts";
import { sha512Crypt } from "../../src/relay/accounts/sha512-crypt.ts";
import { ImapClient } from "./imap-client.ts";
import { randomName } from "./messages.ts";
import { proxyV2 } from "./proxy-header.ts";
import { type RelayPod, startRelayPod } from "./relay-pod.ts";
import { SmtpClient } from "./smtp-client.ts";

const password = "correct horse";
const crypt = sha512Crypt(password, "$6$saltsaltsaltsalt$") ?? "";
/** That each attack opens; the limits of the relay leave fewer. */
export const floodConnections = 510;

export const floodServices = ["imap", "submission"] as const;
export type FloodService = (typeof floodServices)[number];

/** Who is who tells the header of a load balancer, so that one machine can be many clients. */
export const startFloodedPod = (domain: string) =>
  startRelayPod({ domain, spec: { network: { proxyProtocol: { trustedNetworks: ["198.51.100.0/24"] } } } });

/** An account that the relay has never seen logging in. */
export function giveAccount(pod: RelayPod): string {
  const address = `${randomName(9)}@${pod.domain}`;
  const domain = join(pod.volume("mail"), pod.domain);
  const home = join(domain, address);
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "password"), `{SHA512-CRYPT}${crypt}`);
  for (const path of [domain, home, join(home, "password")]) chownSync(path, vmail.uid, vmail.gid);
  return address;
}

interface Session {
  /** What was answered; starts with "OK" or 235 for who is let in. */
  login(user: string, secret: string): Promise<string>;
  end(): void;
}

const open: Record<FloodService, (pod: RelayPod, client: string) => Promise<Session>> = {
  async imap(pod, client) {
    const imap = await ImapClient.open({ ...pod.at(ports.imaps), preamble: proxyV2(client) });
    return {
      login: async (user, secret) => {
        const { status, text } = await imap.login(user, secret);
        return `${status} ${text}`;
      },
      end: () => imap.destroy(),
    };
  },
  async submission(pod, client) {
    const smtp = await SmtpClient.ready({ ...pod.at(ports.submissions), preamble: proxyV2(client) });
    return {
      login: async (user, secret) => (await smtp.login(user, secret)).text,
      end: () => smtp.destroy(),
    };
  },
};

const isOk = (answer: string) => /^(OK|235) /.test(answer);

export interface Attack {
  what: string;
  client: (index: number) => string;
  user: (index: number) => string;
  /** Length of its passwords. */
  bytes: number;
}

/** Attacks on these accounts. */
export function attacksOn(addresses: readonly string[]): readonly Attack[] {
  const one = () => "203.0.113.66";
  const each = (index: number) => `2001:db8:66:${index.toString(16)}::1`;
  const first = () => addresses[0] ?? "";
  const all = (index: number) => addresses[index % addresses.length] ?? "";
  return [
    { what: "one client, one address, 900 bytes", client: one, user: first, bytes: 900 },
    { what: "one client, one address", client: one, user: first, bytes: 100 },
    { what: "one client, many addresses", client: one, user: all, bytes: 100 },
    { what: "many /64, one address", client: each, user: first, bytes: 100 },
    { what: "many /64, many addresses", client: each, user: all, bytes: 100 },
  ];
}

export interface Flood {
  connections: number;
  /** Wrong passwords that were answered so far. */
  attempts: () => number;
  /** How often each answer was given. */
  answers: ReadonlyMap<string, number>;
  stop(): Promise<void>;
}

/**
 * Logs in with one wrong password after the other at each connection, for as long as it is let.
 * What a limit turns away is left out.
 */
export async function startFlood(pod: RelayPod, service: FloodService, attack: Attack): Promise<Flood> {
  const { client, user, bytes } = attack;
  const sessions: Session[] = [];
  for (let index = 0; index < floodConnections; index += 30) {
    const some = Array.from({ length: 30 }, (_, offset) => open[service](pod, client(index + offset)));
    for (const opened of await Promise.allSettled(some)) if (opened.status === "fulfilled") sessions.push(opened.value);
  }
  let attempts = 0;
  const answers = new Map<string, number>();
  let going = true;
  const loops = sessions.map(async (session, index) => {
    try {
      while (going) {
        const answer = await session.login(user(index), randomName(12).padEnd(bytes, "x"));
        if (isOk(answer)) throw new Error("let in with a wrong password");
        attempts++;
        const first = answer.replace(/ in [a-z0-9]+ [a-z]+$/, "");
        answers.set(first, (answers.get(first) ?? 0) + 1);
      }
    } catch (thrown) {
      if (thrown instanceof Error && thrown.message.startsWith("let in")) throw thrown;
    }
  });
  return {
    connections: sessions.length,
    attempts: () => attempts,
    answers,
    stop: async () => {
      going = false;
      for (const session of sessions) session.end();
      await Promise.all(loops);
    },
  };
}

export interface HonestLogin {
  /** Milliseconds for the connection, and then for the login. */
  connectMs: number;
  loginMs: number;
}

/** Throws when it is refused. */
async function honestLogin(
  pod: RelayPod,
  login: { service: FloodService; client: string; user: string },
): Promise<HonestLogin> {
  const { service, client, user } = login;
  const start = performance.now();
  const session = await open[service](pod, client);
  const connected = performance.now();
  const answer = await session.login(user, password);
  const loginMs = performance.now() - connected;
  session.end();
  if (!isOk(answer)) throw new Error(`an honest login was refused: ${answer}`);
  return { loginMs, connectMs: connected - start };
}

/**
 * Whoever has an account, whoever makes one, and the owner of an attacked account, who comes from
 * where they have been before.
 */
export const honestKinds = ["known", "new", "owner"] as const;

export function honestClients(pod: RelayPod, service: FloodService, attacked: string) {
  let count = 0;
  const next = (network: number) => `198.18.${network}.${++count % 250}`;
  const owner = { service, client: "198.19.0.9", user: attacked };
  return {
    known: () => honestLogin(pod, { service, client: next(0), user: giveAccount(pod) }),
    new: () => honestLogin(pod, { service, client: next(1), user: `${randomName(9)}@${pod.domain}` }),
    owner: () => honestLogin(pod, owner),
  } satisfies Record<(typeof honestKinds)[number], () => Promise<HonestLogin>>;
}
