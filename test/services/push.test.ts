/**
 * A delivered message wakes the devices of its address: from Dovecot over the relay daemon to an
 * HTTPS service that the test is.
 */
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { makeSelfSigned } from "../../src/certificates/self-signed.ts";
import { ports } from "../../src/mail/ports.ts";
import { domainFolder, folders } from "../../src/pod/layout.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { encryptedMessage, randomName } from "../helpers/messages.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { addresses } from "../lab/place.ts";

const domain = "_push.test";
const password = "correct horse";
let pod: RelayPod;
let service: Server;
let asked: { token: string; method: string; path: string }[];
/** Status for a token; undefined says nothing. */
let answer: (token: string) => number | undefined;
/** The service answers nobody before. */
let mayAnswer: Promise<unknown>;

/**
 * The push service of this test, at the lab's own address; its certificate is trusted because the
 * container is told to.
 */
beforeAll(async () => {
  const { certificatePem, keyPem } = await makeSelfSigned(addresses.gateway, new Date());
  service = createServer({ cert: certificatePem, key: keyPem }, async (request, response) => {
    const token = Buffer.concat(await request.toArray()).toString();
    asked.push({ token, method: request.method ?? "", path: request.url ?? "" });
    await mayAnswer;
    const status = answer(token);
    if (status !== undefined) response.writeHead(status).end("done");
  });
  await new Promise<void>((resolve) => service.listen(0, () => resolve()));
  const { port } = service.address() as AddressInfo;
  const url = `https://${addresses.gateway}:${port}/notify`;
  pod = await startRelayPod({
    domain,
    spec: { services: { push: { url }, appVersions: { configMapName: "app-versions" } } },
    relayEnv: { NODE_EXTRA_CA_CERTS: `${domainFolder(folders.appVersions, domain)}/ca.crt` },
    given: { appVersions: { "ca.crt": certificatePem } },
  });
});
afterAll(async () => {
  await pod?.remove();
  service?.close();
  service?.closeAllConnections();
});
beforeEach(() => {
  asked = [];
  answer = () => 200;
  mayAnswer = Promise.resolve();
});

const newAddress = () => `${randomName(9)}@${domain}`;
const imap = (user: string) => ImapClient.ready(pod.at(ports.imaps), user, password);
const tokensOf = async (user: string) => {
  const client = await imap(user);
  const { untagged } = await client.say("GETMETADATA INBOX /private/devicetoken");
  await client.logout();
  return untagged.join();
};

/** An address with these push tokens. */
async function withTokens(...tokens: string[]): Promise<string> {
  const user = newAddress();
  const client = await imap(user);
  for (const token of tokens) {
    expect((await client.say(`SETMETADATA INBOX (/private/devicetoken "${token}")`)).status).toBe("OK");
  }
  await client.logout();
  return user;
}

/** Sends a message and waits until it is there. */
async function send(from: string, to: string): Promise<void> {
  const before = await count(to);
  const smtp = await SmtpClient.ready(pod.at(ports.submissions), from, password);
  const data = encryptedMessage({ from, to: [to] });
  expect(await smtp.send({ from, to: [to], data })).toMatchObject({ code: 250 });
  await smtp.quit();
  await until("the message", async () => (await count(to)) > before, { patienceMs: patienceMs.mail });
}

async function count(user: string): Promise<number> {
  const client = await imap(user);
  const { untagged } = await client.say("STATUS INBOX (MESSAGES)");
  await client.logout();
  return Number(/MESSAGES (\d+)/.exec(untagged.join())?.[1]);
}

const left = () => {
  const folder = join(pod.volume("mail"), domain, "pending_notifications");
  return readdirSync(folder).length;
};
const told = (count: number) =>
  until(`${count} requests`, () => asked.length >= count, { patienceMs: patienceMs.client });

test("every device of the address is woken once; of the message only the token is told", async () => {
  // the longest token that there is
  const [one, two] = [`openpgp:${randomName(300)}`, `openpgp:${randomName(4088)}`];
  const [alice, bob] = [await withTokens(), await withTokens(one, two)];
  await send(alice, bob);
  await told(2);
  expect(asked.map(({ token }) => token).sort()).toEqual([one, two].sort());
  expect(new Set(asked.map(({ method, path }) => `${method} ${path}`))).toEqual(new Set(["POST /notify"]));
  await until("nothing left on the volume", () => left() === 0);
});

test("what somebody sends to themselves wakes nobody", async () => {
  const alice = await withTokens("alices-own-token");
  await send(alice, alice);
  const bob = await withTokens("bobs-token");
  await send(alice, bob);
  await told(1);
  expect(asked.map(({ token }) => token)).toEqual(["bobs-token"]);
});

test("410: the token is forgotten", async () => {
  const [alice, bob] = [await withTokens(), await withTokens("gone-token", "good-token")];
  answer = (token) => (token === "gone-token" ? 410 : 200);
  await send(alice, bob);
  await told(2);
  await until("the token to be forgotten", async () => !(await tokensOf(bob)).includes("gone-token"));
  expect(await tokensOf(bob)).toContain("good-token");
});

test("a push that failed is tried again, and by a daemon that starts", async () => {
  const [alice, bob] = [await withTokens(), await withTokens("patient-token")];
  answer = () => 503;
  await send(alice, bob);
  await told(1);
  expect(left()).toBe(1);
  await told(2);
  expect(left()).toBe(1);
  expect(await pod.stop("relay")).toBe(0);
  expect(left()).toBe(1);
  answer = () => 200;
  await pod.start("relay");
  await told(3);
  await until("nothing left on the volume", () => left() === 0);
});

test("a push service that never answers keeps no mail waiting, and no daemon from stopping", async () => {
  const [alice, bob] = [await withTokens(), await withTokens("silent-token")];
  answer = () => undefined;
  await send(alice, bob);
  await told(1);
  await send(alice, bob);
  // and not by the SIGKILL that comes after 30 s
  expect(await pod.stop("relay")).toBe(0);
  expect(left()).toBe(2);
  answer = () => 200;
  await pod.start("relay");
  await until("nothing left on the volume", () => left() === 0, { patienceMs: patienceMs.client });
});

test("app versions come from the ConfigMap, as it is now, and not when they are wrong", async () => {
  const client = await imap(newAddress());
  const entry = "/shared/vendor/deltachat/appversions";
  const ask = async () => (await client.say(`GETMETADATA "" ${entry}`)).untagged.join();
  expect(await ask()).toMatch(/NIL/);
  const versions = (integer: unknown) =>
    JSON.stringify({
      clients: [
        { clientId: "deltachat", sources: [{ sourceId: "gplay", versionInteger: integer, versionString: "2.57.0" }] },
      ],
    });
  pod.give("appVersions", "appversions.json", versions(754));
  expect(await ask()).toContain('{"clients":[{"clientId":"deltachat"');
  pod.give("appVersions", "appversions.json", versions("754"));
  expect(await ask()).toMatch(/NIL/);
  const recipients = (await client.say('GETMETADATA "" /shared/vendor/deltachat/maxsmtprecipients')).untagged.join();
  expect(recipients).toContain("1000");
  await client.logout();
});

test("60 accounts with 100 made-up tokens each: at most one of each comes before the push of another account", async () => {
  const alice = await withTokens();
  const bob = await withTokens("bobs-own-token");
  const flooders = await Promise.all(
    Array.from({ length: 60 }, async (_, nth) => {
      const user = newAddress();
      const client = await imap(user);
      for (let ten = 0; ten < 10; ten++) {
        const entries = Array.from({ length: 10 }, (_, each) => `/private/devicetoken "made-up-${nth}-${ten}-${each}"`);
        expect((await client.say(`SETMETADATA INBOX (${entries.join(" ")})`)).status).toBe("OK");
      }
      await client.logout();
      return user;
    }),
  );
  const gate = Promise.withResolvers<void>();
  mayAnswer = gate.promise;
  asked = [];
  const smtp = await SmtpClient.ready(pod.at(ports.submissions), alice, password);
  const mail = (to: string[]) => smtp.send({ from: alice, to, data: encryptedMessage({ from: alice, to }) });
  expect(await mail(flooders)).toMatchObject({ code: 250 });
  const ofFlooders = 60 * 10;
  await until("all pushes to wait", () => left() === ofFlooders, { patienceMs: patienceMs.client });
  expect(await mail([bob])).toMatchObject({ code: 250 });
  await smtp.quit();
  await until("bob's push to wait", () => left() === ofFlooders + 1, { patienceMs: patienceMs.client });
  const begun = asked.length;
  gate.resolve();
  await until("nothing left on the volume", () => left() === 0, { patienceMs: patienceMs.pod });
  const place = asked.findIndex(({ token }) => token === "bobs-own-token") - begun;
  console.log(`${begun} pushes had begun, and ${place} more came before bob's, of ${asked.length} in all`);
  expect(place).toBeLessThanOrEqual(60);
  expect(asked.length).toBeLessThanOrEqual(ofFlooders + 1);
});

test.each([400, 404])("%s: a made-up token is forgotten at the first try", async (status) => {
  const [alice, bob] = [await withTokens(), await withTokens("no-such-token", "right-token")];
  answer = (token) => (token === "no-such-token" ? status : 200);
  await send(alice, bob);
  await told(2);
  await until("the token to be forgotten", async () => !(await tokensOf(bob)).includes("no-such-token"));
  await send(alice, bob);
  await told(3);
  expect(asked.map(({ token }) => token).filter((token) => token === "no-such-token")).toHaveLength(1);
});

test("without push a token is refused, none is kept, and what waited is deleted", async () => {
  const without = await startRelayPod({ domain, spec: { services: { push: { enabled: false } } } });
  try {
    const user = newAddress();
    const client = await ImapClient.ready(without.at(ports.imaps), user, password);
    expect((await client.say("CAPABILITY")).untagged.join()).not.toContain("XDELTAPUSH");
    for (const value of ['"kept-token"', "NIL"]) {
      const answer = await client.say(`SETMETADATA INBOX (/private/devicetoken ${value})`);
      expect(answer).toMatchObject({ status: "NO" });
    }
    expect((await client.say("GETMETADATA INBOX /private/devicetoken")).untagged.join()).not.toContain("kept-token");
    await client.logout();
    const mailbox = join(without.volume("mail"), domain, user);
    expect(readdirSync(mailbox)).toContain("password");
    expect(readdirSync(mailbox)).not.toContain("metadata.json");

    // tokens and pushes from before it was turned off
    const seconds = Math.floor(Date.now() / 1000);
    writeFileSync(join(mailbox, "metadata.json"), `{"devicetoken":{"old-token":${seconds}}}`);
    const waiting = join(without.volume("mail"), domain, "pending_notifications");
    await without.exec("relay", "mkdir", `${folders.mail}/${domain}/pending_notifications`);
    writeFileSync(join(waiting, "0123"), `${user}\n${seconds}\nold-token`);
    await without.stop("relay");
    await without.start("relay");
    await until("waiting pushes to be deleted", () => !existsSync(waiting));
    const again = await ImapClient.ready(without.at(ports.imaps), user, password);
    expect((await again.say("GETMETADATA INBOX /private/devicetoken")).untagged.join()).not.toContain("old-token");
    await again.logout();
  } finally {
    await without.remove();
  }
});

test("the logs name neither address nor token", async () => {
  const logs = await pod.logs();
  expect(logs).toContain("app versions invalid");
  expect(logs).not.toMatch(/openpgp:|patient-token|gone-token/);
  expect(logs.match(/\S*[^\s<]@[a-z_[]\S*/g) ?? []).toEqual([]);
});
