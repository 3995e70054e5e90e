/**
 * One pod with three domains, an ordinary name, a `_` name and an address literal: each is served
 * as if it were alone.
 */
import { X509Certificate } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sha256Of } from "../../src/certificates/pair.ts";
import { type KeyPair, makeSelfSigned } from "../../src/certificates/self-signed.ts";
import { makeRsaKey } from "../../src/dns/dkim-key.ts";
import { addressDomain } from "../../src/mail/address.ts";
import { ports } from "../../src/mail/ports.ts";
import { folders } from "../../src/pod/layout.ts";
import type { WrittenPlan } from "../../src/pod/plan.ts";
import { planText } from "../../src/pod/plan-of.ts";
import { password, planOnAnyLoad } from "../helpers/accounts.ts";
import { askHttps, postMail } from "../helpers/https.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { encryptedMessage, randomName } from "../helpers/messages.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { allPorts, servedCertificates, statesOfPorts } from "../helpers/served-certificates.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { privatePeers } from "../lab/place.ts";

type WrittenDomain = WrittenPlan["domains"][number];

const mebibyte = 2 ** 20;
const nine = "nine.domains.example";
const under = "_under.domains.test";
const fourth = "fourth.domains.example";
const invites: Record<string, string> = { [nine]: "invite-of-nine", [under]: "invite-of-under" };

/** Of the name, the `_` name and the literal, in the order of a plan. */
const domainsOf = (host: string): [WrittenDomain, WrittenDomain, WrittenDomain] => [
  {
    domain: nine,
    accounts: {
      ...planOnAnyLoad,
      registration: "Invite",
      quotaBytes: 100 * mebibyte,
      sendBurst: 3,
      sendRatePerMinute: 1,
    },
    messages: { maxBytes: 2 * mebibyte, deleteAfterDays: 9 },
    privacy: { postal: "Nine Street 9", mail: "nine@people.example" },
    services: { irohUrl: "https://iroh.nine.example", push: { enabled: false } },
  },
  {
    domain: under,
    accounts: { ...planOnAnyLoad, registration: "Invite", quotaBytes: 200 * mebibyte, usernameMaxLength: 12 },
    messages: { maxBytes: mebibyte, deleteAfterDays: 8 },
    privacy: { postal: "Under Street 8" },
    services: { appVersions: true },
  },
  {
    domain: host,
    accounts: { ...planOnAnyLoad, quotaBytes: 300 * mebibyte, createBurst: 10_000, createRatePerMinute: 10_000 },
    messages: { maxBytes: 4 * mebibyte, deleteAfterDays: 7 },
    privacy: { postal: "Literal Street 7", mail: "literal@people.example" },
    website: { own: true },
  },
];
const textOf = (domains: readonly WrittenDomain[]) =>
  planText({
    version: 1,
    hostname: "pod.domains.example",
    privatePeers,
    domains: [...domains] satisfies WrittenDomain[],
  });

let pod: RelayPod;
let literal: string;
let pairs: Record<string, KeyPair>;
let all: [string, string, string];

beforeAll(async () => {
  const [ofNine, ofUnder, rsaNine, rsaUnder] = await Promise.all([
    makeSelfSigned(nine, new Date()),
    makeSelfSigned(under, new Date()),
    makeRsaKey(),
    makeRsaKey(),
  ]);
  const clients = { clients: [] };
  pod = await startRelayPod({
    plan: (host) => textOf(domainsOf(host)),
    ownPages: { "index.html": "<!doctype html><title>own pages of the literal</title>" },
    others: {
      [nine]: { certificate: ofNine, rsaKeyPem: rsaNine, given: { invites: { link: invites[nine] ?? "" } } },
      [under]: {
        certificate: ofUnder,
        rsaKeyPem: rsaUnder,
        given: {
          invites: { link: invites[under] ?? "" },
          appVersions: { "appversions.json": JSON.stringify(clients) },
        },
      },
    },
  });
  literal = pod.host;
  all = [nine, under, literal];
  const ofLiteral = await makeSelfSigned(literal, new Date());
  pod.giveCertificate(ofLiteral, literal);
  pairs = { [nine]: ofNine, [under]: ofUnder, [literal]: ofLiteral };
  await until("the literal's certificate", async () => (await shownAt(ports.imaps, "")) === digest(ofLiteral), {
    patienceMs: patienceMs.client,
  });
});
afterAll(() => pod?.remove());

const digest = ({ certificatePem }: KeyPair) => sha256Of(new X509Certificate(certificatePem));
/** What a client gives as the name in TLS that means this domain. */
const nameOf = (domain: string) => (domain === literal ? "" : domain);
const at = (port: number, servername: string) => ({ ...pod.at(port), servername });
const to = (domain: string) => (port: number) => at(port, nameOf(domain));

async function shownAt(port: number, servername: string): Promise<string> {
  const client = await ImapClient.open(at(port, servername));
  const { sha256 } = client;
  client.destroy();
  return sha256;
}

/** Credentials as a client gets them, from the site of this domain. */
async function joinAt(domain: string, invite = invites[domain]): Promise<{ email: string; password: string }> {
  const path = invite === undefined ? "/new" : `/new?i=${invite}`;
  const { status, body } = await askHttps(pod, { path, method: "POST", site: domain });
  if (status !== 200) throw new Error(`${status} ${body}`);
  return JSON.parse(body) as { email: string; password: string };
}

interface User {
  address: string;
  password: string;
}

async function newUser(domain: string): Promise<User> {
  const { email: address, password } = await joinAt(domain);
  const client = await imap({ address, password }, domain);
  await client.logout();
  return { address, password };
}

const domainOf = ({ address }: User) => address.slice(address.indexOf("@") + 1).replace(/^\[(.*)\]$/, "$1");
const imap = ({ address, password }: User, via: string) =>
  ImapClient.ready(at(ports.imaps, nameOf(via)), address, password);
const smtp = ({ address, password }: User, via: string) =>
  SmtpClient.ready(at(ports.submissions, nameOf(via)), address, password);

async function send(from: User, recipients: readonly User[], size = 1200) {
  const client = await smtp(from, domainOf(from));
  const addresses = recipients.map(({ address }) => address);
  const data = encryptedMessage({ from: from.address, to: addresses, size });
  const reply = await client.send({ from: from.address, to: addresses, data });
  await client.quit();
  return reply;
}

async function messagesOf(user: User): Promise<number> {
  const client = await imap(user, domainOf(user));
  const { untagged } = await client.say("SELECT INBOX");
  await client.logout();
  return Number(/^\* (\d+) EXISTS$/m.exec(untagged.join("\n"))?.[1] ?? "0");
}

const hasMail = (user: User, count: number) =>
  until(`${count} messages`, async () => (await messagesOf(user)) === count, { patienceMs: patienceMs.client });

async function login(user: User, via: string): Promise<string> {
  return imap(user, via).then(
    async (client) => {
      await client.logout();
      return "in";
    },
    (thrown: unknown) => String(thrown),
  );
}

function overHttp(host: string, path: string): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const asking = request({ ...pod.at(ports.http), path, headers: { Host: host }, agent: false }, (response) => {
      response.resume();
      resolve(response.headers.location);
    });
    asking.on("error", reject).end();
  });
}

describe("certificates", () => {
  test("each domain's is shown at every port to who names it; who names none, or another, gets the literal's", async () => {
    for (const domain of all) {
      const shown = await servedCertificates(to(domain));
      for (const [port, sha256] of Object.entries(shown))
        expect(`${port} ${sha256}`).toBe(`${port} ${digest(pairs[domain] as KeyPair)}`);
    }
    const other = await servedCertificates((port) => at(port, "elsewhere.example"));
    for (const [port, sha256] of Object.entries(other))
      expect(`${port} ${sha256}`).toBe(`${port} ${digest(pairs[literal] as KeyPair)}`);
  });

  test("www and mta-sts of a domain have its certificate, and lead to it", async () => {
    const web = await servedCertificates((port) => at(port, port === ports.https ? `mta-sts.${nine}` : nine));
    expect(web[443]).toBe(digest(pairs[nine] as KeyPair));
    const policy = await askHttps(pod, { path: "/.well-known/mta-sts.txt", site: `mta-sts.${nine}` });
    expect(policy.body).toContain(`mx: ${nine}\n`);
    expect((await askHttps(pod, { path: "/info", site: `www.${under}` })).headers.location).toBe(
      `https://${under}/info`,
    );
  });
});

describe("the site", () => {
  test("of each domain says what is its own, and nothing of the others", async () => {
    const marks = {
      [nine]: ["Nine Street 9", "<dd>9 days</dd>", ">2\u00a0MiB<", ">100\u00a0MiB<"],
      [under]: ["Under Street 8", "<dd>8 days</dd>", ">1\u00a0MiB<", ">200\u00a0MiB<"],
    };
    for (const [domain, own] of Object.entries(marks)) {
      const paths = [
        "/",
        "/info",
        "/privacy",
        "/en/",
        "/de/privacy",
        "/nothing-here",
        "/.well-known/autoconfig/mail/config-v1.1.xml",
      ];
      const pages = await Promise.all(paths.map((path) => askHttps(pod, { path, site: domain })));
      const text = pages.map(({ body }) => body).join("\n");
      for (const mark of own) expect(text).toContain(mark);
      for (const other of all.filter((each) => each !== domain)) expect(text).not.toContain(other);
      for (const mark of ["Street 7", ...(domain === nine ? ["Street 8"] : ["Street 9"])])
        expect(text).not.toContain(mark);
    }
    const front = await askHttps(pod, { path: "/", site: literal });
    expect(front.body).toContain("own pages of the literal");
    expect(front.headers["content-security-policy"]).toContain("script-src 'self'");
    // the pages of another are not own ones
    expect((await askHttps(pod, { path: "/", site: nine })).headers["content-security-policy"]).not.toContain(
      "script-src",
    );
  });

  test("is where port 80 leads, by the name that was asked for", async () => {
    for (const domain of all) expect(await overHttp(domain, "/info")).toBe(`https://${domain}/info`);
  });

  test("is none for a name of none of them, but mail is taken", async () => {
    expect(await overHttp("elsewhere.example", "/")).toBeUndefined();
    for (const path of ["/", "/privacy", "/new", "/.well-known/mta-sts.txt"]) {
      const { status, body } = await askHttps(pod, { path, site: "elsewhere.example" });
      expect(status).toBe(421);
      for (const domain of all) expect(body).not.toContain(domain);
    }
    const user = await newUser(under);
    const from = "a@stranger.example";
    const body = encryptedMessage({ from, to: [user.address] });
    const answer = await postMail(pod, { from, to: [user.address], body, site: "mx.elsewhere.example" });
    // as far as the signature that it lacks
    expect(answer).toMatchObject({ status: 400, body: expect.stringContaining("DKIM") });
  });
});

describe("addresses", () => {
  test("are made by each domain's own rule and invites", async () => {
    for (const [domain, other] of [
      [nine, under],
      [under, nine],
    ] as const) {
      const wrong = await askHttps(pod, { path: `/new?i=${invites[other]}`, method: "POST", site: domain });
      expect(wrong).toMatchObject({ status: 403, body: expect.stringContaining("not valid") });
      expect((await askHttps(pod, { path: `/i/${invites[other]}`, site: domain })).status).toBe(404);
      const credentials = await joinAt(domain);
      expect(credentials.email).toMatch(new RegExp(`@${domain}$`));
      // the proof is for this address; nor does its password open one of the other domain
      const [local = ""] = credentials.email.split("@");
      expect(await login({ address: `${local}@${other}`, password: credentials.password }, other)).not.toBe("in");
      expect(await login({ address: credentials.email, password: credentials.password }, domain)).toBe("in");
      expect(await login({ address: `${randomName(9)}@${domain}`, password }, domain)).not.toBe("in");
    }
    const open = await joinAt(literal);
    expect(open.email).toMatch(/@\[/);
    expect(await login({ address: open.email, password: open.password }, literal)).toBe("in");
    // lengths
    expect((await joinAt(under)).email.split("@")[0]).toHaveLength(12);
    expect((await joinAt(nine)).email.split("@")[0]).toHaveLength(9);
  });

  test("log in by whatever name is given in TLS: it chooses the certificate and nothing else", async () => {
    const user = await newUser(nine);
    for (const via of all) {
      expect(await login(user, via)).toBe("in");
      const client = await smtp(user, via);
      await client.quit();
    }
  });

  test("see quota, contact, capabilities and entries of their own domain", async () => {
    const seen = async (domain: string, via = domain) => {
      const user = await newUser(domain);
      const client = await ImapClient.open(at(ports.imaps, nameOf(via)));
      const { status, text } = await client.login(user.address, user.password);
      expect(status).toBe("OK");
      const quota = (await client.say('GETQUOTAROOT "INBOX"')).untagged.join("\n");
      const names = ["irohrelay", "turn", "appversions"].map((name) => `/shared/vendor/deltachat/${name}`).join(" ");
      const entries = (await client.say(`GETMETADATA "" (/shared/admin ${names})`)).untagged.join("\n");
      const push = [text, ...(await client.say("CAPABILITY")).untagged].map((each) => each.includes("XDELTAPUSH"));
      await client.say("SELECT INBOX");
      const token = (await client.say('SETMETADATA INBOX (/private/devicetoken "token")')).status;
      await client.logout();
      return {
        quota: / (\d+)\)/.exec(quota)?.[1],
        admin: /mailto:\S+?(?=[")\s]|$)/.exec(entries)?.[0],
        iroh: entries.includes("https://iroh"),
        versions: entries.includes("clients"),
        push,
        token,
      };
    };
    // by whatever name
    expect(await seen(nine, under)).toEqual(await seen(nine));
    expect(await seen(literal, nine)).toEqual(await seen(literal));
    expect(await seen(nine)).toEqual({
      quota: String(100 * 1024),
      admin: "mailto:nine@people.example",
      iroh: true,
      versions: false,
      push: [false, false],
      token: "NO",
    });
    expect(await seen(under)).toEqual({
      quota: String(200 * 1024),
      admin: undefined,
      iroh: false,
      versions: true,
      push: [true, true],
      token: "OK",
    });
    expect(await seen(literal)).toEqual({
      quota: String(300 * 1024),
      admin: "mailto:literal@people.example",
      iroh: false,
      versions: false,
      push: [true, true],
      token: "OK",
    });
  });
});

describe("mail", () => {
  test("passes between all of them, whoever's certificate is shown", async () => {
    const users = await Promise.all(all.map(newUser));
    for (const from of users) expect(await send(from, users)).toMatchObject({ code: 250 });
    for (const user of users) await hasMail(user, 3);
  });

  test("is as large as its sender's domain and its recipient's allow", async () => {
    const [ofNine, ofUnder, ofLiteral] = (await Promise.all(all.map(newUser))) as [User, User, User];
    const size = 1.2 * mebibyte;
    const tooLarge = { code: 552, text: expect.stringContaining("5.3.4") };
    expect(await send(ofUnder, [ofLiteral], size)).toMatchObject(tooLarge);
    expect(await send(ofLiteral, [ofUnder], size)).toMatchObject(tooLarge);
    expect(await send(ofLiteral, [ofNine, ofLiteral], size)).toMatchObject({ code: 250 });
    await hasMail(ofNine, 1);
    // one who says so beforehand loses the one recipient alone
    const client = await smtp(ofLiteral, literal);
    expect(await client.say(`MAIL FROM:<${ofLiteral.address}> SIZE=${2 * mebibyte - 1000}`)).toMatchObject({
      code: 250,
    });
    expect(await client.say(`RCPT TO:<${ofUnder.address}>`)).toMatchObject(tooLarge);
    expect(await client.say(`RCPT TO:<${ofNine.address}>`)).toMatchObject({ code: 250 });
    await client.quit();
    // and by HTTPS, whatever the site
    const body = encryptedMessage({ from: "a@stranger.example", to: [ofUnder.address], size });
    for (const site of [under, literal]) {
      const answer = await postMail(pod, { from: "a@stranger.example", to: [ofUnder.address], body, site });
      expect(answer.status).toBe(413);
    }
  });

  test("is counted by its sender's own domain", async () => {
    const [ofNine, ofUnder] = (await Promise.all([nine, under].map(newUser))) as [User, User];
    for (const _ of [1, 2, 3]) {
      expect(await send(ofNine, [ofNine])).toMatchObject({ code: 250 });
      expect(await send(ofUnder, [ofUnder])).toMatchObject({ code: 250 });
    }
    expect(await send(ofNine, [ofNine])).toMatchObject({ code: 450 });
    expect(await send(ofUnder, [ofUnder])).toMatchObject({ code: 250 });
  });

  test("in another's name is refused, between the domains too", async () => {
    const [ofNine, ofUnder] = (await Promise.all([nine, under].map(newUser))) as [User, User];
    const client = await smtp(ofNine, under);
    expect((await client.say(`MAIL FROM:<${ofUnder.address}>`)).code).toBe(250);
    expect((await client.say(`RCPT TO:<${ofUnder.address}>`)).code).toBe(553);
    await client.quit();
  });
});

describe("what comes back", () => {
  test("of a mail that could not be delivered is in the name of the reader's own domain, and names no other", async () => {
    for (const domain of all) {
      const user = await newUser(domain);
      const nobody = { address: `nobody-${randomName(6)}@${addressDomain(domain)}`, password };
      expect(await send(user, [nobody])).toMatchObject({ code: 250 });
      await hasMail(user, 1);
      const client = await imap(user, domain);
      await client.say("SELECT INBOX");
      const [bounce = ""] = await client.messages();
      await client.logout();
      expect(bounce).toContain(`<MAILER-DAEMON@${addressDomain(domain)}>\r\n`);
      expect(bounce).toContain("Reporting-MTA: dns; pod.domains.example");
      for (const other of all.filter((each) => each !== domain)) expect(bounce).not.toContain(other);
    }
  });

  test("of a greeting names the pod, and no domain", async () => {
    for (const domain of all) {
      const client = await SmtpClient.ready(to(domain)(ports.submission));
      const text = `${client.greeting.text}\n${client.offers}`;
      await client.quit();
      expect(text).toContain("pod.domains.example");
      for (const other of all) expect(text).not.toContain(other);
    }
  });

  test("of the figures of one domain has its name", async () => {
    const figures = async () => (await fetch(`http://${pod.host}:${ports.health}/metrics`)).text();
    const of = async (name: string, domain: string) =>
      Number(new RegExp(`^${name}\\{domain="${domain}"[^}]*\\} (\\d+)$`, "m").exec(await figures())?.[1] ?? "0");
    const before = await Promise.all(all.map((domain) => of("created_accounts", domain)));
    const user = await newUser(under);
    expect(await send(user, [user])).toMatchObject({ code: 250 });
    const after = await Promise.all(all.map((domain) => of("created_accounts", domain)));
    expect(after.map((count, nth) => count - (before[nth] ?? 0))).toEqual([0, 1, 0]);
    expect(await of("outgoing_encrypted_mail_count", under)).toBeGreaterThan(0);
    // names that clients make up are none
    expect(await login({ address: `someone12@${randomName(9)}.example`, password }, under)).not.toBe("in");
    const labels = [...(await figures()).matchAll(/domain="([^"]*)"/g)].map(([, domain]) => domain);
    expect(new Set(labels)).toEqual(new Set(all));
  });
});

/** A session of each domain in IDLE, by 993 and by 443. */
async function idlers() {
  const users = await Promise.all(all.map(newUser));
  const each = users.flatMap((user) => [ports.imaps, ports.https].map((port) => ({ user, port })));
  return Promise.all(
    each.map(async ({ user, port }) => {
      const client = await ImapClient.ready(at(port, nameOf(domainOf(user))), user.address, user.password);
      await client.say("SELECT INBOX");
      return { user, idle: await client.idle() };
    }),
  );
}

/** All of them are told of a message that comes now. */
async function areConnected(waiting: Awaited<ReturnType<typeof idlers>>) {
  const from = await newUser(under);
  expect(
    await send(
      from,
      waiting.map(({ user }) => user),
    ),
  ).toMatchObject({ code: 250 });
  for (const { idle } of waiting) {
    let line = "";
    while (!line.endsWith(" EXISTS")) line = await idle.next();
    expect((await idle.done()).status).toBe("OK");
  }
}

const nginxWorkers = async () =>
  (await pod.exec("web", "sh", "-c", "for p in /proc/[0-9]*; do echo $p $(tr '\\0' ' ' < $p/cmdline); done"))
    .split("\n")
    .filter((line) => line.includes("worker process"))
    .map((line) => line.split(" ")[0]);

describe("while it runs", () => {
  test("an edit of one domain changes that one, and ends no session", async () => {
    const waiting = await idlers();
    const [ofNine, ofUnder, ofLiteral] = domainsOf(literal);
    const closed: WrittenDomain = {
      ...ofUnder,
      accounts: { ...ofUnder.accounts, registration: "Closed", quotaBytes: 50 * mebibyte },
      privacy: { postal: "Elsewhere 88" },
    };
    const member = await newUser(under);
    await pod.usePlan(textOf([ofNine, closed, ofLiteral]));
    expect((await askHttps(pod, { path: "/privacy", site: under })).body).toContain("Elsewhere 88");
    expect((await askHttps(pod, { path: "/privacy", site: nine })).body).toContain("Nine Street 9");
    expect((await askHttps(pod, { path: `/new?i=${invites[under]}`, method: "POST", site: under })).status).toBe(403);
    await joinAt(nine);
    const client = await imap(member, under);
    expect((await client.say('GETQUOTAROOT "INBOX"')).untagged.join("\n")).toContain(` ${50 * 1024})`);
    await client.logout();
    await pod.usePlan(textOf(domainsOf(literal)));
    await areConnected(waiting);
  });

  test("a certificate of one domain that is renewed is shown at every port; the others and nginx notice nothing", async () => {
    const waiting = await idlers();
    const workers = await nginxWorkers();
    expect(workers).toHaveLength(1);
    const fresh = await makeSelfSigned(under, new Date());
    pod.giveCertificate(fresh, under);
    const everywhere = async () =>
      Object.values(await servedCertificates(to(under))).every((each) => each === digest(fresh));
    await until("the new certificate at every port", everywhere, { patienceMs: patienceMs.client, everyMs: 100 });
    pairs[under] = fresh;
    for (const domain of [nine, literal])
      for (const sha256 of Object.values(await servedCertificates(to(domain))))
        expect(sha256).toBe(digest(pairs[domain] as KeyPair));
    expect(await nginxWorkers()).toEqual(workers);
    await areConnected(waiting);
  });

  test("the operator finds the certificate of each domain at every port; to whom names none, any of them may be shown", async () => {
    for (const domain of all) {
      const [sha256 = "", ...others] = [domain, ...all.filter((each) => each !== domain)].map((each) =>
        digest(pairs[each] as KeyPair),
      );
      const wanted = { host: pod.host, domain, sha256, proxyProtocol: false };
      expect(await statesOfPorts({ ...wanted, others })).toEqual(allPorts("Current"));
    }
  });

  test("a broken certificate of one domain leaves what is served, and the pod ready", async () => {
    const wrong = { certificatePem: (pairs[nine] as KeyPair).certificatePem, keyPem: (pairs[under] as KeyPair).keyPem };
    pod.giveCertificate(wrong, nine);
    await until("the daemon to say so", async () =>
      (await pod.logs("relay")).includes('"domain":"nine.domains.example","why":"tls.key'),
    );
    expect((await servedCertificates(to(nine)))[993]).toBe(digest(pairs[nine] as KeyPair));
    expect((await fetch(`http://${pod.host}:${ports.health}/readyz`)).status).toBe(200);
    pod.giveCertificate(pairs[nine] as KeyPair, nine);
  });

  test("a fourth domain comes, at first without certificate and key, and goes; its mail is there when it comes again", async () => {
    const waiting = await idlers();
    const domain: WrittenDomain = { domain: fourth, accounts: planOnAnyLoad, privacy: { postal: "Fourth Street 4" } };
    const four = textOf([...domainsOf(literal), domain]);
    await pod.usePlan(four);
    // another's certificate, so that nothing of the others is held up
    expect(all.map((each) => digest(pairs[each] as KeyPair))).toContain(await shownAt(ports.imaps, fourth));
    for (const each of all) expect(await shownAt(ports.imaps, nameOf(each))).toBe(digest(pairs[each] as KeyPair));
    const status = (await (await fetch(`http://${pod.host}:${ports.health}/status`)).json()) as {
      problems: Record<string, string>;
      acceptingAccounts: object;
    };
    expect(Object.keys(status.problems)).toEqual([fourth]);
    expect(Object.keys(status.acceptingAccounts).sort()).toEqual([...all, fourth].sort());
    expect((await fetch(`http://${pod.host}:${ports.health}/readyz`)).status).toBe(200);

    const pair = await makeSelfSigned(fourth, new Date());
    pod.giveDomain(fourth, { certificate: pair, rsaKeyPem: await makeRsaKey() });
    const everywhere = async () =>
      Object.values(await servedCertificates(to(fourth))).every((each) => each === digest(pair));
    await until("its certificate at every port", everywhere, { patienceMs: patienceMs.client, everyMs: 100 });
    await until("nothing to be missing", async () => {
      const { problems } = (await (await fetch(`http://${pod.host}:${ports.health}/status`)).json()) as {
        problems: object;
      };
      return Object.keys(problems).length === 0;
    });
    expect((await askHttps(pod, { path: "/privacy", site: fourth })).body).toContain("Fourth Street 4");
    const member = { address: `${randomName(9)}@${fourth}`, password };
    expect(await login(member, fourth)).toBe("in");
    const friend = await newUser(nine);
    expect(await send(member, [friend])).toMatchObject({ code: 250 });
    expect(await send(friend, [member])).toMatchObject({ code: 250 });
    await hasMail(member, 1);
    await hasMail(friend, 1);

    await pod.usePlan(textOf(domainsOf(literal)));
    expect(await login(member, fourth)).not.toBe("in");
    const site = () => askHttps(pod, { path: "/privacy", site: fourth });
    await until("its site to be gone", async () => (await site()).status === 421);
    const shown = () => shownAt(ports.imaps, fourth);
    await until("its certificate to be gone", async () => (await shown()) === digest(pairs[literal] as KeyPair));
    const { code } = await send(friend, [member]);
    expect(code).toBe(250); // to a stranger's domain now: it bounces
    expect(existsSync(join(pod.volume("mail"), fourth, member.address))).toBe(true);
    const served = (await pod.exec("relay", "ls", folders.servedTls)).trim().split("\n");
    expect(served.sort()).toEqual([...all].sort());

    await pod.usePlan(four);
    expect(await messagesOf(member)).toBe(1);
    await pod.usePlan(textOf(domainsOf(literal)));
    await areConnected(waiting);
  });

  test("a domain may be www of another: its name leads to its own pages then", async () => {
    const www: WrittenDomain = { domain: `www.${nine}`, accounts: planOnAnyLoad, privacy: { postal: "Own Street 3" } };
    const page = () => askHttps(pod, { path: "/privacy", site: www.domain });
    await pod.usePlan(textOf([...domainsOf(literal), www]));
    // nginx has been told; its new worker takes over when it has started
    await until("its own page", async () => (await page()).body.includes("Own Street 3"));
    await pod.usePlan(textOf(domainsOf(literal)));
    await until("the other's page", async () => (await page()).headers.location === `https://${nine}/privacy`);
  });

  test("each program that starts anew serves all of them", async () => {
    for (const name of ["relay", "dovecot", "postfix", "web"] as const) {
      await pod.stop(name);
      await pod.start(name);
    }
    const users = await Promise.all(all.map(newUser));
    for (const from of users) expect(await send(from, users)).toMatchObject({ code: 250 });
    for (const user of users) await hasMail(user, 3);
    for (const domain of all)
      for (const sha256 of Object.values(await servedCertificates(to(domain))))
        expect(sha256).toBe(digest(pairs[domain] as KeyPair));
  });
});

test("the logs have no name that a client gave in TLS and that is no domain", async () => {
  const logs = () => pod.logs("postfix");
  const ended = async () => (await logs()).match(/disconnect from/g)?.length ?? 0;
  const before = await ended();
  const names = ["given-in-tls.example", "alice@given-in-tls.example", "198.51.100.7"];
  const smtpPorts = [ports.smtp, ports.submissions, ports.submission];
  for (const servername of names)
    for (const port of smtpPorts) await (await SmtpClient.ready(at(port, servername))).quit();
  await until("the sessions to be logged", async () => (await ended()) >= before + names.length * smtpPorts.length);
  expect(await logs()).not.toMatch(/TLS SNI|given-in-tls/);
});

test("the volume has a folder for each domain, with its accounts alone", async () => {
  const mail = pod.volume("mail");
  for (const domain of all) {
    const names = readdirSync(join(mail, domain)).filter((name) => name.includes("@"));
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) expect(name.endsWith(`@${addressDomain(domain)}`)).toBe(true);
  }
});
