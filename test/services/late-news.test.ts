/**
 * News that a session in IDLE could miss: mail that comes between Dovecot's look into a folder and
 * its note of when that folder had changed last. For Dovecot nothing has changed then, until it
 * looks again by itself.
 */
import { execFileSync } from "node:child_process";
import { linkSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import { folders, vmail } from "../../src/pod/layout.ts";
import { newAccount, password } from "../helpers/accounts.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { encryptedMessage } from "../helpers/messages.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { until } from "../helpers/until.ts";

const domain = "_late-news.test";
/** Dovecot's own interval is 30 s, and begins with IDLE. */
const patience = { patienceMs: 20_000 };

let pod: RelayPod;
beforeAll(async () => {
  pod = await startRelayPod({ domain, spec: { accounts: { sendBurst: 1000, sendRatePerMinute: 1000 } } });
});
afterAll(() => pod?.remove());

async function send(to: string) {
  const smtp = await SmtpClient.ready(pod.at(ports.submissions), to, password);
  expect(await smtp.send({ from: to, to: [to], data: encryptedMessage({ from: to, to: [to] }) })).toMatchObject({
    code: 250,
  });
  await smtp.quit();
}

/** Mail comes, and the folder's time of change stays what Dovecot has seen. */
async function arriveUnnoticed(folder: string, data: Buffer, nth: number) {
  const [mail, reference] = [join(folder, "tmp", `late-${nth}`), join(folder, "tmp", `reference-${nth}`)];
  writeFileSync(mail, data, { mode: 0o644 });
  execFileSync("chown", [`${vmail.uid}:${vmail.gid}`, mail]);
  await pod.freeze("dovecot");
  execFileSync("touch", ["-r", join(folder, "new"), reference]);
  linkSync(mail, join(folder, "new", `${Math.floor(Date.now() / 1000)}.M${nth}P1.late`));
  execFileSync("touch", ["-r", reference, join(folder, "new")]);
  await pod.thaw("dovecot");
}

test("is not late by half a minute", async () => {
  const user = await newAccount(pod);
  const client = await ImapClient.likeDeltaChat(pod.at(ports.imaps), user, password);
  const seen: string[] = [];
  const idle = await client.idle();
  const listening = (async () => {
    for (;;) seen.push(await idle.next());
  })().catch(() => undefined);
  const exists = (count: number) =>
    until(`${count} EXISTS`, () => seen.some((line) => line === `* ${count} EXISTS`), patience);
  await send(user);
  await exists(1);
  const folder = join(pod.volume("mail"), domain, user);
  // Dovecot has seen it there, or has it from the delivery's index and moves it later
  expect(["new", "cur"].flatMap((name) => readdirSync(join(folder, name)))).toHaveLength(1);
  await arriveUnnoticed(folder, Buffer.from(encryptedMessage({ from: user, to: [user] })), 1);
  await exists(2);
  client.destroy();
  await listening;
});

test("of many that come at once the last is heard, though Dovecot does not look by itself", async () => {
  const configuration = await pod.exec("dovecot", "cat", `${folders.dovecotConfig}/dovecot.conf`);
  const never = configuration.replace("mailbox_idle_check_interval = 2s", "mailbox_idle_check_interval = 10 min");
  expect(never).not.toBe(configuration);
  await pod.configure("dovecot", "dovecot.conf", never);
  await pod.signal("dovecot", "SIGHUP");
  await until("the reload", async () => (await pod.logs("dovecot")).includes("SIGHUP received"));
  const [user, ...senders] = await Promise.all(Array.from({ length: 7 }, () => newAccount(pod)));
  if (user === undefined) throw new Error("no account");
  const client = await ImapClient.likeDeltaChat(pod.at(ports.imaps), user, password);
  const idle = await client.idle();
  const sessions = await Promise.all(
    senders.map(async (from) => ({ from, smtp: await SmtpClient.ready(pod.at(ports.submissions), from, password) })),
  );
  const sendAll = () =>
    Promise.all(
      sessions.map(({ from, smtp }) => smtp.send({ from, to: [user], data: encryptedMessage({ from, to: [user] }) })),
    );
  for (let round = 1; round <= 30; round++) {
    for (const { code } of await sendAll()) expect(code).toBe(250);
    while ((await idle.next()) !== `* ${round * senders.length} EXISTS`);
  }
  for (const { smtp } of sessions) await smtp.quit();
  client.destroy();
});
