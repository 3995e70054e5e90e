/**
 * Routes that an administrator points out: in by a load balancer that says who its clients are, and
 * out by what signed DNS vouches for.
 */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import { folders } from "../../src/pod/layout.ts";
import { someAccount } from "../helpers/first-message.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { apply, kubectl } from "../helpers/kubectl.ts";
import { LineSocket } from "../helpers/line-socket.ts";
import { encryptedMessage, randomName } from "../helpers/messages.ts";
import { makeOwnAuthority, type OwnAuthority } from "../helpers/own-authority.ts";
import { proxyV2 } from "../helpers/proxy-header.ts";
import { freshServer, namespace, operatorIsInstalled, podOf, removeServer, zoneText } from "../helpers/servers.ts";
import { type SignedZones, startSignedZones } from "../helpers/signed-zones.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { tableAnswer } from "../helpers/socketmap.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { publishZone, removeZone } from "../lab/names.ts";
import { addresses } from "../lab/place.ts";

beforeAll(operatorIsInstalled);

describe("behind a load balancer that names its clients", () => {
  const domain = "_balanced-story.test";
  const pod = podOf("balanced");
  const user = someAccount(domain);
  const withoutHeader = (port: number) => ({ host: domain, port });
  const client = "192.0.2.7";
  const by = (port: number) => ({ ...withoutHeader(port), preamble: proxyV2(client) });

  beforeAll(async () => {
    // the test is the load balancer, and alone is trusted: the kubelet, which probes, is another
    const proxyProtocol = { trustedNetworks: [`${addresses.gateway}/32`] };
    await freshServer("balanced", { domain, network: { proxyProtocol } });
  });
  afterAll(() => removeServer("balanced"));

  test("it is Ready, and the probes that made it so have left no line", async () => {
    // something that is surely written after them
    await (await ImapClient.ready(by(ports.imaps), user.address, user.password)).logout();
    await (await SmtpClient.ready(by(ports.smtp))).quit();
    const said = await until("the last word", async () => {
      const [dovecot, postfix] = [await pod.logs("dovecot"), await pod.logs("postfix")];
      return dovecot.includes("Logged in") && postfix.includes("disconnect from") && dovecot + postfix;
    });
    expect(said.split("\n").filter((line) => line.includes("haproxy"))).toEqual([]);
  });

  test("a client that was named reads, sends and sees the page", async () => {
    for (const port of [ports.imaps, ports.https]) {
      const imap = await ImapClient.ready(by(port), user.address, user.password);
      const who = await pod.exec("dovecot", "doveadm", "-c", `${folders.dovecotConfig}/dovecot.conf`, "who");
      expect(who).toContain(client);
      await imap.logout();
    }
    const data = encryptedMessage({ from: user.address, to: [user.address] });
    for (const port of [ports.submissions, ports.submission, ports.https]) {
      const smtp = await SmtpClient.ready(by(port), user.address, user.password);
      expect(await smtp.send({ from: user.address, to: [user.address], data })).toMatchObject({ code: 250 });
      await smtp.quit();
    }
    const page = await LineSocket.open(by(ports.https), { servername: domain, alpn: ["http/1.1"] });
    page.write(`GET / HTTP/1.1\r\nHost: ${domain}\r\nConnection: close\r\n\r\n`);
    expect(await page.line()).toBe("HTTP/1.1 200 OK");
    page.destroy();
  });

  test("one that was not is not served", async () => {
    for (const port of [ports.submissions, ports.imaps, ports.https]) {
      await expect(LineSocket.open(withoutHeader(port), {}), `port ${port}`).rejects.toThrow();
    }
    for (const port of [ports.smtp, ports.submission, ports.imap, ports.http]) {
      const socket = await LineSocket.open(withoutHeader(port), undefined);
      socket.write("GET / HTTP/1.0\r\n\r\n");
      const said = await socket.line().catch(() => "");
      expect(said, `port ${port}`).not.toMatch(/^(220 |\* OK|HTTP)/);
      await socket.closed();
    }
  });
});

describe("with a resolver that validates", () => {
  const domain = "dane-story.test";
  const sender = podOf("dane-sender");
  const alice = someAccount("_dane-sender.test");
  const bob = someAccount(domain);
  const secretName = "dane-peer-cert";
  let zones: SignedZones;
  let authority: OwnAuthority;
  let zone: string;

  beforeAll(async () => {
    [zones, authority] = await Promise.all([startSignedZones([domain]), makeOwnAuthority(domain)]);
    const { certificatePem, keyPem } = authority.pair;
    await apply({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: secretName, namespace },
      type: "kubernetes.io/tls",
      stringData: { "tls.crt": certificatePem, "tls.key": keyPem },
    });
    // the operator knows this authority; the sender does not
    await apply({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: secretName, namespace },
      data: { "ca.crt": certificatePem.slice(certificatePem.lastIndexOf("-----BEGIN")) },
    });
    const certificate = { source: "Secret", secret: { name: secretName }, caBundle: { configMapName: secretName } };
    const network = { dnssecResolvers: [zones.resolver] };
    const [peer] = await Promise.all([
      freshServer("dane-peer", { domain, certificate }),
      freshServer("dane-sender", { domain: "_dane-sender.test", network }),
    ]);
    zone = zoneText(peer);
    // his address is made
    await (await ImapClient.ready({ host: domain, port: ports.imaps }, bob.address, bob.password)).logout();
  });
  afterAll(async () => {
    await Promise.all([removeServer("dane-peer"), removeServer("dane-sender"), zones?.remove()]);
    await kubectl(["-n", namespace, "delete", `secret/${secretName}`, `configmap/${secretName}`, "--ignore-not-found"]);
    await removeZone(domain);
  });

  /** Publishes what the peer says of its key, and waits until the resolver knows. */
  async function publish(digest: string): Promise<void> {
    const tlsa = `3 1 1 ${digest}`;
    await publishZone(domain, await zones.sign(domain, `${zone}\n_25._tcp IN TLSA ${tlsa}`));
    const known = async () => (await zones.tlsa(domain)) === tlsa;
    await until("the resolver to know", known, { patienceMs: patienceMs.mail });
    // an smtp process goes by what it was told for a second longer than the TTL: new ones are asked
    await sender.exec("postfix", "postfix", "-c", folders.postfixConfig, "reload");
  }

  /** Hands in a mail from Alice to Bob; its mark, and its id in the queue. */
  async function send(): Promise<{ mark: string; id: string }> {
    const mark = randomName(12);
    const at = { host: "_dane-sender.test", port: ports.submissions };
    const smtp = await SmtpClient.ready(at, alice.address, alice.password);
    const mail = { from: alice.address, to: [bob.address] };
    const { text } = await smtp.send({ ...mail, data: encryptedMessage({ ...mail, headers: { "Chat-Mark": mark } }) });
    await smtp.quit();
    const id = /^250 .* queued as (\S+)/.exec(text)?.[1];
    if (!id) throw new Error(text);
    return { mark, id };
  }

  async function hasArrived(mark: string): Promise<boolean> {
    const client = await ImapClient.ready({ host: domain, port: ports.imaps }, bob.address, bob.password);
    await client.say("SELECT INBOX");
    const mails = await client.messages();
    await client.logout();
    return mails.some((text) => text.includes(mark));
  }

  const patience = { patienceMs: 2 * patienceMs.mail, everyMs: 200 };
  const arrival = (mark: string) => until("the mail", () => hasArrived(mark), patience);

  /** Waits for what Postfix says of a delivery. */
  const fate = (id: string, words: RegExp) =>
    until(
      `"${words.source}"`,
      async () => (await sender.logs("postfix")).split("\n").find((line) => line.includes(id) && words.test(line)),
      patience,
    );

  const right = () => createHash("sha256").update(authority.serverKey).digest("hex");
  const byDane = async () => (await tableAnswer(sender, "tls-policy", domain)) === "dane-only";

  test("mail goes to a server that no authority vouches for, by the key in its signed zone", async () => {
    await publish(right());
    await until("its records to count", byDane, patience);
    const { mark, id } = await send();
    await arrival(mark);
    expect(await fate(id, /status=sent/)).toMatch(/postfix\/(unreached\/)?smtp\[.* relay=dane-story\.test\[<ip>\]:25,/);
  });

  test("while another key is published mail waits, and goes when the record is right", async () => {
    await publish("ab".repeat(32));
    const { mark, id } = await send();
    await fate(id, /status=deferred \(Server certificate not (trusted|verified)\)/);
    expect(await hasArrived(mark)).toBe(false);
    await publish(right());
    await arrival(mark);
  });
});
