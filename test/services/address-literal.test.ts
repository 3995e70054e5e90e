/**
 * A relay without a name: addresses end in `@[192.0.2.7]`, folders and certificates in the bare
 * address.
 */
import { existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import { DeltaChatClient } from "../helpers/delta-chat.ts";
import { askHttps } from "../helpers/https.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { clearMessage, encryptedMessage, randomName } from "../helpers/messages.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { allPorts, servedCertificates, statesOfPorts } from "../helpers/served-certificates.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { patienceMs, until } from "../helpers/until.ts";

let pod: RelayPod;
beforeAll(async () => {
  pod = await startRelayPod({ domain: "192.0.2.7" });
});
afterAll(() => pod?.remove());

test("an address is made, mail to it is filtered and delivered, and the logs do not name it", async () => {
  const local = randomName(9);
  const user = `${local}@[192.0.2.7]`;
  const imap = await ImapClient.ready(pod.at(ports.imaps), user, "correct horse");
  expect(existsSync(`${pod.volume("mail")}/192.0.2.7/${user}/password`)).toBe(true);
  const smtp = await SmtpClient.ready(pod.at(ports.submissions), user, "correct horse");
  const mail = { from: user, to: [user] };
  expect(await smtp.send({ ...mail, data: clearMessage(mail) })).toMatchObject({ code: 523 });
  expect(await smtp.send({ ...mail, data: encryptedMessage(mail) })).toMatchObject({ code: 250 });
  await smtp.quit();
  const arrived = async () => {
    const { untagged } = await imap.say("STATUS INBOX (MESSAGES)");
    return untagged.join().includes("MESSAGES 1");
  };
  await until("the mail", arrived, { patienceMs: patienceMs.mail });
  await imap.logout();
  const logs = await until("the log of it", async () => {
    const text = await pod.logs();
    return text.includes("milter-discard") && text;
  });
  expect(logs).not.toContain(local);
});

test("the operator finds its certificate at every port, although an address is never named in TLS", async () => {
  const { 993: sha256 = "" } = await servedCertificates(pod.at);
  const wanted = { host: pod.host, domain: pod.domain, sha256, proxyProtocol: false };
  expect(await statesOfPorts(wanted)).toEqual(allPorts("Current"));
});

describe("two relays without names", () => {
  let one: RelayPod;
  let two: RelayPod;
  beforeAll(async () => {
    const spec = { services: { turn: { enabled: true }, iroh: { url: "https://192.0.2.9" } } };
    [one, two] = await Promise.all([startRelayPod({ spec }), startRelayPod({ spec })]);
  });
  afterAll(() => Promise.all([one?.remove(), two?.remove()]));

  /** The link that an open relay on an address hands out. */
  async function invite(pod: RelayPod): Promise<string> {
    const { body } = await askHttps(pod, { path: "/new", method: "POST" });
    return (JSON.parse(body) as { dclogin_url: string }).dclogin_url;
  }

  test("people join by links, meet, write both ways, and are told where calls go", async () => {
    const [alice, bob] = await Promise.all([DeltaChatClient.start("Alice"), DeltaChatClient.start("Bob")]);
    try {
      await alice.join(await invite(one));
      await bob.join(await invite(two));
      expect(await alice.address()).toMatch(new RegExp(`^[a-z0-9]{9}@\\[${one.host}\\]$`));
      const chats = await bob.meet(alice);
      await bob.rpc.miscSendTextMessage(bob.account, chats.mine, "hello Alice");
      expect(await alice.received("hello Alice")).toEqual({ encrypted: true });
      await alice.rpc.miscSendTextMessage(alice.account, chats.theirs, "hello Bob");
      expect(await bob.received("hello Bob")).toEqual({ encrypted: true });
      const servers = JSON.parse(await bob.rpc.iceServers(bob.account)) as { urls: string[] }[];
      expect(servers.flatMap(({ urls }) => urls)).toContainEqual(expect.stringContaining(`${two.host}:3478`));
    } finally {
      await Promise.all([alice.stop(), bob.stop()]);
    }
    const out = /status=sent .*OK \(HTTPS\)|relay=\S+:25,.* status=sent/;
    await until("the log of it", async () => out.test(await one.logs("postfix")));
  });

  test("what the other relay can not deliver comes back as its bounce, which nobody signs", async () => {
    const user = `${randomName(9)}@[${one.host}]`;
    const nobody = `${randomName(9)}@[${two.host}]`;
    const imap = await ImapClient.ready(one.at(ports.imaps), user, "correct horse");
    const smtp = await SmtpClient.ready(one.at(ports.submissions), user, "correct horse");
    const mail = { from: user, to: [nobody] };
    expect(await smtp.send({ ...mail, data: encryptedMessage(mail) })).toMatchObject({ code: 250 });
    await smtp.quit();
    const bounce = async () => {
      await imap.say("SELECT INBOX");
      return (await imap.messages()).find((text) => text.includes("multipart/report"));
    };
    const text = await until("the bounce", bounce, { patienceMs: patienceMs.mail, everyMs: 100 });
    expect(text).toContain(nobody);
    expect(text).toMatch(new RegExp(`^From: .*MAILER-DAEMON@\\[${two.host.replaceAll(".", "\\.")}\\]`, "m"));
    expect(text).not.toMatch(/^DKIM-Signature:/im);
    const { untagged } = await imap.say(
      'GETMETADATA "" (/shared/vendor/deltachat/turn /shared/vendor/deltachat/irohrelay)',
    );
    expect(untagged.join()).toContain(`${one.host}:3478:`);
    expect(untagged.join()).toContain("https://192.0.2.9");
    await imap.logout();
  });
});
