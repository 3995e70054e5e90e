/**
 * A relay whose domain is an IPv6 address: its accounts are `user@[ipv6:2001:db8::9]`, and hosts in
 * links and certificates are the bare address.
 */
import { readdirSync, readFileSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeSelfSigned } from "../../src/certificates/self-signed.ts";
import { urlHost } from "../../src/lib/url-host.ts";
import { addressDomain } from "../../src/mail/address.ts";
import { ports } from "../../src/mail/ports.ts";
import { password, planOnAnyLoad } from "../helpers/accounts.ts";
import { converse, joinBy } from "../helpers/first-message.ts";
import { askHttps } from "../helpers/https.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { clearMessage, encryptedMessage, randomName } from "../helpers/messages.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { allPorts, servedCertificates, statesOfPorts } from "../helpers/served-certificates.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { askForRoutesAgain } from "../helpers/socketmap.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { publishZone, removeZone } from "../lab/names.ts";
import { privatePeers } from "../lab/place.ts";

const named = "_dual-stack.test";

let literal: RelayPod;
/** A relay with a name and with addresses of both families. */
let other: RelayPod;
beforeAll(async () => {
  const domain = ({ host6 }: Pick<RelayPod, "host6">) => host6;
  [literal, other] = await Promise.all([startRelayPod({ domain }), startRelayPod({ domain: named })]);
  await publishZone(named, `${other.zone}\n@ AAAA ${other.host6}\n`);
});
afterAll(async () => {
  await Promise.all([literal?.remove(), other?.remove()]);
  await removeZone(named);
});

const over6 = (pod: RelayPod) => (port: number) => ({ host: pod.host6, port });

/** The link that an open relay with a self-signed certificate hands out. */
async function invite({ host6 }: RelayPod): Promise<string> {
  const { body } = await askHttps({ host: host6 }, { path: "/new", method: "POST" });
  return (JSON.parse(body) as { dclogin_url: string }).dclogin_url;
}

/** All mails that an account has, as they lie on the volume. */
function mailsOf(pod: RelayPod, address: string): string[] {
  const home = join(pod.volume("mail"), pod.domain, address);
  return ["new", "cur"].flatMap((folder) =>
    readdirSync(join(home, folder)).map((name) => {
      const bytes = readFileSync(join(home, folder, name));
      return (bytes[0] === 0x1f ? gunzipSync(bytes) : bytes).toString("latin1");
    }),
  );
}

test("two cores join by links, meet and write to each other, with the domain in lower case everywhere", async () => {
  const links = [await invite(literal), await invite(literal)] as const;
  const { couple } = await joinBy(links);
  try {
    const [alice, bob] = [await couple.alice.address(), await couple.bob.address()];
    for (const [nth, address] of [alice, bob].entries()) {
      expect(address).toMatch(new RegExp(`^[a-z0-9]{9}@\\[ipv6:${literal.host6}\\]$`));
      expect(links[nth]).toContain(`dclogin:${address}?`);
      expect(links[nth]).toContain(`&ih=${literal.host6}&sh=${literal.host6}&`);
    }
    expect(await converse(couple, 2)).toMatchObject({ encrypted: true });
    // a core deletes what it has fetched
    await couple.bob.rpc.stopIo(couple.bob.account);
    const chats = await couple.alice.rpc.getChatlistEntries(couple.alice.account, null, null, null);
    await couple.alice.say(chats[0] ?? 0, "not fetched");
    const [text] = await until("the mail", () =>
      mailsOf(literal, bob).length > 0 ? mailsOf(literal, bob) : undefined,
    );
    expect(text).toContain(`Return-Path: <${alice}>`);
    expect(text).toContain(`Delivered-To: ${bob}`);
    expect(text).toContain(`From: <${alice}>`);
  } finally {
    await couple.stop();
  }
});

test("with a relay that has a name they meet and write both ways, by SMTP first and then by HTTPS", async () => {
  const { couple } = await joinBy([await invite(literal), await invite(other)]);
  try {
    expect(await converse(couple, 3)).toMatchObject({ encrypted: true });
    for (const pod of [literal, other]) await askForRoutesAgain(pod);
    await converse(couple, 4);
  } finally {
    await couple.stop();
  }
  for (const pod of [literal, other])
    for (const sent of [/relay=\S+:25,.* status=sent/, /status=sent .*OK \(HTTPS\)/])
      await until(`${pod.domain} to have ${sent}`, async () => sent.test(await pod.logs("postfix")));
});

describe("by hand", () => {
  const local = randomName(9);
  const ready = (pod: RelayPod) => {
    const user = `${local}@${addressDomain(pod.domain)}`;
    return { user, imap: () => ImapClient.ready(over6(pod)(ports.imaps), user, password) };
  };

  test("cleartext is refused, the address has one spelling, and the logs do not name it", async () => {
    const { user, imap } = ready(literal);
    await (await imap()).logout();
    const smtp = await SmtpClient.ready(over6(literal)(ports.submissions), user.replace("ipv6", "IPv6"), password);
    const mail = { from: user, to: [user] };
    expect(await smtp.send({ ...mail, data: clearMessage(mail) })).toMatchObject({ code: 523 });
    expect(await smtp.send({ ...mail, data: encryptedMessage(mail) })).toMatchObject({ code: 250 });
    await smtp.quit();
    for (const spelt of [`${local}@${literal.host6}`, `${local}@[${literal.host6}]`]) {
      await expect(ImapClient.ready(over6(literal)(ports.imaps), spelt, password)).rejects.toThrow();
    }
    expect(await literal.logs()).not.toContain(local);
  });

  test("whoever writes in its name from another address is refused", async () => {
    const smtp = await SmtpClient.ready(over6(other)(ports.smtp));
    const mail = { from: ready(literal).user, to: [ready(other).user] };
    const reply = await smtp.send({ ...mail, data: encryptedMessage(mail) });
    expect(reply).toMatchObject({ code: 554, text: expect.stringContaining("No DKIM signature found") });
    await smtp.quit();
  });

  test("what it can not deliver comes back to the other relay as its bounce", async () => {
    const { user, imap } = ready(other);
    const inbox = await imap();
    const nobody = `${randomName(9)}@${addressDomain(literal.domain)}`;
    const smtp = await SmtpClient.ready(over6(other)(ports.submissions), user, password);
    const mail = { from: user, to: [nobody] };
    expect(await smtp.send({ ...mail, data: encryptedMessage(mail) })).toMatchObject({ code: 250 });
    await smtp.quit();
    const bounce = async () => {
      await inbox.say("SELECT INBOX");
      return (await inbox.messages()).find((text) => text.includes("multipart/report"));
    };
    const text = await until("the bounce", bounce, { patienceMs: patienceMs.mail, everyMs: 100 });
    expect(text).toContain(nobody);
    expect(text).toContain(`<MAILER-DAEMON@${addressDomain(literal.domain)}>`);
    await inbox.logout();
  });
});

test("every port shows its certificate, and pages lead to the address in brackets", async () => {
  const { 993: sha256 = "" } = await servedCertificates(over6(literal));
  const wanted = { host: literal.host6, domain: literal.domain, sha256, proxyProtocol: false };
  expect(await statesOfPorts(wanted)).toEqual(allPorts("Current"));
  const page = await askHttps({ host: literal.host6 }, { path: "/join" });
  expect(page).toMatchObject({ status: 200, body: expect.stringContaining(`dclogin:`) });
  const location = await new Promise((resolve, reject) => {
    get(`http://${urlHost(literal.host6)}/x`, ({ headers }) => resolve(headers.location)).on("error", reject);
  });
  expect(location).toBe(`https://${urlHost(literal.host6)}/x`);
});

test("beside another domain in one pod it is the one for whoever names none or itself", async () => {
  const second = "_second.test";
  literal.giveDomain(second, { certificate: await makeSelfSigned(second, new Date()) });
  const domains = [second, literal.domain].map((domain) => ({ domain, accounts: planOnAnyLoad }));
  await literal.usePlan(JSON.stringify({ version: 1, domains, privatePeers }));
  const at = async (site: string) => {
    const { body } = await askHttps({ host: literal.host6 }, { path: "/new", method: "POST", site });
    return (JSON.parse(body) as { email: string }).email.replace(/^.*@/, "");
  };
  expect(await at(urlHost(literal.host6))).toBe(addressDomain(literal.domain));
  expect(await at(second)).toBe(second);
});
