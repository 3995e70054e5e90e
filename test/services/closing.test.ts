/**
 * The end of a relay pod: it accepts no more mail, sends what it has, says how much is left, and
 * its mail is deleted while its accounts stay.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import { eraseContainers } from "../../src/pod/containers.ts";
import { planOf, planText } from "../../src/pod/plan-of.ts";
import { newAccount, password } from "../helpers/accounts.ts";
import { type FakePeer, startFakePeer } from "../helpers/fake-peer.ts";
import { postMail } from "../helpers/https.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { encryptedMessage, randomName } from "../helpers/messages.ts";
import { type OwnAddress, ownAddress } from "../helpers/own-address.ts";
import { type RelayPod, startRelayPod, waitingMails } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { namesUp } from "../lab/lab.ts";
import { publishZone, removeZone } from "../lab/names.ts";

const peerDomain = "_closing-peer.test";
const closed = /^451 4\.3\.2 This server is being shut down and accepts no more mail/;
const patience = { patienceMs: patienceMs.client, everyMs: 200 };
let pod: RelayPod;
let peer: FakePeer | undefined;
let at: OwnAddress;
let alice: string;
let bob: string;

const status = async () => {
  const answer = await fetch(`http://${pod.host}:${ports.health}/status`);
  return ((await answer.json()) as { closing?: { left?: number } }).closing;
};
const submit = async (to: string) => {
  const smtp = await SmtpClient.ready(pod.at(ports.submissions), alice, password);
  const { code, text } = await smtp.send({
    from: alice,
    to: [to],
    data: encryptedMessage({ from: alice, to: [to] }),
  });
  await smtp.quit();
  return code === 250 ? "250" : text;
};
const messagesOf = async (user: string) => {
  const client = await ImapClient.ready(pod.at(ports.imaps), user, password);
  const { untagged } = await client.say("SELECT INBOX");
  await client.logout();
  return Number(untagged.join("\n").match(/(\d+) EXISTS/)?.[1]);
};

beforeAll(async () => {
  await namesUp();
  pod = await startRelayPod({ domain: "_closing.test" });
  await publishZone(pod.domain, pod.zone);
  at = await ownAddress();
  // nobody listens there yet
  await publishZone(peerDomain, `@ A ${at.address}`);
  alice = await newAccount(pod);
  bob = await newAccount(pod);
});
afterAll(async () => {
  await peer?.close();
  await removeZone(peerDomain);
  if (pod) await removeZone(pod.domain);
  await pod?.remove();
  await at?.remove();
});

test("a server that goes on does not speak of its queue", async () => {
  expect(await status()).toBeUndefined();
});

test("one that closes accepts no mail and no accounts, and serves those that it has", async () => {
  expect(await submit(bob)).toMatch(/^250/);
  await until("the message", async () => (await messagesOf(bob)) === 1, patience);
  expect(await submit(`kim@${peerDomain}`)).toMatch(/^250/);
  // one that is half way when the server closes
  const half = await SmtpClient.ready(pod.at(ports.submissions), alice, password);
  for (const step of [`MAIL FROM:<${alice}>`, `RCPT TO:<${bob}>`, "DATA"])
    expect((await half.say(step)).code).toBeLessThan(400);

  const spec = await pod.change({});
  await pod.usePlan(planText(planOf(spec, { closing: true })));
  expect(await submit(bob)).toMatch(closed);
  const late = await half.finish(encryptedMessage({ from: alice, to: [bob] }));
  expect(late.text).toMatch(closed);
  const from = "x@elsewhere.example";
  const posted = await postMail(pod, { from, to: [bob], body: encryptedMessage({ from, to: [bob] }) });
  expect(posted).toMatchObject({ status: 400, body: expect.stringMatching(closed) });
  const smtp = await SmtpClient.ready(pod.at(ports.smtp));
  const refused = await smtp.send({ from, to: [bob], data: encryptedMessage({ from, to: [bob] }) });
  expect(refused.text).toMatch(closed);
  await smtp.quit();

  expect(await messagesOf(bob)).toBe(1);
  const stranger = await ImapClient.open(pod.at(ports.imaps));
  expect((await stranger.login(`${randomName(9)}@${pod.domain}`, password)).status).toBe("NO");
  await stranger.logout();
});

test("what waits for a peer is told, tried, and gone when the peer answers", async () => {
  await until("one message", async () => (await status())?.left === 1, patience);
  expect(await waitingMails(pod)).toBe(1);
  peer = await startFakePeer({ domain: peerDomain, host: at.address, port: ports.https });
  await until("the queue to be empty", async () => (await status())?.left === 0, {
    ...patience,
    patienceMs: patienceMs.pod,
  });
  expect(peer.deliveries.map(({ recipients }) => recipients)).toEqual([[`kim@${peerDomain}`]]);
  expect(await waitingMails(pod)).toBe(0);
});

test("its mail is deleted by the containers of the Job, each as its own user; accounts log in as before", async () => {
  const home = join(pod.volume("mail"), pod.domain, bob);
  const day = statSync(join(home, "password")).mtimeMs;
  expect(readdirSync(join(home, "cur")).length + readdirSync(join(home, "new")).length).toBe(1);
  const [mail, queue] = eraseContainers;
  if (!mail || !queue) throw new Error("mail and queue each have a container");
  await pod.stop("dovecot");
  expect(JSON.parse(await pod.exec("relay", ...mail.command))).toMatchObject({ accounts: 2, failures: 0 });
  await pod
    .exec("postfix", "sh", "-c", "touch /var/spool/postfix/deferred/0 && chown 5001:5001 /var/spool/postfix/deferred/0")
    .catch(() => undefined);
  const said = JSON.parse(await pod.execAs(queue, "postfix", ...queue.command));
  expect(said).toMatchObject({ failures: 0 });
  expect(existsSync(join(home, "cur"))).toBe(true);
  expect(readdirSync(home).sort()).toEqual(["cur", "enforceE2EEincoming", "password"]);
  expect(statSync(join(home, "password")).mtimeMs).toBe(day);
  await pod.start("dovecot");
  expect(await messagesOf(bob)).toBe(0);
});
