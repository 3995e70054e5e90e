/**
 * A new certificate in the Secret is served at every port within seconds, and nobody who is
 * connected notices.
 */
import { X509Certificate } from "node:crypto";
import { Agent, request } from "node:https";
import { connect } from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sha256Of } from "../../src/certificates/pair.ts";
import { certificateNames, type KeyPair, makeSelfSigned } from "../../src/certificates/self-signed.ts";
import { ports } from "../../src/mail/ports.ts";
import type { Files, Part } from "../../src/pod/files.ts";
import { makeAuthority } from "../helpers/authorities.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { encryptedMessage, randomName } from "../helpers/messages.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { allPorts, servedCertificates, statesOfPorts } from "../helpers/served-certificates.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { patienceMs, until } from "../helpers/until.ts";

let pod: RelayPod;
const password = "correct horse";

beforeAll(async () => {
  pod = await startRelayPod({ domain: "_renewed.test", edit: withEarlySleep });
});
afterAll(() => pod?.remove());

/** Sessions sleep after ten seconds of IDLE, and not after thirty. */
function withEarlySleep(files: Record<Part, Files>): Record<Part, Files> {
  const conf = files.dovecot["dovecot.conf"] ?? "";
  const early = conf.replace("imap_hibernate_timeout = 30s", "imap_hibernate_timeout = 10s");
  expect(early).not.toBe(conf);
  return { ...files, dovecot: { ...files.dovecot, "dovecot.conf": early } };
}

const newPair = () => makeSelfSigned(pod.domain, new Date());
const served = () => servedCertificates(pod.at);
const digest = (pair: KeyPair) => sha256Of(new X509Certificate(pair.certificatePem));

async function servedEverywhere(pair: KeyPair): Promise<void> {
  const all = async () => Object.values(await served()).every((sha256) => sha256 === digest(pair));
  await until("the new certificate at every port", all, { patienceMs: patienceMs.client, everyMs: 100 });
}

interface Idler {
  user: string;
  idle: Awaited<ReturnType<ImapClient["idle"]>>;
}

async function idler(port: number): Promise<Idler> {
  const user = `${randomName(9)}@${pod.domain}`;
  const client = await ImapClient.ready(pod.at(port), user, password);
  await client.say("SELECT INBOX");
  return { user, idle: await client.idle() };
}

async function hearsOf({ idle }: Idler): Promise<string> {
  for (;;) {
    const line = await idle.next();
    if (line.endsWith(" EXISTS")) return line;
  }
}

/** Only Dovecot's process for sleeping sessions makes it, once somebody sleeps. */
const somebodySleeps = async () =>
  (await pod.exec("dovecot", "sh", "-c", "cat /proc/[0-9]*/comm")).includes("imap-hiberna");

/** Over one connection; whether it was the one that is open already. */
function getOver(agent: Agent): Promise<{ status: number | undefined; reused: boolean }> {
  return new Promise((resolve, reject) => {
    const asking = request({ host: pod.host, path: "/", agent, rejectUnauthorized: false }, (response) => {
      response.resume().on("end", () => resolve({ status: response.statusCode, reused: asking.reusedSocket }));
    });
    asking.on("error", reject).end();
  });
}

test("two certificates, one right after the other: everybody who is connected stays, asleep or in the middle of a mail", async () => {
  const asleep = await idler(ports.imaps);
  await until("the session to sleep", somebodySleeps, { patienceMs: patienceMs.client, everyMs: 500 });
  const idlers = [asleep, await idler(ports.imaps), await idler(ports.https)];
  const [sender] = idlers.map(({ user }) => user);
  const to = idlers.map(({ user }) => user);
  const from = sender ?? "";
  const inTheMiddle = await SmtpClient.ready(pod.at(ports.submissions), from, password);
  for (const step of [`MAIL FROM:<${from}>`, ...to.map((each) => `RCPT TO:<${each}>`), "DATA"]) {
    expect((await inTheMiddle.say(step)).code).toBeLessThan(400);
  }
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  expect(await getOver(agent)).toEqual({ status: 200, reused: false });

  const [first, second] = [await newPair(), await newPair()];
  pod.giveCertificate(first);
  await servedEverywhere(first);
  expect(await getOver(agent)).toEqual({ status: 200, reused: true });
  pod.giveCertificate(second);
  await servedEverywhere(second);
  const asOperator = { host: pod.host, domain: pod.domain, proxyProtocol: false };
  expect(await statesOfPorts({ ...asOperator, sha256: digest(second) })).toEqual(allPorts("Current"));
  expect(await statesOfPorts({ ...asOperator, sha256: digest(first) })).toEqual(allPorts("Outdated"));

  const data = encryptedMessage({ from, to, headers: { "Chat-Mark": "through" } });
  expect(await inTheMiddle.finish(data)).toMatchObject({ code: 250 });
  await inTheMiddle.quit();
  for (const each of idlers) expect(await hearsOf(each)).toMatch(/^\* 1 EXISTS$/);
  for (const each of idlers) expect((await each.idle.done()).status).toBe("OK");
  agent.destroy();
});

test("a certificate that programs would not find in the file changes nothing, is told of, and its cure is taken with its chain", async () => {
  const before = await served();
  const middle = await (await makeAuthority("Root")).below("Middle");
  const { certificatePem, keyPem } = await middle.issue(certificateNames(pod.domain));
  const trusted = certificatePem.replaceAll("CERTIFICATE", "TRUSTED CERTIFICATE");
  pod.giveCertificate({ certificatePem: trusted + middle.pem, keyPem });
  const refused = async () => (await pod.logs("relay")).includes("it has BEGIN TRUSTED CERTIFICATE");
  await until("the daemon to say so", refused, { patienceMs: patienceMs.mail });
  expect(await served()).toEqual(before);
  pod.giveCertificate({ certificatePem: `remark\n${certificatePem}remark\n${middle.pem}`, keyPem });
  await servedEverywhere({ certificatePem, keyPem });
  expect(await chainAt(ports.imaps)).toEqual(
    [certificatePem, middle.pem].map((pem) => digest({ certificatePem: pem, keyPem })),
  );
  expect(await chainAt(ports.https)).toHaveLength(2);
});

/** Digests of what the server sends, its own certificate first. */
function chainAt(port: number): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...pod.at(port), rejectUnauthorized: false, servername: pod.domain }, () => {
      const digests: string[] = [];
      for (let at = socket.getPeerX509Certificate(); at; at = at.issuerCertificate) digests.push(sha256Of(at));
      socket.destroy();
      resolve(digests);
    });
    socket.on("error", reject);
  });
}

test("a key that is not the certificate's changes nothing, is told of, and its cure is taken", async () => {
  const before = await served();
  const [one, other] = [await newPair(), await newPair()];
  pod.giveCertificate({ ...one, keyPem: other.keyPem });
  const refused = async () => (await pod.logs("relay")).includes("tls.key is not the key of the certificate");
  await until("the daemon to say so", refused, { patienceMs: patienceMs.mail });
  expect(await served()).toEqual(before);
  // programs that start now read what is served, not what was given
  for (const name of ["postfix", "dovecot", "web"] as const) {
    await pod.stop(name);
    await pod.start(name);
  }
  expect(await served()).toEqual(before);
  pod.giveCertificate(one);
  await servedEverywhere(one);
});

test("a Secret that is gone takes nothing away, and a pod that starts without it serves the last one", async () => {
  const kept = await newPair();
  pod.giveCertificate(kept);
  await servedEverywhere(kept);
  const { idle } = await idler(ports.imaps);
  pod.takeCertificate(kept);
  const missed = async () => (await pod.logs("relay")).includes("it can't be read or written: ENOENT");
  await until("the daemon to say so", missed, { patienceMs: patienceMs.mail });
  expect(Object.values(await served())).toEqual(Object.keys(await served()).map(() => digest(kept)));
  expect((await idle.done()).status).toBe("OK");

  const names = ["web", "postfix", "dovecot", "relay"] as const;
  for (const name of names) await pod.stop(name);
  pod.clearRun();
  for (const name of [...names].reverse()) await pod.start(name);
  await pod.ready();
  await servedEverywhere(kept);
  const other = await newPair();
  pod.giveCertificate(other);
  await servedEverywhere(other);
});
