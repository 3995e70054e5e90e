/**
 * A relay and a mail server as others run it, Postfix with OpenDKIM, both ways: what is encrypted
 * passes, what is not comes back.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { messageOf } from "../../src/lib/text.ts";
import { ports } from "../../src/mail/ports.ts";
import { type ClassicServer, startClassicServer } from "../helpers/classic-server.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { clearMessage, encryptedMessage, randomName } from "../helpers/messages.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { namesUp } from "../lab/lab.ts";
import { publishZone, removeZone } from "../lab/names.ts";
import { needPackages } from "../lab/packages.ts";

const missing = await needPackages(["opendkim"]).then(() => undefined, messageOf);
if (missing !== undefined && process.env.REQUIRE_ALL === "1") throw new Error(missing);
if (missing !== undefined) console.warn(`SKIPPED: a relay and a classic mail server. ${missing}`);

/**
 * Not under .test: the resolver inside OpenDKIM (libunbound) says of its own that nothing is there
 * (RFC 6761 §6.2).
 */
const domain = "_classic.example";
const carol = `carol@${domain}`;
const password = "correct horse";

describe.skipIf(missing !== undefined)("a relay and a classic mail server", () => {
  let relay: RelayPod;
  let classic: ClassicServer;
  let alice: string;

  beforeAll(async () => {
    await namesUp();
    relay = await startRelayPod({ domain: "_by-relay.example" });
    await publishZone(relay.domain, relay.zone);
    classic = await startClassicServer(domain);
    await publishZone(domain, classic.zone);
    alice = `${randomName(9)}@${relay.domain}`;
    await (await inbox()).logout();
  });
  afterAll(async () => {
    await Promise.all([relay?.remove(), classic?.remove()]);
    for (const zone of [domain, "_by-relay.example"]) await removeZone(zone);
  });

  const inbox = async () => {
    const client = await ImapClient.ready(relay.at(ports.imaps), alice, password);
    await client.say("SELECT INBOX");
    return client;
  };

  /** Hands in a mail of Carol's at her own server. */
  async function fromCarol(data: string): Promise<void> {
    const client = await SmtpClient.ready({ host: classic.host, port: ports.smtp });
    expect(await client.send({ from: carol, to: [alice], data })).toMatchObject({ code: 250 });
    await client.quit();
  }

  const found = <T>(what: string, look: () => Promise<T | undefined | null>) =>
    until(what, look, { patienceMs: patienceMs.mail, everyMs: 100 }).catch(async (cause) => {
      throw new Error(`${String(cause)}\n${await classic.logs()}`, { cause });
    });

  test("an encrypted mail from there, signed by OpenDKIM, reaches a user here", async () => {
    const mark = randomName(12);
    await fromCarol(encryptedMessage({ from: carol, to: [alice], headers: { "Chat-Mark": mark } }));
    const mail = await found("Carol's mail", async () => {
      const client = await inbox();
      const mails = await client.messages();
      await client.logout();
      return mails.find((each) => each.includes(mark));
    });
    expect(mail).toContain(`From: <${carol}>`);
    await found("the log of TLS", async () =>
      (await classic.logs()).match(/TLS connection established to _by-relay\.example/),
    );
  });

  test("a mail in clear text from there is refused, and its writer is told why", async () => {
    await fromCarol(clearMessage({ from: carol, to: [alice] }));
    const bounce = await found("the bounce", async () =>
      (await classic.mails(carol)).find((mail) => mail.includes("multipart/report")),
    );
    expect(bounce).toMatch(/523 Encryption Needed: Invalid\s+Unencrypted Mail/);
  });

  test("a mail from a user here reaches a user there over TLS, and OpenDKIM finds the signature good", async () => {
    const mark = randomName(12);
    const client = await SmtpClient.ready(relay.at(ports.submissions), alice, password);
    const data = encryptedMessage({ from: alice, to: [carol], headers: { "Chat-Mark": mark } });
    expect(await client.send({ from: alice, to: [carol], data })).toMatchObject({ code: 250 });
    await client.quit();
    const mail = await found("Alice's mail", async () =>
      (await classic.mails(carol)).find((each) => each.includes(mark)),
    );
    expect(mail).toMatch(/^Authentication-Results: _classic\.example;\s+dkim=pass .*header\.d=_by-relay\.example/m);
    expect(mail).toMatch(/using TLSv1\.3/);
    expect(mail).not.toMatch(/^Received: .*(client\.test|192\.168\.|198\.51\.100\.1\b)/m);
  });
});
