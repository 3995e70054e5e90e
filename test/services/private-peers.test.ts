/**
 * Nobody reaches an inner server by way of a relay: not by a name, an address or a spelling of one,
 * and nobody learns which of them exist.
 */
import { createServer, type Server } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import { newAccount, password } from "../helpers/accounts.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { encryptedMessage, randomName } from "../helpers/messages.ts";
import { ownAddress } from "../helpers/own-address.ts";
import { type RelayPod, startRelayPod, waitingMails } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { tableAnswer } from "../helpers/socketmap.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { namesUp } from "../lab/lab.ts";
import { publishZone, removeZone } from "../lab/names.ts";

await namesUp();
const place = await ownAddress();
const inner = place.address;
const asNumber = inner.split(".").reduce((sum, each) => sum * 256 + Number(each), 0);
const asHex = `0x${asNumber.toString(16)}`;
const zones = {
  "_inner-mx.test": `@ MX 10 mx\nmx A ${inner}`,
  "_inner-a.test": `@ A ${inner}`,
  "_inner-alias.test": `@ MX 10 mx\nmx CNAME real\nreal A ${inner}`,
  "_inner-address.test": `@ MX 10 ${inner}.`,
  "_inner-number.test": `@ MX 10 ${asHex}.`,
  "_inner-missing.test": "@ MX 10 nothere",
  "_inner-some-missing.test": `@ MX 10 nothere\n@ MX 20 mx\nmx A ${inner}`,
  "inner-verified.test": `@ MX 10 mx\nmx A ${inner}\nmta-sts A ${inner}\n_mta-sts TXT "v=STSv1; id=1"`,
};

const servers: Server[] = [];
/** What connected to the inner server, by port. */
const connections: number[] = [];
let pod: RelayPod;
/** May connect to it, as relays of the lab do. */
let open: RelayPod;
let alice: string;

beforeAll(async () => {
  for (const port of [ports.smtp, ports.https]) {
    const server = createServer((socket) => {
      connections.push(port);
      socket.on("error", () => undefined);
      socket.end("220 secret.internal\r\n");
    });
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, inner, () => resolve()));
    servers.push(server);
  }
  const accounts = { sendRatePerMinute: 600, sendBurst: 100 };
  pod = await startRelayPod({ domain: "_inner-relay.test", spec: { accounts, network: { privatePeers: [] } } });
  open = await startRelayPod({ domain: "_inner-open.test" });
  for (const each of [pod, open]) await publishZone(each.domain, each.zone);
  for (const [domain, zone] of Object.entries(zones)) await publishZone(domain, zone);
  alice = await newAccount(pod);
});
afterAll(async () => {
  await Promise.all([pod?.remove(), open?.remove()]);
  for (const server of servers) server.close();
  await place.remove();
  for (const domain of ["_inner-relay.test", "_inner-open.test", ...Object.keys(zones)]) await removeZone(domain);
});

async function inbox(): Promise<string[]> {
  const client = await ImapClient.ready(pod.at(ports.imaps), alice, password);
  await client.say("SELECT INBOX");
  const found = await client.messages();
  await client.logout();
  return found;
}

/** Submits a mail to this recipient; the text of its bounce. */
async function bounceOf(to: string): Promise<string> {
  const mark = randomName(12);
  const smtp = await SmtpClient.ready(pod.at(ports.submissions), alice, password);
  const data = encryptedMessage({ from: alice, to: [to], headers: { "Chat-Mark": mark } });
  expect(await smtp.send({ from: alice, to: [to], data })).toMatchObject({ code: 250 });
  await smtp.quit();
  const bounce = async () => (await inbox()).find((text) => text.includes(mark) && text.includes("multipart/report"));
  return until(`a bounce for ${to}`, bounce, { patienceMs: patienceMs.mail, everyMs: 100 }).catch(async (thrown) => {
    const queue = await pod.exec("postfix", "postqueue", "-j");
    throw new Error(`${String(thrown)}\n${queue}\n${await pod.logs("postfix")}`, { cause: thrown });
  });
}

const recipients = [
  ...Object.keys(zones).map((domain) => `x@${domain}`),
  `x@[${inner}]`,
  "x@[10.0.0.8]",
  "x@[127.0.0.1]",
  `x@[IPv6:::ffff:${inner}]`,
  "x@[IPv6:::1]",
  `x@${asHex}`,
  "x@mx._inner-mx.test",
  "x@nothere._inner-mx.test",
];

test.each([`x@[${asNumber}]`, `x@[${asHex}]`, "x@[10.8]", "x@[mx._inner-mx.test]"])(
  "%s is no address, and is refused where it is submitted",
  async (to) => {
    const smtp = await SmtpClient.ready(pod.at(ports.submissions), alice, password);
    const data = encryptedMessage({ from: alice, to: [to] });
    expect(await smtp.send({ from: alice, to: [to], data })).toMatchObject({ code: 501 });
    await smtp.quit();
    expect(connections).toEqual([]);
  },
);

/**
 * What a bounce says of the mail, without what the sender wrote and without the recipient's own
 * address.
 */
function said(bounce: string, recipient: string): string {
  const report = bounce.slice(0, bounce.search(/Content-Description: Undelivered Message/));
  const text = /<[^>]*@[^>]*>:([\s\S]*?)\r?\n\r?\n/.exec(report)?.[1] ?? "";
  const code = /^Status: (.*)$/m.exec(report)?.[1]?.trim();
  const diagnostic = /^Diagnostic-Code: ([\s\S]*?)\r?\n(?!\s)/m.exec(report)?.[1] ?? "";
  const plain = `${text} | ${code} | ${diagnostic}`.replace(/\s+/g, " ").trim();
  return plain.replaceAll(recipient.slice(recipient.indexOf("@") + 1), "DOMAIN");
}

test("mail to an inner server comes back with the same words, whether it exists or not, and nobody connects to it", async () => {
  const bounces = new Map<string, string>();
  for (const to of recipients) bounces.set(to, said(await bounceOf(to), to));
  expect(Object.fromEntries(bounces)).toEqual(
    Object.fromEntries(
      recipients.map((to) => [
        to,
        expect.stringMatching(/^Host or domain name not found, or not reachable from here \| 5\.4\.4 \| /),
      ]),
    ),
  );
  expect(new Set(bounces.values()).size).toBe(1);
  expect(connections).toEqual([]);
  expect(await waitingMails(pod)).toBe(0);
});

test.each([`x@[${inner}]`, "x@_inner-mx.test", "x@inner-verified.test"])(
  "a stranger who mentions %s makes no relay connect to anyone, whatever it may connect to",
  async (address) => {
    connections.length = 0;
    const smtp = await SmtpClient.ready(open.at(ports.smtp));
    expect(await smtp.say("MAIL FROM:<stranger@outside.test>")).toMatchObject({ code: 250 });
    expect(await smtp.say(`RCPT TO:<${address}>`)).toMatchObject({ code: 554 });
    await smtp.say("RSET");
    expect(await smtp.say(`MAIL FROM:<${address}>`)).toMatchObject({ code: 250 });
    expect(await smtp.say(`RCPT TO:<nobody@${open.domain}>`)).toMatchObject({ code: 250 });
    await smtp.quit();
    // a look would have begun before this answer, and would have connected long before the next
    await tableAnswer(open, "tls-policy", "_inner-missing.test");
    expect(connections).toEqual([]);
  },
);
