/**
 * Where a relay says no, and what that looks like: senders in a hurry, full mailboxes, addresses
 * that are not there, strangers without an invite.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { WrittenServer } from "../../src/api/chatmail-server.ts";
import { ports } from "../../src/mail/ports.ts";
import { folders } from "../../src/pod/layout.ts";
import { DeltaChatClient } from "../helpers/delta-chat.ts";
import { someAccount } from "../helpers/first-message.ts";
import { ForeignRelay } from "../helpers/foreign-relay.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { kubectl, kubectlJson } from "../helpers/kubectl.ts";
import { encryptedMessage, randomName } from "../helpers/messages.ts";
import { callPlugin } from "../helpers/plugin.ts";
import {
  freshServer,
  namespace,
  operatorIsInstalled,
  patchServer,
  removeServer,
  serverReady,
} from "../helpers/servers.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { patienceMs, until } from "../helpers/until.ts";

type Account = ReturnType<typeof someAccount>;

const names = ["narrow", "other", "private"];
let narrow: WrittenServer;
let other: WrittenServer;
const clients: DeltaChatClient[] = [];

beforeAll(async () => {
  await operatorIsInstalled();
  const accounts = { sendBurst: 5, sendRatePerMinute: 60, mailboxQuota: "10Mi" };
  [narrow, other] = await Promise.all([
    freshServer("narrow", { domain: "_narrow.test", accounts, messages: { maxSize: "4Mi" } }),
    freshServer("other", { domain: "_other.test" }),
  ]);
});
afterAll(async () => {
  await Promise.all(clients.map((client) => client.stop()));
  await Promise.all(names.map(removeServer));
});

const domainOf = ({ address }: Account) => address.slice(address.indexOf("@") + 1);
const submission = (of: Account) =>
  SmtpClient.ready({ host: domainOf(of), port: ports.submissions }, of.address, of.password);

async function mailbox(of: Account): Promise<ImapClient> {
  const client = await ImapClient.ready({ host: domainOf(of), port: ports.imaps }, of.address, of.password);
  await client.say("SELECT INBOX");
  return client;
}

/** An address that is there. */
async function newAccount(server: WrittenServer): Promise<Account> {
  const account = someAccount(server.spec.domain);
  await (await mailbox(account)).logout();
  return account;
}

async function send(from: Account, to: string, size?: number) {
  const smtp = await submission(from);
  const data = encryptedMessage({ from: from.address, to: [to], ...(size && { size }) });
  const reply = await smtp.send({ from: from.address, to: [to], data });
  await smtp.quit();
  return reply;
}

async function stored(of: Account): Promise<number> {
  const client = await mailbox(of);
  const { untagged } = await client.say("STATUS INBOX (MESSAGES)");
  await client.logout();
  return Number(/MESSAGES (\d+)/.exec(untagged.join())?.[1]);
}

/** Waits for a mail that holds these words. */
async function mailWith(of: Account, words: RegExp): Promise<string> {
  const client = await mailbox(of);
  const find = async () => {
    await client.say("NOOP");
    return (await client.messages()).find((text) => words.test(text));
  };
  const text = await until(`a mail with ${words}`, find, { patienceMs: patienceMs.pod, everyMs: 200 });
  await client.logout();
  return text;
}

describe("a sender in a hurry", () => {
  test("is told at RCPT, and nobody else waits for it", async () => {
    const [hasty, calm] = [await newAccount(narrow), await newAccount(narrow)];
    const replies: string[] = [];
    for (let nth = 0; nth < 7; nth++) replies.push((await send(hasty, calm.address)).text);
    expect(replies.slice(0, 5).every((text) => text.startsWith("250 "))).toBe(true);
    expect(replies.find((text) => text.startsWith("450 "))).toMatch(/^450 4\.7\.1: Too much mail from </);
    expect((await send(calm, hasty.address)).code).toBe(250);
  });

  test("with Delta Chat loses nothing: what was put off goes out by itself", async () => {
    const [alice, bob] = [await DeltaChatClient.start("Alice"), await DeltaChatClient.start("Bob")];
    clients.push(alice, bob);
    await alice.join(narrow.status?.invite?.link ?? "");
    await bob.join(other.status?.invite?.link ?? "");
    const { theirs } = await bob.meet(alice);
    const texts = Array.from({ length: 10 }, (_, at) => `in a hurry ${at}`);
    // A core that is online tries what was put off again with each new text, and gives a message
    // up after the seventh time; written while there is no network, all of them wait together.
    await alice.rpc.stopIo(alice.account);
    for (const text of texts) await alice.say(theirs, text);
    await alice.rpc.startIo(alice.account);
    for (const text of texts) await bob.has(text);
    for (const text of texts) expect(await bob.count(text)).toBe(1);
  });
});

test("a full mailbox: the sender learns of it, its owner sees it, and with room again mail flows", async () => {
  const [sender, full] = [await newAccount(other), await newAccount(narrow)];
  // one after the other: what is not stored yet is not counted
  for (let nth = 1; nth <= 3; nth++) {
    expect((await send(sender, full.address, 2_500_000)).code).toBe(250);
    await until(`mail ${nth} to be stored`, async () => (await stored(full)) === nth, { patienceMs: patienceMs.pod });
  }
  expect((await send(sender, full.address, 2_500_000)).code).toBe(250);
  const bounce = await mailWith(sender, /Quota exceeded/);
  expect(bounce).toMatch(/552\s+5\.2\.2 <[^>]*>\s+Quota exceeded \(mailbox for user is full\)/);
  const client = await mailbox(full);
  const quota = (await client.say('GETQUOTAROOT "INBOX"')).untagged.join();
  const [, used, limit] = /STORAGE (\d+) (\d+)/.exec(quota) ?? [];
  expect(Number(limit)).toBe(10 * 1024);
  expect(Number(used)).toBeGreaterThan(8 * 1024);
  await client.say("STORE 1:* +FLAGS (\\Deleted)");
  expect(await client.say("EXPUNGE")).toMatchObject({ status: "OK" });
  await client.logout();
  const mark = randomName(12);
  const data = encryptedMessage({ from: sender.address, to: [full.address], headers: { "Chat-Mark": mark } });
  const smtp = await submission(sender);
  expect(await smtp.send({ from: sender.address, to: [full.address], data })).toMatchObject({ code: 250 });
  await smtp.quit();
  await mailWith(full, new RegExp(mark));
});

test("mail to an address that is not there comes back, signed by the one relay and let in by the other", async () => {
  const sender = await newAccount(narrow);
  const nobody = `${randomName(9)}@${other.spec.domain}`;
  expect((await send(sender, nobody)).code).toBe(250);
  const bounce = await mailWith(sender, /Undelivered|undelivered/);
  const [head = ""] = bounce.split("\r\n\r\n");
  expect(head).toContain(`<MAILER-DAEMON@${other.spec.domain}>`);
  expect(head).not.toMatch(/^(dkim-signature|authentication-results|received):/im);
  expect(bounce).toContain(nobody);
});

test("an address that nobody has used for 90 days is gone after the expiry job; one in use stays", async () => {
  const [idle, used] = [await newAccount(narrow), await newAccount(narrow)];
  const home = (of: Account) => `${folders.mail}/${narrow.spec.domain}/${of.address}`;
  const inPod = (...command: string[]) =>
    kubectl(["-n", namespace, "exec", "narrow-0", "-c", "dovecot", "--", ...command]);
  await inPod("touch", "-d", "91 days ago", `${home(idle)}/password`);
  const job = `narrow-expiry-${randomName(6)}`;
  await kubectl(["-n", namespace, "create", "job", job, "--from=cronjob/narrow-expiry"]);
  await kubectl(["-n", namespace, "wait", "--for=condition=Complete", `job/${job}`, "--timeout=90s"]);
  const said = await kubectl(["-n", namespace, "logs", `job/${job}`]);
  await kubectl(["-n", namespace, "delete", "job", job, "--wait=false"]);
  const left = (await inPod("ls", `${folders.mail}/${narrow.spec.domain}`)).split("\n");
  expect(left).toContain(used.address);
  expect(left).not.toContain(idle.address);
  expect(said).not.toContain("@");
});

test("people of another relay come in by an import, through the API server and the kubelet", async () => {
  const folder = mkdtempSync(join(tmpdir(), "import-"));
  try {
    const foreign = new ForeignRelay(folder, narrow.spec.domain);
    const text = `Subject: [...]\r\n\r\n${randomBytes(3 * 2 ** 20)
      .toString("hex")
      .replace(/.{64}/g, "$&\r\n")}\r\n`;
    const password = "as it was before";
    const address = foreign.account(randomName(9), { password, mails: [{ text, flags: "S" }] });
    const words = ["import", "narrow", "-n", namespace, "--from-directory", folder, "--no-dkim"];
    const called = await callPlugin(words, { environment: process.env as Record<string, string> });
    expect(called).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^1 account \(1 new\); 1 mail copied/) as unknown,
    });
    const client = await mailbox({ address, password });
    expect((await client.messages()).join()).toContain(text.slice(-1000).trim());
    await client.logout();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

describe("a relay for those who were asked", () => {
  let server: WrittenServer;
  let member: Account;

  const post = (path: string) =>
    new Promise<{ status: number; body: string }>((resolve, reject) => {
      const options = { host: server.spec.domain, port: ports.https, path, method: "POST", rejectUnauthorized: false };
      const asking = request(options, async (response) => {
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(await response.toArray()).toString() });
      });
      asking.on("error", reject).end();
    });
  const login = async ({ address, password }: Account) => {
    const client = await ImapClient.open({ host: server.spec.domain, port: ports.imaps });
    const { status, text } = await client.login(address, password);
    await client.logout();
    return `${status} ${text}`;
  };

  test("whoever has the invite of the Secret joins with Delta Chat, a stranger is told no", async () => {
    server = await freshServer("private", { domain: "_private.test", accounts: { registration: "Invite" } });
    const { secretName = "" } = server.status?.invite ?? {};
    const { data } = await kubectlJson<{ data: { link: string } }>(["-n", namespace, "get", "secret", secretName]);
    const token = Buffer.from(data.link, "base64").toString().split("/").at(-1);
    const { status, body } = await post(`/new?i=${token}`);
    expect(status, body).toBe(200);
    const { email, password, dclogin_url: link } = JSON.parse(body);
    member = { address: email, password };
    const invited = await DeltaChatClient.start("Invited");
    clients.push(invited);
    await invited.join(link);
    expect(await invited.address()).toBe(email);

    expect(await post("/new?i=guess-guess-guess")).toMatchObject({ status: 403 });
    expect(await login(someAccount(server.spec.domain))).toMatch(/^NO \[AUTHENTICATIONFAILED\]/);
  });

  test("closed, it takes nobody new, and who is in stays in", async () => {
    await patchServer("private", { accounts: { registration: "Closed" } });
    server = await serverReady("private");
    expect(await login(member)).toMatch(/^OK/);
    expect(await login(someAccount(server.spec.domain))).toMatch(/^NO \[AUTHENTICATIONFAILED\]/);
  });
});
