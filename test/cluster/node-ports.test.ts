/**
 * A relay on node ports, as its clients come through a router that forwards the standard ports to
 * them.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { WrittenServer } from "../../src/api/chatmail-server.ts";
import { password } from "../helpers/accounts.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { kubectlJson } from "../helpers/kubectl.ts";
import { encryptedMessage, randomName } from "../helpers/messages.ts";
import { freshServer, namespace, operatorIsInstalled, removeServer } from "../helpers/servers.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { turnClient } from "../helpers/turn-client.ts";
import { patienceMs, until } from "../helpers/until.ts";

const name = "node-ports";
const domain = "_node-ports-story.test";
const user = `${randomName(9)}@${domain}`;
let server: WrittenServer;
let nodePorts: Record<string, number>;

interface Service {
  spec: { ports: { name: string; nodePort: number }[] };
}

beforeAll(async () => {
  await operatorIsInstalled();
  server = await freshServer(name, {
    domain,
    network: { exposure: "NodePort" },
    services: { turn: { enabled: true } },
  });
  const service = await kubectlJson<Service>(["-n", namespace, "get", "service", name]);
  nodePorts = Object.fromEntries(service.spec.ports.map(({ name, nodePort }) => [name, nodePort]));
});
afterAll(() => removeServer(name));

const at = (port: string) => ({ host: server.status?.addresses?.[0]?.value ?? "", port: nodePorts[port] ?? 0 });

async function imap(): Promise<ImapClient> {
  const client = await ImapClient.open(at("imap"));
  await client.startTls();
  expect(await client.login(user, password)).toMatchObject({ status: "OK" });
  return client;
}

test("an address is made, and its mail comes", async () => {
  const client = await imap();
  await client.say("SELECT INBOX");
  const smtp = await SmtpClient.ready(at("submission"), user, password);
  const data = encryptedMessage({ from: user, to: [user] });
  expect(await smtp.send({ from: user, to: [user], data })).toMatchObject({ code: 250 });
  await smtp.quit();
  const come = async () => (await client.say("NOOP")).untagged.some((line) => line.endsWith("1 EXISTS"));
  await until("the mail", come, { patienceMs: patienceMs.mail });
  await client.logout();
});

test("its TURN server carries packets between two who both go through it", async () => {
  const client = await imap();
  const told = (await client.say('GETMETADATA "" /shared/vendor/deltachat/turn')).untagged.join("\n");
  await client.logout();
  const [, username = "", secret = ""] = /3478:(\d+):([A-Za-z0-9+/=]+)/.exec(told) ?? [];
  const { host, port } = at("turn");
  const who = ["-p", String(port), "-u", username, "-w", secret];
  const said = await turnClient(...who, "-y", "-c", "-n", "20", "-m", "2", host);
  expect(said).toMatch(/tot_send_msgs=(\d+), tot_recv_msgs=\1\b/);
});
