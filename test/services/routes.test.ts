/**
 * Two relays and the routes between them: SMTP first, HTTPS once it is known, and back when it
 * breaks; no mail is lost, none comes twice.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import { newAccount, password } from "../helpers/accounts.ts";
import { type FakePeer, startFakePeer } from "../helpers/fake-peer.ts";
import { postMail } from "../helpers/https.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { clearMessage, encryptedMessage, randomName } from "../helpers/messages.ts";
import { type OwnAddress, ownAddress } from "../helpers/own-address.ts";
import { type RelayPod, startRelayPod, tryWaitingMail, waitingMails } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { askForRoutesAgain, goneByHttps, hasHttpsRoute, haveGoneByHttps, tableAnswer } from "../helpers/socketmap.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { closeHttps } from "../helpers/without-https.ts";
import { namesUp } from "../lab/lab.ts";
import { publishZone, removeZone } from "../lab/names.ts";
import { addresses } from "../lab/place.ts";

/** A peer in this process, without port 25. */
const fakeDomain = "_roads-fake.test";
let fake: FakePeer;
let at: OwnAddress;

let one: RelayPod;
let two: RelayPod;
let alice: string;
let bob: string;

beforeAll(async () => {
  await namesUp();
  // one of them sends more than people do
  const spec = { accounts: { sendRatePerMinute: 600, sendBurst: 100 } };
  one = await startRelayPod({ domain: "_roads-one.test", spec });
  two = await startRelayPod({ domain: "_roads-two.test", spec });
  for (const pod of [one, two]) await publishZone(pod.domain, pod.zone);
  at = await ownAddress();
  fake = await startFakePeer({ domain: fakeDomain, host: at.address, port: ports.https });
  await publishZone(fakeDomain, `@ A ${at.address}`);
  alice = await newAccount(one);
  bob = await newAccount(two);
});
afterAll(async () => {
  await fake?.close();
  await at?.remove();
  await removeZone(fakeDomain);
  for (const pod of [one, two]) {
    await pod?.remove();
    if (pod) await removeZone(pod.domain);
  }
});

/** Hands in one mail from alice; its mark. */
async function send(to: string | readonly string[] = bob, size?: number): Promise<string> {
  const mark = randomName(12);
  const recipients = [to].flat();
  const smtp = await SmtpClient.ready(one.at(ports.submissions), alice, password);
  const headers = { "Chat-Mark": mark };
  const data = encryptedMessage({ from: alice, to: recipients, headers, ...(size === undefined ? {} : { size }) });
  expect(await smtp.send({ from: alice, to: recipients, data })).toMatchObject({ code: 250 });
  await smtp.quit();
  return mark;
}

async function messages(pod: RelayPod, user: string): Promise<string[]> {
  const client = await ImapClient.ready(pod.at(ports.imaps), user, password);
  await client.say("SELECT INBOX");
  const found = await client.messages();
  await client.logout();
  return found;
}

/** How often each of these arrived; resolves when all have. */
async function arrived(marks: readonly string[]): Promise<number[]> {
  const counts = async () => {
    const client = await ImapClient.ready(two.at(ports.imaps), bob, password);
    await client.say("SELECT INBOX");
    const found = (await client.say("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (CHAT-MARK)])")).untagged.join();
    await client.logout();
    return marks.map((mark) => found.split(mark).length - 1);
  };
  const all = async () => {
    const found = await counts();
    return found.every((count) => count > 0) && found;
  };
  await until(`${marks.length} mails`, all, { patienceMs: patienceMs.mail, everyMs: 100 });
  return counts();
}

/** The answer of transport_maps for a domain. */
const roadOf = (domain: string) => tableAnswer(one, "transport", `x@${domain}`);

/** A sender whose mail needs no signature, as it has no domain. */
const unsigned = `x@[${addresses.gateway}]`;

/** The text of the bounce for the mail with this mark. */
const bounce = (mark: string) =>
  until(
    "a bounce",
    async () => (await messages(one, alice)).find((text) => text.includes(mark) && text.includes("multipart/report")),
    { patienceMs: patienceMs.mail, everyMs: 100 },
  );

/** Until the fake's route is known. */
async function learnFake() {
  fake.answer = { status: 200, text: "250 OK" };
  await until("the fake's https", () => hasHttpsRoute(one, fakeDomain), {
    patienceMs: patienceMs.mail,
  });
}

test("the HTTPS delivery is found beside the first mail, and taken", async () => {
  expect(await arrived([await send()])).toEqual([1]);
  await until("the https", () => hasHttpsRoute(one, two.domain), { patienceMs: patienceMs.mail });
  await askForRoutesAgain(one);
  const before = await goneByHttps(one);
  expect(await arrived([await send(), await send(bob, 5_000_000)])).toEqual([1, 1]);
  await haveGoneByHttps(one, before + 2);
});

test("when 443 is down, mail takes SMTP in the same attempt, once, and comes back to HTTPS", async () => {
  const openHttps = await closeHttps(two);
  const marks = [await send(), await send()];
  expect(await arrived(marks)).toEqual([1, 1]);
  expect(await roadOf(two.domain)).toBe("");
  await openHttps();
  const back = () => hasHttpsRoute(one, two.domain);
  await until("the https to be back", back, { patienceMs: patienceMs.client, everyMs: 500 });
  await askForRoutesAgain(one);
  const before = await goneByHttps(one);
  expect(await arrived([await send()])).toEqual([1]);
  await haveGoneByHttps(one, before + 1);
});

test("a domain that never answers does not delay another, and loses nothing", async () => {
  await learnFake();
  fake.answer = "hold";
  const slow: string[] = [];
  fake.deliveries.length = 0;
  for (let count = 0; count < 8; count++) slow.push(await send(`someone@${fakeDomain}`));
  // as many as Postfix sends at once to a domain that it has only just met
  await until("the slow mails to be on their way", () => fake.deliveries.length >= 5, {
    patienceMs: patienceMs.mail,
  });
  expect(await arrived([await send()])).toEqual([1]);
  // which it did while none of them was answered
  expect(await waitingMails(one)).toBe(slow.length);
  fake.answer = { status: 200, text: "250 OK" };
  fake.release(fake.answer);
  await until("the queue to be empty", async () => (await waitingMails(one)) === 0, { patienceMs: patienceMs.mail });
  for (const mark of slow) expect(fake.deliveries.filter(({ body }) => body.includes(mark))).toHaveLength(1);
});

test("what goes out tells nothing of the sender's client, and nothing is added but a signature", async () => {
  await learnFake();
  const to = [`${randomName(9)}@${fakeDomain}`];
  const secrets = {
    "User-Agent": "Secret/1",
    "X-Mailer": "Secret",
    "X-Originating-IP": "192.0.2.7",
    Received: "from secret",
  };
  const data = encryptedMessage({ from: alice, to, subject: "Secret plans", headers: secrets });
  const smtp = await SmtpClient.ready(one.at(ports.submissions), alice, password);
  expect(await smtp.send({ from: alice, to, data })).toMatchObject({ code: 250 });
  await smtp.quit();
  const arrival = () => fake.deliveries.find(({ recipients }) => recipients.join() === to.join());
  const { sender, body } = await until("the mail", arrival, { patienceMs: patienceMs.mail });
  expect(sender).toBe(alice);
  const [head = "", ...rest] = body.split("\r\n\r\n");
  expect(head.match(/^[\w-]+(?=:)/gm)?.join(" ")).toBe(
    "DKIM-Signature From To Subject Message-ID Date MIME-Version Content-Type",
  );
  expect(head).toContain("\r\nSubject: [...]\r\n");
  expect(rest).toEqual(data.split("\r\n\r\n").slice(1));
});

test("what the peer refuses for good comes back with its words", async () => {
  await learnFake();
  fake.answer = { status: 400, text: "523 Encryption Needed: Invalid Unencrypted Mail\n" };
  const mark = await send(`refused@${fakeDomain}`);
  expect(await bounce(mark)).toMatch(/523 Encryption Needed: Invalid\s+Unencrypted Mail/);
  fake.answer = { status: 200, text: "250 OK" };
});

test("a recipient whom the peer refuses comes back alone", async () => {
  await until("the https", () => hasHttpsRoute(one, two.domain), { patienceMs: patienceMs.mail });
  // no account of the peer can have such a name, so it refuses the whole request for it
  const refused = `no%account@${two.domain}`;
  const mark = await send([refused, bob]);
  expect(await bounce(mark)).toContain(`<${refused}>`);
  expect(await arrived([mark])).toEqual([1]);
});

test("a domain that takes no mail, and one that does not exist, are told at once", async () => {
  await publishZone("_roads-null.test", "@ MX 0 .");
  expect(await bounce(await send("x@_roads-null.test"))).toMatch(/does not\s+accept\s+mail/);
  expect(await bounce(await send("x@_roads-nowhere.test"))).toMatch(/not\s+found/i);
  await removeZone("_roads-null.test");
});

test("while the relay daemon is away mail waits; what it knew is there when it is back", async () => {
  await learnFake();
  for (const name of ["web", "postfix"] as const) await two.stop(name);
  const mark = await send();
  await until("the mail to be put off", async () => /status=deferred/.test(await one.logs("postfix")));
  await one.stop("relay");
  for (const name of ["web", "postfix"] as const) await two.start(name);
  const deferred = async () => (await one.logs("postfix")).match(/routes[.]sock|status=deferred/g)?.length ?? 0;
  const before = await deferred();
  await until("another try", async () => (await deferred()) > before, { patienceMs: patienceMs.client, everyMs: 200 });
  expect(await waitingMails(one)).toBe(1);
  await one.start("relay");
  // a domain that is not known is never answered with a route the first time
  expect(await roadOf(fakeDomain)).toMatch(/^https:/);
  // Postfix has come back to it by itself once; the next time is when it is twice as old
  await tryWaitingMail(one);
  expect(await arrived([mark])).toEqual([1]);
});

describe("/mxdeliv, as another relay calls it", () => {
  const from = unsigned;
  const good = () => encryptedMessage({ from, to: [bob] });

  test.each([
    { what: "our recipient", to: () => [bob], status: 200, body: /^250 OK/ },
    { what: "capitals", to: () => [bob.toUpperCase()], status: 200, body: /^250 OK/ },
    {
      what: "an address that is nobody's yet",
      to: () => [`${randomName(9)}@${two.domain}`],
      status: 200,
      body: /^250 OK/,
    },
    { what: "somebody else's recipient", to: () => ["y@somewhere.test"], status: 400, body: /^554 5\.7\.1 / },
    {
      what: "one of two that is somebody else's",
      to: () => [bob, "y@somewhere.test"],
      status: 400,
      body: /^554 5\.7\.1 /,
    },
    { what: "a routed recipient", to: () => [`y%somewhere.test@${two.domain}`], status: 400, body: /^5/ },
    { what: "a recipient that is no address", to: () => ["bob> <y@somewhere.test"], status: 400, body: /^501 5\.1\.3/ },
    { what: "no recipient", to: () => [], status: 400, body: /^501 5\.5\.4/ },
    {
      what: "a thousand recipients",
      to: () => Array.from({ length: 1000 }, (_, at) => `someone${at}@${two.domain}`),
      status: 200,
      body: /^250 OK/,
    },
    {
      what: "one more than a thousand",
      to: () => Array.from({ length: 1001 }, (_, at) => `someone${at}@${two.domain}`),
      status: 400,
      body: /^452 4\.5\.3 /,
    },
  ])("$what: $status", async ({ to, status, body }) => {
    const answer = await postMail(two, { from, to: to(), body: good() });
    expect(answer).toMatchObject({ status, body: expect.stringMatching(body) });
  });

  test("clear text is refused as on port 25", async () => {
    const answer = await postMail(two, { from, to: [bob], body: clearMessage({ from, to: [bob] }) });
    expect(answer).toMatchObject({ status: 400, body: "523 Encryption Needed: Invalid Unencrypted Mail\n" });
  });

  test.each([
    ["a bare LF", (text: string) => text.replace("\r\n", "\n")],
    ["a lone dot", (text: string) => `${text}.\r\nmore\r\n`],
    ["no line end", (text: string) => text.slice(0, -2)],
    ["nothing", () => ""],
  ])("%s in the data is refused", async (_, spoil) => {
    expect(await postMail(two, { from, to: [bob], body: spoil(good()) })).toMatchObject({
      status: 400,
      body: "500 Invalid DATA\n",
    });
  });

  test("a message above the limit is 413, one of some megabytes passes", async () => {
    const over = `${good()}${`${"x".repeat(998)}\r\n`.repeat(31 * 1024)}`;
    expect(await postMail(two, { from, to: [bob], body: over })).toMatchObject({
      status: 413,
      body: "552 Message exceeds maximum size\n",
    });
    const large = encryptedMessage({ from, to: [bob], size: 4_500_000 });
    expect(await postMail(two, { from, to: [bob], body: large })).toMatchObject({ status: 200 });
  });

  test("without a sender it is taken too: bounces have none", async () => {
    expect(await postMail(two, { to: [bob], body: good() })).toMatchObject({ status: 200 });
  });

  test("a path below it is the same", async () => {
    expect(await postMail(two, { from, to: [bob], body: good(), path: "/mxdeliv/" })).toMatchObject({ status: 200 });
  });

  test.each(["GET", "PUT", "HEAD"])("a %s is 405, which is how others find it", async (method) => {
    expect(await postMail(two, { from, to: [bob], body: "", method })).toMatchObject({ status: 405 });
  });
});
