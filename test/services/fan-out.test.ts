/** Mail to many domains that do not answer delays no mail to one that does. */
import { createServer, type Server, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import { newAccount, password } from "../helpers/accounts.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { encryptedMessage, randomName } from "../helpers/messages.ts";
import { type OwnAddress, ownAddress } from "../helpers/own-address.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { tableAnswer } from "../helpers/socketmap.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { namesUp } from "../lab/lab.ts";
import { publishZone, removeZone } from "../lab/names.ts";

/** Every name in it is a domain whose server accepts connections and says nothing. */
const silentZone = "_fan-out-silent.test";
const deadDomains = 60;

let one: RelayPod;
let two: RelayPod;
let alice: string;
let silent: Server;
let at: OwnAddress;
const open = new Set<Socket>();
let tries = 0;
let mostOpen = 0;

beforeAll(async () => {
  await namesUp();
  at = await ownAddress();
  silent = createServer((socket) => {
    open.add(socket);
    tries++;
    mostOpen = Math.max(mostOpen, open.size);
    socket.on("error", () => socket.destroy()).on("close", () => open.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    silent.once("error", reject).listen({ port: ports.smtp, host: at.address }, () => resolve());
  });
  await publishZone(silentZone, `* A ${at.address}`);
  one = await startRelayPod({ domain: "_fan-out-one.test" });
  two = await startRelayPod({ domain: "_fan-out-two.test" });
  for (const pod of [one, two]) await publishZone(pod.domain, pod.zone);
  alice = await newAccount(one);
});
afterAll(async () => {
  silent?.close();
  for (const socket of open) socket.destroy();
  await at?.remove();
  await removeZone(silentZone);
  for (const pod of [one, two]) {
    await pod?.remove();
    if (pod) await removeZone(pod.domain);
  }
});

const dead = Array.from({ length: deadDomains }, (_, at) => `d${at}.${silentZone}`);

async function send(from: string, to: readonly string[]): Promise<string> {
  const mark = randomName(12);
  const smtp = await SmtpClient.ready(one.at(ports.submissions), from, password);
  const data = encryptedMessage({ from, to, headers: { "Chat-Mark": mark } });
  expect(await smtp.send({ from, to, data })).toMatchObject({ code: 250 });
  await smtp.quit();
  return mark;
}

async function arrived(user: string, mark: string): Promise<void> {
  const client = await ImapClient.ready(two.at(ports.imaps), user, password);
  const isThere = async () => {
    await client.say("SELECT INBOX");
    return (await client.messages()).some((text) => text.includes(mark));
  };
  await until("the mail", isThere, { patienceMs: patienceMs.client, everyMs: 50 });
  await client.logout();
}

test("a burst to sixty silent domains: mail to another one, which is met now, arrives while they are waited for", async () => {
  const bob = await newAccount(two);
  // six mails for each domain: more than there are processes, if several at once tried the same
  // silent server
  for (let count = 0; count < 6; count++)
    await send(
      alice,
      dead.map((domain) => `x${count}@${domain}`),
    );
  await until("a try of every silent domain", () => tries >= deadDomains, { patienceMs: patienceMs.pod });
  const before = [...open];
  await arrived(bob, await send(await newAccount(one), [bob]));
  // Postfix has not given up yet those that it waited for when the mail was sent
  expect(before.filter((socket) => open.has(socket)).length).toBeGreaterThan(0);
  // one for each domain, and one more since it is known not to answer
  expect(mostOpen).toBeLessThanOrEqual(2 * deadDomains);
}, 200_000);

test("domains whose servers did not answer have deliveries of their own", async () => {
  const known = async () => (await tableAnswer(one, "transport", `x@${dead[0]}`)).startsWith("unreached:");
  await until("the silent domain to be known", known, { patienceMs: patienceMs.client, everyMs: 200 });
  expect(await tableAnswer(one, "transport", `x@${two.domain}`)).not.toContain("unreached");
});
