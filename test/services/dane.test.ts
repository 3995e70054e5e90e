/**
 * DANE between two relays: signed zones in BIND, a resolver that validates them, and a certificate
 * that only DANE vouches for.
 */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import { folders } from "../../src/pod/layout.ts";
import { newAccount, password } from "../helpers/accounts.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { encryptedMessage, randomName } from "../helpers/messages.ts";
import { makeOwnAuthority, type OwnAuthority } from "../helpers/own-authority.ts";
import { type RelayPod, startRelayPod, tryWaitingMail } from "../helpers/relay-pod.ts";
import { type SignedZones, startSignedZones } from "../helpers/signed-zones.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { tableAnswer } from "../helpers/socketmap.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { namesUp } from "../lab/lab.ts";
import { publishZone, removeZone } from "../lab/names.ts";

const peer = "dane-two.test";
/** Its mail goes to the same server, and its zone is not signed. */
const plain = "dane-plain.test";

let zones: SignedZones;
let authority: OwnAuthority;
let one: RelayPod;
let two: RelayPod;
let alice: string;
let bob: string;

beforeAll(async () => {
  await namesUp();
  [zones, authority] = await Promise.all([startSignedZones([peer]), makeOwnAuthority(peer)]);
  const network = { dnssecResolvers: [zones.resolver] };
  one = await startRelayPod({ domain: "_dane-one.test", spec: { network } });
  two = await startRelayPod({ domain: peer, certificate: authority.pair });
  await publishZone(one.domain, one.zone);
  await publishZone(plain, `@ MX 10 ${peer}.`);
  alice = await newAccount(one);
  bob = await newAccount(two);
});
afterAll(async () => {
  await Promise.all([one?.remove(), two?.remove(), zones?.remove()]);
  for (const zone of ["_dane-one.test", peer, plain]) await removeZone(zone);
});

/** Hands in one mail from alice; its mark, and its id in the queue. */
async function send(to = bob): Promise<{ mark: string; id: string }> {
  const mark = randomName(12);
  const smtp = await SmtpClient.ready(one.at(ports.submissions), alice, password);
  const data = encryptedMessage({ from: alice, to: [to], headers: { "Chat-Mark": mark } });
  const { text } = await smtp.send({ from: alice, to: [to], data });
  await smtp.quit();
  const id = /^250 .* queued as (\S+)/.exec(text)?.[1];
  if (!id) throw new Error(text);
  return { mark, id };
}

async function countOf(mark: string): Promise<number> {
  const client = await ImapClient.ready(two.at(ports.imaps), bob, password);
  await client.say("SELECT INBOX");
  const found = (await client.say("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (CHAT-MARK)])")).untagged.join();
  await client.logout();
  return found.split(mark).length - 1;
}

const arrival = ({ mark }: { mark: string }) =>
  until("the mail", async () => (await countOf(mark)) === 1, { patienceMs: 40_000, everyMs: 200 });

/** Resolves when the delivery of this mail was put off with these words. */
async function putOff({ id }: { id: string }, words: RegExp): Promise<void> {
  const linesOfIt = async () => (await one.logs("postfix")).split("\n").filter((line) => line.includes(id));
  const said = async () => (await linesOfIt()).some((line) => words.test(line));
  await until(`"${words.source}"`, said, { patienceMs: 40_000, everyMs: 200 }).catch(async (cause) => {
    throw new Error(`${String(cause)}\n${(await linesOfIt()).join("\n")}`, { cause });
  });
}

const policyOf = (domain: string) => tableAnswer(one, "tls-policy", domain);

const notVouchedFor = /status=deferred \(Server certificate not (trusted|verified)\)/;

const digest = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const wrong = "ab".repeat(32);

/**
 * Publishes what the peer says of its certificate, and waits until the resolver knows; `spoil`
 * changes the text after it was signed.
 */
async function publish(tlsa: string, spoil?: (text: string) => string): Promise<void> {
  const signed = await zones.sign(peer, `${two.zone}\n_25._tcp IN TLSA ${tlsa}`);
  await publishZone(peer, spoil ? spoil(signed) : signed);
  const known = async () => (await zones.tlsa(peer)) === (spoil ? undefined : tlsa);
  await until("the resolver to know", known, { patienceMs: patienceMs.mail });
  // an smtp process goes by what it was told for a second longer than the TTL: new ones are asked
  await one.exec("postfix", "postfix", "-c", folders.postfixConfig, "reload");
}

const becomes = (domain: string, policy: string) =>
  until(`${policy} for ${domain}`, async () => (await policyOf(domain)) === policy, { patienceMs: patienceMs.mail });

test("the server's own key as published: mail goes out to a server that no authority vouches for", async () => {
  await publish(`3 1 1 ${digest(authority.serverKey)}`);
  await becomes(peer, "dane-only");
  await arrival(await send());
});

test("its authority as published: mail goes out", async () => {
  await publish(`2 0 1 ${digest(authority.authority)}`);
  await arrival(await send());
});

test("the same server by a domain that is not signed: verified as before, which it fails", async () => {
  expect(await policyOf(plain)).toBe("verify match=hostname servername=hostname");
  await putOff(await send(`someone@${plain}`), notVouchedFor);
});

test("another key than the published one: mail waits, until it is right", async () => {
  await publish(`3 1 1 ${wrong}`);
  const mail = await send();
  await putOff(mail, notVouchedFor);
  expect(await countOf(mail.mark)).toBe(0);
  await publish(`3 1 1 ${digest(authority.serverKey)}`);
  await arrival(mail);
});

test("a record whose signature is wrong: mail waits, and is not sent with less", async () => {
  const right = `3 1 1 ${digest(authority.serverKey)}`;
  await publish(`3 1 1 ${wrong}`, (signed) => signed.replace(/(\sTLSA\s+)3 1 1 .*/, `$1${right}`));
  const mail = await send();
  await putOff(mail, /status=deferred \(TLSA lookup error/);
  expect([await countOf(mail.mark), await policyOf(peer)]).toEqual([0, "dane-only"]);
  await publish(`3 1 1 ${digest(authority.serverKey)}`);
  await tryWaitingMail(one);
  await arrival(mail);
});
