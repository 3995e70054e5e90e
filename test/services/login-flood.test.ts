/** Wrong passwords without end, by IMAP and by submission: who has the right one, and who is new, is let in meanwhile. */
import { chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import { vmail } from "../../src/pod/layout.ts";
import { sha512Crypt } from "../../src/relay/accounts/sha512-crypt.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { randomName } from "../helpers/messages.ts";
import { proxyV2 } from "../helpers/proxy-header.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { until } from "../helpers/until.ts";

const password = "correct horse";
const connections = 510;
/** What an honest login and a new address may take, in milliseconds. */
const limitMs = 500;

let pod: RelayPod;
const addresses: string[] = [];
let crypt: string;

beforeAll(async () => {
  pod = await startRelayPod({
    domain: "_flood.test",
    spec: { network: { proxyProtocol: { trustedNetworks: ["198.51.100.0/24"] } } },
  });
  crypt = sha512Crypt(password, "$6$saltsaltsaltsalt$") ?? "";
  for (let index = 0; index < connections; index++) addresses.push(give());
});
afterAll(() => pod?.remove());

/** An account that the relay has never seen logging in. */
function give(): string {
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

const doors = {
  async imap(client: string): Promise<Session> {
    const imap = await ImapClient.open({ ...pod.at(ports.imaps), preamble: proxyV2(client) });
    return {
      login: async (user, secret) => {
        const { status, text } = await imap.login(user, secret);
        return `${status} ${text}`;
      },
      end: () => imap.destroy(),
    };
  },
  async submission(client: string): Promise<Session> {
    const smtp = await SmtpClient.ready({ ...pod.at(ports.submissions), preamble: proxyV2(client) });
    return {
      login: async (user, secret) => (await smtp.login(user, secret)).text,
      end: () => smtp.destroy(),
    };
  },
} as const;
type DoorName = keyof typeof doors;

/** Logs in with one wrong password after the other at each connection, for as long as it is let. What a limit turns away is left out. */
async function attack(options: {
  door: DoorName;
  client: (i: number) => string;
  user: (i: number) => string;
  bytes: number;
}) {
  const { door, client, user, bytes } = options;
  const sessions: Session[] = [];
  for (let index = 0; index < connections; index += 30) {
    const some = Array.from({ length: 30 }, (_, offset) => doors[door](client(index + offset)));
    for (const opened of await Promise.allSettled(some)) if (opened.status === "fulfilled") sessions.push(opened.value);
  }
  const figures = { connections: sessions.length, attempts: 0 };
  const answers = new Map<string, number>();
  let going = true;
  const loops = sessions.map(async (session, index) => {
    try {
      while (going) {
        const secret = randomName(12).padEnd(bytes, "x");
        const answer = await session.login(user(index), secret);
        if (isOk(answer)) throw new Error("let in with a wrong password");
        figures.attempts++;
        const first = answer.replace(/ in [a-z0-9]+ [a-z]+$/, "");
        answers.set(first, (answers.get(first) ?? 0) + 1);
      }
    } catch (thrown) {
      if (thrown instanceof Error && thrown.message.startsWith("let in")) throw thrown;
    }
  });
  return {
    figures,
    answers,
    stop: async () => {
      going = false;
      for (const session of sessions) session.end();
      await Promise.all(loops);
    },
  };
}

const isOk = (answer: string) => /^(OK|235) /.test(answer);

interface Timed {
  loginMs: number;
  /** How long the connection took before, which has nothing to do with passwords. */
  connectMs: number;
}

async function timed(door: DoorName, client: string, user: string): Promise<Timed> {
  const start = performance.now();
  const session = await doors[door](client);
  const connected = performance.now();
  const answer = await session.login(user, password);
  const loginMs = performance.now() - connected;
  session.end();
  if (!isOk(answer)) throw new Error(`an honest login was refused: ${answer}`);
  return { loginMs, connectMs: connected - start };
}

const evil = "203.0.113.66";
const home = (index: number) => `2001:db8:66:${index.toString(16)}::1`;

describe.each(["imap", "submission"] as const)("%s", (door) => {
  test.each([
    { what: "one client, one address, 900 bytes", client: () => evil, user: () => addresses[0] ?? "", bytes: 900 },
    { what: "one client, one address", client: () => evil, user: () => addresses[0] ?? "", bytes: 100 },
    { what: "one client, many addresses", client: () => evil, user: (i: number) => addresses[i] ?? "", bytes: 100 },
    { what: "many /64, one address", client: home, user: () => addresses[0] ?? "", bytes: 100 },
    { what: "many /64, many addresses", client: home, user: (i: number) => addresses[i] ?? "", bytes: 100 },
  ])("$what: others are let in within half a second", async ({ what, client, user, bytes }) => {
    const [honest, owner] = [Array.from({ length: 8 }, give), addresses[0] ?? ""];
    // the owner of an attacked address comes from where it has been before
    await timed(door, "198.18.0.9", owner);
    const { figures, answers, stop } = await attack({ door, client, user, bytes });
    const known: Timed[] = [];
    const fresh: Timed[] = [];
    const owned: Timed[] = [];
    try {
      await until("the attack to run", () => figures.attempts > 0);
      for (const [index, address] of honest.entries()) {
        known.push(await timed(door, `198.18.0.${index + 10}`, address));
        fresh.push(await timed(door, `198.18.1.${index + 10}`, `${randomName(9)}@${pod.domain}`));
        owned.push(await timed(door, "198.18.0.9", owner));
      }
    } finally {
      await stop();
    }
    const worst = (times: readonly Timed[], what: keyof Timed) =>
      Math.round(Math.max(...times.map((each) => each[what])));
    const logins = {
      known: worst(known, "loginMs"),
      fresh: worst(fresh, "loginMs"),
      owned: worst(owned, "loginMs"),
    };
    const connectMs = worst([...known, ...fresh, ...owned], "connectMs");
    console.info(`${door}, ${what}: ${JSON.stringify({ ...figures, ...logins, connectMs, answers: [...answers] })}`);
    // a machine that is slow for other reasons is slow to connect to as well
    expect(Math.max(...Object.values(logins))).toBeLessThan(Math.max(limitMs, 5 * connectMs));
  });
});
