/**
 * A relay under an ordinary name by one `kubectl apply`: its records, its certificate, strict TLS,
 * two rotations of its keys while another relay checks every mail, and its end. The demo
 * tells the same story (`npm run demo -- --public`).
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { WrittenServer } from "../../src/api/chatmail-server.ts";
import { ports } from "../../src/mail/ports.ts";
import { type Couple, converse, join } from "../helpers/first-message.ts";
import { apply } from "../helpers/kubectl.ts";
import { pebbleIsMissing } from "../helpers/pebble.ts";
import {
  CheckedMail,
  certificateIsServed,
  deleteServer,
  domain,
  isServing,
  name,
  namesSeenBy,
  openSurroundings,
  recordsAreVerified,
  replaceCompromisedKey,
  rotateKey,
  type Surroundings,
} from "../helpers/public-name.ts";
import { freshServer, getServer, operatorIsInstalled, removeServer } from "../helpers/servers.ts";
import { removeZone } from "../lab/names.ts";

const missing = pebbleIsMissing();
if (missing) console.warn(`skipped: ${missing}`);

describe.skipIf(missing !== undefined)("an ordinary name", () => {
  const peerDomain = "_public-peer.test";
  let around: Surroundings;
  let peer: WrittenServer;
  let couple: Couple | undefined;
  let mail: CheckedMail | undefined;

  beforeAll(async () => {
    await operatorIsInstalled();
    around = await openSurroundings();
    // it validates the zone, too: its mail to the name is sent by TLSA
    peer = await freshServer("public-peer", { domain: peerDomain, network: around.server.spec.network });
  });
  afterAll(async () => {
    await couple?.stop();
    await Promise.all([removeServer(name), removeServer("public-peer")]);
    await removeZone(peerDomain);
    await around?.remove();
  });

  test("its records are published and verified, its certificate is ordered and served", async () => {
    await apply(around.server);
    const { dns } = await recordsAreVerified();
    expect(dns).toMatchObject({ zone: "example.org", nameServers: ["ns1.example.org"], dnssec: "Secure" });
    const { certificate } = await certificateIsServed(around.root);
    expect(certificate?.source).toBe("ACME");
    await isServing();
    for (const port of [ports.imaps, ports.submissions, ports.https])
      expect((await namesSeenBy(around.root, port)).split(", ").sort()).toEqual(
        ["mta-sts.", "", "www."].map((before) => `DNS:${before}${domain}`),
      );
  });

  test("Delta Chat joins by strict TLS, and writes to somebody at another relay", async () => {
    ({ couple } = await join(await getServer(name), peer, around.core.program));
    expect(await couple.alice.address()).toMatch(/^[a-z0-9]{9}@nine\.example\.org$/);
    expect((await converse(couple, 1)).encrypted).toBe(true);
  });

  test("a key follows another: no mail is refused by the other relay, at any moment", async () => {
    mail = await CheckedMail.open(peer);
    await mail.send();
    const { from, to } = await rotateKey(mail);
    expect(from).toBe("chatmail");
    expect(to).not.toBe(from);
  });

  test("one that others may have is replaced at once, and no mail is refused because of it", async () => {
    if (!mail) throw new Error("no mail was sent before");
    const { from, to } = await replaceCompromisedKey(mail);
    expect(to).not.toBe(from);
    await isServing();
    await mail.close();
    expect(mail.count).toBeGreaterThan(8);
  });

  test("deleted, it leaves no record", async () => {
    const { before, left } = await deleteServer();
    expect(before).toBeGreaterThan(10);
    expect(left).toEqual([]);
  });
});
