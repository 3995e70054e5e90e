/** What users notice when a part of the pod is down, and what is still there when it is back. */
import { readdirSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import { folders } from "../../src/pod/layout.ts";
import { newAccount, password } from "../helpers/accounts.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { encryptedMessage } from "../helpers/messages.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { patienceMs, until } from "../helpers/until.ts";

let pod: RelayPod;
let alice: string;

beforeAll(async () => {
  pod = await startRelayPod({ domain: "_outage.test" });
  alice = await newAccount(pod);
});
afterAll(() => pod?.remove());

/** Postfix's master hands the signal on to itself when it is done. */
const endedBySigterm = 143;

const marks = async (): Promise<string[]> => {
  const client = await ImapClient.ready(pod.at(ports.imaps), alice, password);
  await client.say("SELECT INBOX");
  const found = (await client.messages()).flatMap((text) => /Chat-Mark: (\w+)/.exec(text)?.[1] ?? []);
  await client.logout();
  return found.sort();
};

/** Large mail goes by the queue, and other mail to this relay does not. */
const large = 1 << 20;

async function sendToSelf(mark: string, size?: number): Promise<number> {
  const smtp = await SmtpClient.ready(pod.at(ports.submissions), alice, password);
  const data = encryptedMessage({ from: alice, to: [alice], headers: { "Chat-Mark": mark }, ...(size && { size }) });
  const { code } = await smtp.send({ from: alice, to: [alice], data });
  await smtp.quit();
  return code;
}

test("at rest the pod is small", async () => {
  const memory = await pod.memory();
  console.log("PSS in kB:", memory);
  expect(Object.values(memory).reduce((sum, each) => sum + each)).toBeLessThan(170_000);
});

test("without the relay daemon logins fail for a while, not for good, and mail is put off", async () => {
  const idle = await ImapClient.ready(pod.at(ports.imaps), alice, password);
  const early = await SmtpClient.ready(pod.at(ports.submissions));
  expect(await pod.stop("relay")).toBe(0);
  // an open session hears 454, a new one is closed before it could ask; neither is told that its
  // password is wrong
  expect(await early.login(alice, password)).toMatchObject({ code: 454 });
  await early.quit();
  await expect(SmtpClient.ready(pod.at(ports.submissions), alice, password)).rejects.toThrow("closed");
  const imap = await ImapClient.open(pod.at(ports.imaps));
  expect(await imap.login(alice, password)).toMatchObject({
    status: "NO",
    text: expect.stringContaining("[UNAVAILABLE]"),
  });
  imap.destroy();
  const other = await SmtpClient.open(pod.at(ports.smtp));
  expect((await other.say("STARTTLS")).text).toMatch(/^4\d\d 4\./);
  await other.quit();

  await pod.start("relay");
  expect((await idle.say("NOOP")).status).toBe("OK");
  await idle.logout();
  await until("submission to be back", async () => (await sendToSelf("back")) === 250);
  await until("the mail", async () => (await marks()).includes("back"), { patienceMs: patienceMs.mail });
});

test("logins that come while the daemon stands still go on with it, however many", async () => {
  // one address may have ten sessions
  const users = await Promise.all(Array.from({ length: 12 }, () => newAccount(pod)));
  const five = users.flatMap((user) => Array<string>(5).fill(user));
  await pod.freeze("relay");
  const clients = await Promise.all(five.map(() => ImapClient.open(pod.at(ports.imaps))));
  const answers = clients.map((client, at) => client.login(five[at] ?? "", password));
  await until("the workers to wait", async () => (await pod.processes("dovecot", "auth")) > 10);
  await pod.thaw("relay");
  for (const { status } of await Promise.all(answers)) expect(status).toBe("OK");
  for (const client of clients) await client.logout();
  // they stay for half an hour, and are 1.2 MiB each: as many as the auth process opens connections
  // to, and itself
  expect(await pod.processes("dovecot", "auth")).toBeLessThanOrEqual(31);
});

test("without Dovecot mail is taken, and in the mailbox when Dovecot is back", async () => {
  // its mailbox is known to have room
  expect(await sendToSelf("before")).toBe(250);
  await pod.stop("dovecot");
  expect(await sendToSelf("meanwhile")).toBe(250);
  expect(queued()).toBe(0);
  await pod.start("dovecot");
  await until("a login", async () => (await marks()).includes("meanwhile"), { patienceMs: patienceMs.client });
});

test("SIGTERM and SIGKILL with a full queue lose nothing", async () => {
  await pod.stop("dovecot");
  const sent = ["one", "two", "three", "four"];
  for (const mark of sent) expect(await sendToSelf(mark, large)).toBe(250);
  await until("a queue", () => queued() >= sent.length);
  expect(await pod.stop("postfix")).toBe(endedBySigterm);
  await pod.start("postfix");
  await pod.kill("postfix");
  expect(queued()).toBeGreaterThanOrEqual(sent.length);
  await pod.start("postfix");
  await pod.start("dovecot");
  const arrived = async () => {
    const there = await marks();
    return sent.every((mark) => there.includes(mark)) && there;
  };
  const found = await until("all mails", arrived, { patienceMs: patienceMs.client, everyMs: 200 });
  expect(found.filter((mark) => sent.includes(mark))).toHaveLength(sent.length);
});

test("a process number that a killed Dovecot has left stops nobody", async () => {
  await pod.exec("dovecot", "sh", "-c", `echo 1 > ${folders.dovecotRun}/master.pid`);
  await pod.kill("dovecot");
  await pod.start("dovecot");
});

test("the locks that a killed Dovecot has left keep nobody from the mailbox, whoever has its process number now", async () => {
  const own = `${folders.mail}/${pod.domain}/${alice}`;
  // as Dovecot writes them: process and machine, both of which are there again after the kill
  const locks = ["dovecot-uidlist.lock", "dovecot-keywords.lock", ".DeltaChat/dovecot-uidlist.lock"];
  const script = `mkdir ${own}/.DeltaChat; cd ${own}; for lock; do printf 1:%s "$(hostname)" > $lock; done`;
  await pod.exec("dovecot", "sh", "-c", script, "sh", ...locks);
  await pod.kill("dovecot");
  await pod.start("dovecot");
  expect(await sendToSelf("locked")).toBe(250);
  await until("the mail", async () => (await marks()).includes("locked"));
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
  for (const name of ["web", "dovecot", "relay"] as const) expect(await pod.stop(name)).toBe(0);
  expect(await pod.stop("postfix")).toBe(endedBySigterm);
  await until("the log to say so", async () => /terminating on signal 15\n/.test(await pod.logs("postfix")));
});
