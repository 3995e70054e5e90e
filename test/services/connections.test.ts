/**
 * One client, or two, that hold as many connections as they can, on each port: others are served
 * meanwhile. And one client that is 300 honest
 * devices behind one address. How long others wait is measured by `npm run bench -- connections`.
 * Who is who tells the header of a load balancer, so that one machine can be many clients.
 */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import { newAccount, password } from "../helpers/accounts.ts";
import { clientHello, type HeldConnections, holdConnections } from "../helpers/held-connections.ts";
import { askHttps } from "../helpers/https.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { LineSocket } from "../helpers/line-socket.ts";
import { proxyV2 } from "../helpers/proxy-header.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { patienceMs, until } from "../helpers/until.ts";

const honest = "203.0.113.5";
const strangers = ["203.0.113.66", "203.0.113.67"];
const mostEach = 300;

let pod: RelayPod;
let alice: string;

beforeAll(async () => {
  pod = await startRelayPod({
    domain: "_held.test",
    spec: {
      network: {
        proxyProtocol: { trustedNetworks: ["198.51.100.0/24"] },
        connections: { submission: 150, perClient: mostEach },
      },
    },
  });
  alice = await newAccount({ domain: pod.domain, at: (port) => by(port, honest) });
});
afterAll(() => pod?.remove());

const held: HeldConnections[] = [];
afterEach(() => {
  for (const each of held.splice(0)) each.end();
});

async function hold(port: number, client: string, options: { connections: number; says?: Buffer }) {
  const attack = await holdConnections(by(port, client), options);
  held.push(attack);
  return attack;
}
const by = (port: number, client: string) => ({ ...pod.at(port), preamble: proxyV2(client) });
const openOf = (attacks: readonly HeldConnections[]) => attacks.reduce((sum, { open }) => sum + open(), 0);

/** It is done while the connections are held: some of them are still open at its end. */
async function meanwhile(attacks: readonly HeldConnections[], work: () => Promise<unknown>): Promise<void> {
  await work();
  expect(openOf(attacks)).toBeGreaterThan(0);
}

const page = async (client = honest) =>
  expect(await askHttps(pod, { path: "/", preamble: proxyV2(client) })).toMatchObject({ status: 200 });
/**
 * nginx has closed what was too many. Asked before this client does anything else: what it has open
 * for a moment counts as well.
 */
const limited = (attacks: readonly HeldConnections[]) =>
  until("the limit", () => openOf(attacks) === mostEach, { patienceMs: patienceMs.client });
async function redirect(): Promise<void> {
  const socket = await LineSocket.open(by(ports.http, honest), undefined);
  socket.write("GET / HTTP/1.0\r\n\r\n");
  expect(await socket.line()).toBe("HTTP/1.1 301 Moved Permanently");
  socket.destroy();
}
const readsMail = (port: number) => async () => (await ImapClient.ready(by(port, honest), alice, password)).logout();
const submits = (port: number) => async () => (await SmtpClient.ready(by(port, honest), alice, password)).quit();
const greets = async () => (await SmtpClient.ready(by(ports.smtp, honest))).quit();

test.each([
  { port: ports.https, what: "443, with ALPN imap", alpn: ["imap"] },
  { port: ports.https, what: "443, with ALPN smtp", alpn: ["smtp"] },
  { port: ports.https, what: "443, with ALPN h2", alpn: ["h2"] },
  { port: ports.https, what: "443, with nothing said", alpn: undefined },
  { port: ports.http, what: "80, with nothing said", alpn: undefined },
])("two clients with 1,000 connections each to port $what", async ({ port, alpn }) => {
  const says = alpn ? await clientHello(alpn) : Buffer.alloc(0);
  const attacks: HeldConnections[] = [];
  for (const client of strangers) attacks.push(await hold(port, client, { connections: 1000, says }));
  for (const { open } of attacks) {
    await until("the limit", () => open() <= mostEach, { patienceMs: patienceMs.client });
  }
  // each process has to be started once, which others wait for
  const started = async () => (await pod.processes("postfix", "smtpd")) >= 100;
  if (alpn?.includes("smtp")) await until("Postfix's processes", started, { patienceMs: patienceMs.client });
  for (const work of [page, redirect, readsMail(ports.https), submits(ports.https)]) await meanwhile(attacks, work);
});

test("connections of a client that are closed count no more", async () => {
  const client = "203.0.113.77";
  const attack = await hold(ports.http, client, { connections: mostEach + 10 });
  await limited([attack]);
  await expect(page(client)).rejects.toThrow();
  attack.end();
  expect(attack.open()).toBe(0);
  await until("a page again", () => page(client).then(() => true));
});

test("the addresses of a /64 are one client", async () => {
  const attacks = [];
  for (let at = 0; at < 10; at++)
    attacks.push(await hold(ports.http, `2001:db8::a:${at + 1}`, { connections: mostEach / 10 + 1 }));
  await limited(attacks);
  await expect(page("2001:db8::b:1")).rejects.toThrow();
  await page("2001:db8:0:1::1");
});

test.each([
  { port: ports.smtp, what: "port 25", work: () => greets },
  { port: ports.submissions, what: "port 465", work: () => submits(ports.submissions) },
  {
    port: ports.submission,
    what: "port 587",
    work: () => async () => (await SmtpClient.open(by(ports.submission, honest))).quit(),
  },
])("two clients with 200 connections each to $what", async ({ port, work }) => {
  const attacks: HeldConnections[] = [];
  for (const client of strangers) attacks.push(await hold(port, client, { connections: 200 }));
  await meanwhile(attacks, work());
});

test.each([
  { port: ports.imaps, says: ["imap"] },
  { port: ports.imap, says: undefined },
])(
  "two clients with 4,000 connections each to port $port, which never log in",
  async ({ port, says }) => {
    const before = await pod.memory();
    const hello = says ? await clientHello(says) : Buffer.alloc(0);
    const attacks: HeldConnections[] = [];
    for (const client of strangers) attacks.push(await hold(port, client, { connections: 4000, says: hello }));
    await meanwhile(attacks, readsMail(ports.imaps));
    const during = await pod.memory();
    const more = (name: "dovecot" | "web") => Math.round((during[name] - before[name]) / 1024);
    console.log(`meanwhile: Dovecot +${more("dovecot")} MiB, nginx +${more("web")} MiB`);
    // 600 that are left of 8,000
    expect(more("dovecot")).toBeLessThan(150);
  },
  300_000,
);

/**
 * One NAT: each device has one session at 993 or 443 that waits for news, and submits at the same
 * time as all others.
 */
test("300 devices behind one address read and submit at once", async () => {
  const nat = "203.0.113.200";
  const large = await startRelayPod({
    domain: "_nat.test",
    spec: { network: { proxyProtocol: { trustedNetworks: ["198.51.100.0/24"] } } },
  });
  try {
    const at = (port: number) => ({ ...large.at(port), preamble: proxyV2(nat) });
    const users: string[] = [];
    // Dovecot has ten sessions for one account and one client
    for (let count = 0; count < 30; count++) users.push(await newAccount({ domain: large.domain, at }));
    const before = await large.memory();
    /**
     * Ten for each account, few of them at the same moment: sessions and not logins are what is
     * counted here.
     */
    const ofEach = async <T>(open: (user: string, index: number) => Promise<T>): Promise<T[]> => {
      const all: T[] = [];
      for (const [index, user] of users.entries()) {
        for (let half = 0; half < 2; half++)
          all.push(...(await Promise.all([1, 2, 3, 4, 5].map(() => open(user, index)))));
      }
      return all;
    };
    const sessions = await ofEach((user, index) =>
      ImapClient.ready(at(index % 2 === 0 ? ports.imaps : ports.https), user, password),
    );
    const during = await large.memory();
    const submitting = await ofEach((user, index) =>
      SmtpClient.ready(
        at([ports.submissions, ports.https, ports.submission][index % 3] ?? ports.submissions),
        user,
        password,
      ),
    );
    const kib = (during.web - before.web) / sessions.length;
    console.log(`300 devices: nginx +${kib.toFixed(1)} KiB for each session`);
    await Promise.all(submitting.map((each) => each.quit()));
    await Promise.all(sessions.map((each) => each.logout()));
  } finally {
    await large.remove();
  }
}, 300_000);
