/** What users notice when a part of the pod is down, and what is still there when it is back. */
import { readdirSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ports } from "../../src/mail/layout.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { encryptedMessage, randomName } from "../helpers/messages.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { patienceMs, until } from "../helpers/until.ts";

let pod: RelayPod;
let alice: string;
const password = "correct horse";

beforeAll(async () => {
  pod = await startRelayPod({ domain: "_outage.test" });
  alice = `${randomName(9)}@${pod.domain}`;
  await (await ImapClient.ready(pod.at(ports.imaps), alice, password)).logout();
});
afterAll(() => pod?.remove());

const marks = async (): Promise<string[]> => {
  const client = await ImapClient.ready(pod.at(ports.imaps), alice, password);
  await client.say("SELECT INBOX");
  const found = (await client.messages()).flatMap((text) => /Chat-Mark: (\w+)/.exec(text)?.[1] ?? []);
  await client.logout();
  return found.sort();
};

async function sendToSelf(mark: string): Promise<number> {
  const smtp = await SmtpClient.ready(pod.at(ports.submissions), alice, password);
  const data = encryptedMessage({ from: alice, to: [alice], headers: { "Chat-Mark": mark } });
  const { code } = await smtp.send({ from: alice, to: [alice], data });
  await smtp.quit();
  return code;
}

test("at rest the pod is small", async () => {
  const memory = await pod.memory();
  console.log("PSS in kB:", memory);
  expect(Object.values(memory).reduce((sum, each) => sum + each)).toBeLessThan(160_000);
});

test("without the relay daemon logins fail for a while, not for good, and mail is put off", async () => {
  const idle = await ImapClient.ready(pod.at(ports.imaps), alice, password);
  expect(await pod.stop("relay")).toBe(0);
  const smtp = await SmtpClient.ready(pod.at(ports.submissions));
  expect(await smtp.login(alice, password)).toMatchObject({ code: 454 });
  await smtp.quit();
  const imap = await ImapClient.open(pod.at(ports.imaps));
  expect(await imap.login(alice, password)).toMatchObject({
    status: "NO",
    text: expect.stringContaining("[UNAVAILABLE]"),
  });
  imap.destroy();
  const other = await SmtpClient.ready(pod.at(ports.smtp));
  const reply = await other.send({ from: "x@elsewhere.test", to: [alice], data: "" });
  expect(reply.code).toBe(451);
  await other.quit();

  await pod.start("relay");
  expect((await idle.say("NOOP")).status).toBe("OK");
  await idle.logout();
  expect(await sendToSelf("back")).toBe(250);
  await until("the mail", async () => (await marks()).includes("back"), { patienceMs: patienceMs.mail });
});

test("SIGTERM and SIGKILL with a full queue lose nothing", async () => {
  await pod.stop("dovecot");
  const sent = ["one", "two", "three", "four"];
  for (const mark of sent) expect(await sendToSelf(mark)).toBe(250);
  await until("a queue", () => queued() >= sent.length);
  expect(await pod.stop("postfix")).toBe(0);
  await pod.start("postfix");
  await pod.kill("postfix");
  expect(queued()).toBeGreaterThanOrEqual(sent.length);
  await pod.start("postfix");
  await pod.start("dovecot");
  const arrived = async () => sent.every((mark, at, all) => all.length > at && mark !== "") && (await marks());
  const found = await until(
    "all mails",
    async () => {
      const there = await arrived();
      return there && sent.every((mark) => there.includes(mark)) ? there : false;
    },
    { patienceMs: 45_000, everyMs: 200 },
  );
  expect(found.filter((mark) => sent.includes(mark))).toHaveLength(sent.length);
});

const queued = () =>
  ["incoming", "active", "deferred"]
    .flatMap((name) => readdirSync(`${pod.volume("queue")}/${name}`, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile()).length;

test("a new certificate is served after SIGHUP, and ends no session", async () => {
  const before = await ImapClient.ready(pod.at(ports.imaps), alice, password);
  for (const name of ["dovecot", "postfix", "web"] as const) await pod.signal(name, "HUP");
  await until("a login after the reload", async () => (await marks()).length > 0);
  expect((await before.say("NOOP")).status).toBe("OK");
  await before.logout();
  expect(await sendToSelf("reloaded")).toBe(250);
});

test("every program ends on SIGTERM in time and says so", async () => {
  for (const name of ["web", "dovecot", "postfix", "relay"] as const) expect(await pod.stop(name)).toBe(0);
  expect(await pod.logs("postfix")).toMatch(/terminating on signal 15\n/);
});
