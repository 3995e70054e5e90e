/** Certificates from a real ACME server: Pebble, which looks names up in a real BIND. */
import { generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type AccountOptions, AcmeClient } from "../../src/certificates/acme/client.ts";
import { nothingRemembered } from "../../src/certificates/acme/order.ts";
import type { OrderTools } from "../../src/certificates/acme/perform.ts";
import { certificateId, firstCertificate, renewalTime } from "../../src/certificates/acme/renewal.ts";
import { judgeCertificate } from "../../src/certificates/judge.ts";
import { certificatesIn } from "../../src/certificates/pair.ts";
import { Roots } from "../../src/certificates/roots.ts";
import { type OrderedNames, type OrderRun, runOrder } from "../helpers/acme-order.ts";
import { nameServersAreMissing, type RealServer, startBind } from "../helpers/dns-servers.ts";
import { type Pebble, pebbleIsMissing, startPebble } from "../helpers/pebble.ts";

const missing = nameServersAreMissing() ?? pebbleIsMissing();
if (missing) console.warn(`skipped: ${missing}`);

const at = { bind: "127.0.7.1", relay: "127.0.7.2" };
const zone = "acme.test";
const domain = `nine.${zone}`;
const optional = [`www.${domain}`, `mta-sts.${domain}`];
const signal = new AbortController().signal;
const newKey = (): KeyObject => generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;

describe.skipIf(missing !== undefined)("with a real ACME server and a real name server", () => {
  let bind: RealServer;
  let relay: Server;
  let httpPort: number;
  /** Answers any token for this account, as the relay's nginx does. */
  let thumbprint = "";
  const running: Pebble[] = [];
  const pebble = async (more: Partial<Parameters<typeof startPebble>[0]> = {}) => {
    const started = await startPebble({ nameServer: `${at.bind}:53`, httpPort, ...more });
    running.push(started);
    return started;
  };
  let usual: Pebble;

  beforeAll(async () => {
    bind = await startBind({
      address: at.bind,
      zones: [{ name: zone, records: `nine A ${at.relay}\nwww.nine A ${at.relay}\nmta-sts.nine A ${at.relay}` }],
    });
    relay = createServer((question, answer) => {
      const [, token] = /^\/\.well-known\/acme-challenge\/([\w-]+)$/.exec(question.url ?? "") ?? [];
      answer.end(`${token}.${thumbprint}`);
    }).listen(0, "0.0.0.0");
    await new Promise((resolve) => relay.once("listening", resolve));
    httpPort = (relay.address() as AddressInfo).port;
    // ten tries for each request: one in a million is refused for good
    usual = await pebble({ badNonces: 25, blocked: [`mta-sts.blocked.${zone}`] });
  });
  afterAll(async () => {
    relay?.close();
    for (const each of running) await each.stop();
    await bind?.stop();
  });

  const clientOf = ({ directoryUrl, authority }: Pebble, more: Partial<AccountOptions> = {}) =>
    new AcmeClient({ directoryUrl, authorities: authority, key: newKey(), email: "admin@example.org", ...more });

  /** Until there is a certificate, or it has to wait. */
  const run = (client: AcmeClient, of: OrderedNames, more: Partial<OrderTools> = {}): Promise<OrderRun> => {
    thumbprint = client.thumbprint;
    return runOrder(client, of, more);
  };
  const rootsOf = async (of: Pebble) => {
    const read = certificatesIn(await of.root(), "root");
    if ("problem" in read) throw new Error(read.problem);
    return new Roots(read.read);
  };

  test("a certificate for all names, although a quarter of the nonces is refused", async () => {
    const { order, states, certificatePem, keyPem } = await run(clientOf(usual), { domain, optional });
    expect(order).toEqual({ is: "Idle", memory: nothingRemembered });
    expect(states.slice(0, 4)).toEqual(["Creating", "Authorizing", "Validating", "Finalizing"]);
    const verdict = judgeCertificate({
      certificatePem,
      keyPem,
      domain,
      now: new Date(),
      roots: await rootsOf(usual),
    });
    expect(verdict).toEqual({ facts: expect.objectContaining({ missingNames: [] }) });
  });

  test("a name that the authority never issues for is left out, and the rest is issued", async () => {
    const blocked = `mta-sts.blocked.${zone}`;
    const { order, certificatePem } = await run(clientOf(usual), { domain, optional: [blocked] });
    expect(order.memory.left[blocked]?.says).toMatch(/block/i);
    expect(firstCertificate(certificatePem)?.subjectAltName).toBe(`DNS:${domain}`);
  });

  test("a name that does not exist is left out after its validation failed", async () => {
    const nowhere = `www.nowhere.${zone}`;
    const { order, certificatePem } = await run(clientOf(usual), { domain, optional: [nowhere] });
    expect(order.memory.left[nowhere]?.says).toMatch(/nowhere/);
    expect(firstCertificate(certificatePem)?.subjectAltName).toBe(`DNS:${domain}`);
  });

  test("without the domain there is no certificate: it waits, with what the authority says", async () => {
    const { order } = await run(clientOf(usual), { domain: `nowhere.${zone}` });
    expect(order).toMatchObject({ is: "Idle", memory: { failures: 1, lastError: expect.stringMatching(/nowhere/) } });
  });

  test("one of six days, the renewal window that the authority suggests, and the order that replaces it", async () => {
    const client = clientOf(usual);
    const first = await run(client, { domain }, { profile: "shortlived" });
    const certificate = firstCertificate(first.certificatePem);
    if (!certificate) throw new Error("no certificate");
    const days = (Date.parse(certificate.validTo) - Date.parse(certificate.validFrom)) / 86_400_000;
    expect(days).toBeCloseTo(6, 1);
    const id = certificateId(certificate) ?? "";
    const window = await client.renewalInfo(id, signal);
    if (!window) throw new Error("no window");
    const due = renewalTime(certificate, window);
    expect(due >= window.start && due <= window.end).toBe(true);
    const soon = { start: new Date(Date.now() - 7_200_000), end: new Date(Date.now() - 3_600_000) };
    await usual.suggestRenewal(first.certificatePem, soon);
    const suggested = await client.renewalInfo(id, signal);
    expect(suggested && renewalTime(certificate, suggested) < new Date()).toBe(true);

    const renewed = await run(client, { domain }, { keyPem: first.keyPem, replaces: id });
    expect(renewed.certificatePem).not.toBe(first.certificatePem);
    expect(firstCertificate(renewed.certificatePem)?.publicKey.equals(certificate.publicKey)).toBe(true);
    // it was replaced already: ordered all the same
    expect((await run(client, { domain }, { replaces: id })).order.is).toBe("Idle");
  });

  test("an address has a certificate for some days", async () => {
    const { certificatePem } = await run(clientOf(usual), { domain: at.relay }, { profile: "shortlived" });
    expect(firstCertificate(certificatePem)?.checkIP(at.relay)).toBe(at.relay);
  });

  test("a profile that the authority does not have is said", async () => {
    const { order } = await run(clientOf(usual), { domain }, { profile: "none" });
    expect(order.memory.lastError).toMatch(/profile/i);
  });

  test("an account that has to be tied to another one: without, with a wrong key and with the right one", async () => {
    const hmacKey = randomBytes(32);
    const strict = await pebble({ externalAccounts: { mine: hmacKey.toString("base64url") } });
    const said = async (binding?: AccountOptions["binding"]) =>
      (await run(clientOf(strict, { binding }), { domain })).order.memory.lastError;
    expect(await said()).toMatch(/externalAccountBinding/);
    expect(await said({ keyId: "mine", hmacKey: randomBytes(32) })).toBeTruthy();
    expect(await said({ keyId: "mine", hmacKey })).toBeUndefined();
  });

  test("the same key is the same account, and a server that does not answer is named", async () => {
    const first = await pebble();
    const key = newKey();
    const one = clientOf(first, { key });
    const uri = await one.account(signal);
    expect(await clientOf(first, { key }).account(signal)).toBe(uri);
    await first.stop();
    expect((await run(one, { domain })).order.memory.lastError).toMatch(/can't be reached/);
  });
});
