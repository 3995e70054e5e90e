/**
 * DKIM between two relays and with strangers: what goes out is signed, what comes in has to be, and
 * nothing on the way breaks a signature.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import { newAccount, password } from "../helpers/accounts.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { clearMessage, encryptedMessage, randomName } from "../helpers/messages.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { goneByHttps, hasHttpsRoute, haveGoneByHttps } from "../helpers/socketmap.ts";
import { publishStrangeDomain, type StrangeDomain } from "../helpers/strange-domain.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { closeHttps } from "../helpers/without-https.ts";
import { publishZone, removeZone } from "../lab/names.ts";
import { addresses } from "../lab/place.ts";

/** Domains of other servers: one with a key, one whose key can't be looked up, one without any. */
const stranger = "dkim-stranger.test";
const deaf = "dkim-deaf.test";
const keyless = "dkim-keyless.test";
let strange: StrangeDomain;
let one: RelayPod;
let two: RelayPod;
let alice: string;
let bob: string;

beforeAll(async () => {
  one = await startRelayPod({ domain: "_dkim-one.test" });
  two = await startRelayPod({ domain: "_dkim-two.test" });
  for (const pod of [one, two]) await publishZone(pod.domain, pod.zone);
  strange = await publishStrangeDomain(stranger);
  // nobody answers at the name server that this part of the zone is said to have
  await publishZone(deaf, `_domainkey NS ns\nns A ${two.host}`);
  alice = await newAccount(one);
  bob = await newAccount(two);
});
afterAll(async () => {
  for (const pod of [one, two]) {
    await pod?.remove();
    if (pod) await removeZone(pod.domain);
  }
  await strange?.remove();
  await removeZone(deaf);
});

async function received(pod: RelayPod, user: string, mark: string): Promise<string> {
  const client = await ImapClient.ready(pod.at(ports.imaps), user, password);
  await client.say("SELECT INBOX");
  const find = async () => {
    await client.say("NOOP");
    return (await client.messages()).find((text) => text.includes(mark));
  };
  const text = await until(`a message with ${mark}`, find, { patienceMs: patienceMs.mail }).catch(async (thrown) => {
    const said = (await Promise.all([one, two].map((each) => each.logs("postfix")))).join("\n");
    throw new Error(`${String(thrown)}\n${said.split("\n").slice(-40).join("\n")}`);
  });
  await client.logout();
  return text;
}

async function submit(to: string, data: string) {
  const smtp = await SmtpClient.ready(one.at(ports.submissions), alice, password);
  expect(await smtp.send({ from: alice, to: [to], data })).toMatchObject({ code: 250 });
  await smtp.quit();
}

async function metric(pod: RelayPod, name: string): Promise<number> {
  const text = await (await fetch(`http://${pod.host}:${ports.health}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1] ?? Number.NaN);
}

/**
 * As legal as a mail can be that Postfix would like to change: 8-bit text in it, lines beyond 998
 * octets, odd white space.
 */
function oddMail(mark: string): string {
  const headers = {
    "Chat-Mark": mark,
    Autocrypt: `addr=${alice}; keydata=${"x".repeat(5_000)}`,
    "Reply-To": `\t "Älice"   <${alice}>\r\n\t `,
    "Content-Transfer-Encoding": "8bit",
  };
  const [head = "", ...rest] = encryptedMessage({ from: alice, to: [bob], headers }).split("\r\n\r\n");
  const [first = "", ...others] = rest;
  const described = first.replace(/^(--.*)$/m, `$1\r\nContent-Description: 8-bit, äöü ${"long ".repeat(190)}`);
  return [head, described, ...others].join("\r\n\r\n");
}

describe("between two relays", () => {
  test("by HTTPS and by SMTP: signed, and valid on arrival whatever is in it", async () => {
    const before = await metric(one, "dkim_signed");
    const sent: string[] = [];
    const arrives = async (mailOf: (mark: string) => string) => {
      const mark = randomName(12);
      sent.push(mark);
      await submit(bob, mailOf(mark));
      await received(two, bob, mark);
    };
    const plainMail = (mark: string) => encryptedMessage({ from: alice, to: [bob], headers: { "Chat-Mark": mark } });
    // before the first mail: Postfix stays with the route it was told for half a minute while one
    // address repeats
    await until("the HTTPS delivery", () => hasHttpsRoute(one, two.domain), { patienceMs: patienceMs.client });
    await arrives(plainMail);
    await haveGoneByHttps(one, 1);
    await arrives(oddMail);
    await haveGoneByHttps(one, 2);
    const openHttps = await closeHttps(two);
    await arrives(oddMail);
    await arrives(plainMail);
    expect(await goneByHttps(one)).toBe(2);
    await openHttps();
    expect(await metric(one, "dkim_signed")).toBe(before + sent.length);
  });

  test("a bounce is signed, and taken by the relay that it comes back to", async () => {
    const nobody = `${randomName(9)}@${two.domain}`;
    const before = await metric(two, "dkim_signed");
    await submit(nobody, encryptedMessage({ from: alice, to: [nobody] }));
    const bounce = await received(one, alice, nobody);
    expect(bounce).toMatch(/^From: .*MAILER-DAEMON@_dkim-two\.test/im);
    expect(await metric(two, "dkim_signed")).toBe(before + 1);
    expect(await metric(one, "incoming_mailer_daemon_mail_count")).toBe(1);
  });
});

describe("from strangers, on port 25", () => {
  const noSignature = "554 5.7.1 No DKIM signature found";
  const noValid = "554 5.7.1 No valid DKIM signature found";
  const later = "451 4.7.5 DKIM key can't be looked up now, try again later";
  const mailFrom = (domain: string) => encryptedMessage({ from: `x@${domain}`, to: [bob], subject: "Hello" });

  test.each<{ what: string; domain: string; data: () => Promise<string> | string; reply: string | RegExp }>([
    { what: "signed", domain: stranger, data: () => strange.signed(mailFrom(stranger)), reply: /^250 / },
    { what: "not signed", domain: stranger, data: () => mailFrom(stranger), reply: noSignature },
    {
      what: "changed after it was signed",
      domain: stranger,
      data: async () => (await strange.signed(mailFrom(stranger))).replace("Subject: Hello", "Subject: Other"),
      reply: noValid,
    },
    {
      what: "signed by another domain than its author's",
      domain: keyless,
      data: () => strange.signed(mailFrom(keyless)),
      reply: noValid,
    },
    {
      what: "of our own domain, forged",
      domain: "_dkim-two.test",
      data: () => mailFrom("_dkim-two.test"),
      reply: noSignature,
    },
    {
      what: "signed without a key in the DNS",
      domain: keyless,
      data: () => strange.signed(mailFrom(keyless), keyless),
      reply: noValid,
    },
    {
      what: "signed with a key that can't be looked up",
      domain: deaf,
      data: () => strange.signed(mailFrom(deaf), deaf),
      reply: later,
    },
    {
      what: "in the clear and not signed",
      domain: stranger,
      data: () => clearMessage({ from: `x@${stranger}`, to: [bob] }),
      reply: "523 Encryption Needed: Invalid Unencrypted Mail",
    },
    {
      what: "of an author at an address literal that is the client's",
      domain: `[${addresses.gateway}]`,
      data: () => mailFrom(`[${addresses.gateway}]`),
      reply: /^250 /,
    },
    {
      what: "of an author at another address literal",
      domain: "[192.0.2.1]",
      data: () => mailFrom("[192.0.2.1]"),
      reply: noSignature,
    },
  ])("$what: $reply", async ({ domain, data, reply }) => {
    const smtp = await SmtpClient.ready(two.at(ports.smtp));
    const { text } = await smtp.send({ from: `x@${domain}`, to: [bob], data: await data() });
    await smtp.quit();
    if (typeof reply === "string") expect(text).toBe(reply);
    else expect(text).toMatch(reply);
  });
});
