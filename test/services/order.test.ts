/** Mails of one sender to one recipient are seen in the order in which they were accepted. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import { newAccount, password } from "../helpers/accounts.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { encryptedMessage, randomName } from "../helpers/messages.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { goneByHttps, hasHttpsRoute } from "../helpers/socketmap.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { namesUp } from "../lab/lab.ts";
import { publishZone, removeZone } from "../lab/names.ts";

let one: RelayPod;
let two: RelayPod;
let alice: string;

beforeAll(async () => {
  await namesUp();
  const accounts = { sendRatePerMinute: 6000, sendBurst: 1000, sendSizePerMinute: "1Ti", sendSizeBurst: "1Ti" };
  // without push: deliveries are reported all the same
  one = await startRelayPod({ domain: "_order-one.test", spec: { accounts, services: { push: { enabled: false } } } });
  two = await startRelayPod({ domain: "_order-two.test", spec: { accounts } });
  for (const pod of [one, two]) await publishZone(pod.domain, pod.zone);
  alice = await newAccount(one);
});
afterAll(async () => {
  for (const pod of [one, two]) {
    await pod?.remove();
    if (pod) await removeZone(pod.domain);
  }
});

/**
 * Submits on one connection a mail for each of these sizes, each to all of these recipients; their
 * marks.
 */
async function burst(from: string, to: readonly string[], sizes: readonly number[]): Promise<string[]> {
  const smtp = await SmtpClient.ready(one.at(ports.submissions), from, password);
  const marks: string[] = [];
  for (const size of sizes) {
    const mark = randomName(12);
    const data = encryptedMessage({ from, to, headers: { "Chat-Mark": mark }, size });
    expect(await smtp.send({ from, to, data })).toMatchObject({ code: 250 });
    marks.push(mark);
  }
  await smtp.quit();
  return marks;
}

/** The marks of a mailbox in its order, once there are so many. */
async function seen(pod: RelayPod, user: string, count: number): Promise<string[]> {
  const client = await ImapClient.ready(pod.at(ports.imaps), user, password);
  const all = async () => {
    await client.say("SELECT INBOX");
    const { untagged } = await client.say("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (CHAT-MARK)])");
    const marks = untagged.flatMap((line) => /Chat-Mark: (\w+)/i.exec(line)?.[1] ?? []);
    return marks.length >= count && marks;
  };
  const marks = await until(`${count} mails`, all, { patienceMs: patienceMs.mail, everyMs: 50 });
  await client.logout();
  return marks;
}

/** How often a mail has waited in vain for the one before it. */
async function lateDeliveries({ host }: RelayPod): Promise<number> {
  const text = await (await fetch(`http://${host}:${ports.health}/metrics`)).text();
  return Number(/^deliveries_late_total (\d+)/m.exec(text)?.[1] ?? 0);
}

/** The large ones take longer to deliver: by themselves they would be overtaken. */
const sizes = [4_000_000, 500, 2_000_000, 500, 500, 3_000_000, 500, 500];

test("on one relay", async () => {
  const bob = await newAccount(one);
  const marks = await burst(alice, [bob], sizes);
  expect(await seen(one, bob, marks.length)).toEqual(marks);
});

test("what somebody sends to themselves", async () => {
  const marks = await burst(alice, [alice], sizes);
  expect(await seen(one, alice, marks.length)).toEqual(marks);
});

test("in a group, for each member", async () => {
  const members = await Promise.all(Array.from({ length: 5 }, () => newAccount(one)));
  const marks = await burst(alice, members, sizes);
  for (const member of members) expect(await seen(one, member, marks.length)).toEqual(marks);
});

test("of many senders at once, for each of them", async () => {
  const bob = await newAccount(one);
  const senders = await Promise.all(Array.from({ length: 10 }, () => newAccount(one)));
  const small = Array.from({ length: 6 }, () => 500);
  const all = await Promise.all(senders.map((sender) => burst(sender, [bob], small)));
  const there = await seen(one, bob, all.flat().length);
  for (const marks of all) expect(there.filter((mark) => marks.includes(mark))).toEqual(marks);
});

test("across two relays, by HTTPS", async () => {
  const scout = await newAccount(two);
  const byHttps = async () => {
    await burst(alice, [scout, alice], [500]);
    return (await goneByHttps(one)) > 0;
  };
  await until("the route", () => hasHttpsRoute(one, two.domain), { patienceMs: patienceMs.mail });
  await until("a mail by HTTPS", byHttps, { patienceMs: patienceMs.mail, everyMs: 500 });
  const bob = await newAccount(two);
  const marks = await burst(alice, [bob], sizes);
  expect(await seen(two, bob, marks.length)).toEqual(marks);
});

test("a mailbox that does not take its mail delays its sender once, and nobody else", async () => {
  const [bob, carol, dave] = await Promise.all([newAccount(one), newAccount(one), newAccount(one)]);
  await one.stop("dovecot");
  const before = await lateDeliveries(one);
  const marks = [...(await burst(alice, [bob], [500, 500])), ...(await burst(alice, [bob, dave], [500]))];
  // the second mail has waited for the first, and the third for nobody
  expect((await lateDeliveries(one)) - before).toBe(1);
  await burst(alice, [carol], [500]);
  expect((await lateDeliveries(one)) - before).toBe(1);
  await one.start("dovecot");
  const there = await until("all three", () => seen(one, bob, marks.length), { patienceMs: patienceMs.pod });
  expect(there.toSorted()).toEqual(marks.toSorted());
});
