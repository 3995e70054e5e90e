/**
 * A delivered message wakes the device that has asked for it, through a push service on the net
 * that the pod trusts.
 */
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeSelfSigned } from "../../src/certificates/self-signed.ts";
import { ports } from "../../src/mail/ports.ts";
import { domainFolder, folders } from "../../src/pod/layout.ts";
import { appVersionsKey } from "../../src/pod/relay-config.ts";
import { someAccount } from "../helpers/first-message.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { apply, kubectl } from "../helpers/kubectl.ts";
import { encryptedMessage } from "../helpers/messages.ts";
import { freshServer, namespace, operatorIsInstalled, removeServer } from "../helpers/servers.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { addresses } from "../lab/place.ts";

const domain = "_awake.test";
const [alice, bob] = [someAccount(domain), someAccount(domain)];
let service: Server;
const asked: string[] = [];
let answer = 200;

beforeAll(async () => {
  await operatorIsInstalled();
  const { certificatePem, keyPem } = await makeSelfSigned(addresses.gateway, new Date());
  service = createServer({ cert: certificatePem, key: keyPem }, async (request, response) => {
    asked.push(Buffer.concat(await request.toArray()).toString());
    response.writeHead(answer).end();
  });
  await new Promise<void>((resolve) => service.listen(0, () => resolve()));
  const url = `https://${addresses.gateway}:${(service.address() as AddressInfo).port}/notify`;
  await apply({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "awake-ca", namespace },
    // the one key of it that the pod sees
    data: { [appVersionsKey]: certificatePem },
  });
  const services = { push: { url }, appVersions: { configMapName: "awake-ca" } };
  await freshServer("awake", { domain, services });
  // No real push service has a certificate of its own making, so the operator has no field for one:
  // hands off, and the pod is told.
  await inNamespace("patch", "cms", "awake", "--type=merge", "-p", '{"spec":{"management":"Unmanaged"}}');
  const env = `NODE_EXTRA_CA_CERTS=${domainFolder(folders.appVersions, domain)}/${appVersionsKey}`;
  await inNamespace("set", "env", "statefulset/awake", "-c", "relay", env);
  await inNamespace("rollout", "status", "statefulset/awake", "--timeout=120s");
  for (const { address, password } of [alice, bob]) {
    const login = () => ImapClient.ready({ host: domain, port: ports.imaps }, address, password);
    await (await until("the pod to be reached", login, { patienceMs: patienceMs.client, everyMs: 200 })).logout();
  }
});
afterAll(async () => {
  service?.close();
  service?.closeAllConnections();
  await removeServer("awake");
  await inNamespace("delete", "configmap", "awake-ca", "--ignore-not-found");
});

const inNamespace = (...args: string[]) => kubectl(["-n", namespace, ...args]);

const bobsInbox = () => ImapClient.ready({ host: domain, port: ports.imaps }, bob.address, bob.password);

async function send(): Promise<void> {
  const mail = { from: alice.address, to: [bob.address] };
  const outbox = await SmtpClient.ready({ host: domain, port: ports.submissions }, alice.address, alice.password);
  expect(await outbox.send({ ...mail, data: encryptedMessage(mail) })).toMatchObject({ code: 250 });
  await outbox.quit();
}

const told = (count: number) =>
  until(`${count} requests`, () => asked.length >= count, { patienceMs: patienceMs.client });

test("each message wakes the device once, and tells the service the token and nothing else", async () => {
  const inbox = await bobsInbox();
  expect(await inbox.say('SETMETADATA INBOX (/private/devicetoken "bobs-device")')).toMatchObject({ status: "OK" });
  await inbox.logout();
  for (const count of [1, 2]) {
    await send();
    await told(count);
  }
  expect(asked).toEqual(["bobs-device", "bobs-device"]);
});

test("a token that the service does not know any more is forgotten", async () => {
  answer = 410;
  await send();
  await told(3);
  const inbox = await bobsInbox();
  const forgotten = async () => {
    const { untagged } = await inbox.say("GETMETADATA INBOX /private/devicetoken");
    return !untagged.join().includes("bobs-device");
  };
  await until("the token to be forgotten", forgotten, { patienceMs: patienceMs.mail, everyMs: 100 });
  await inbox.logout();
});
