/**
 * Clients in IDLE cost no process: their sessions hibernate, whatever they did before, and wake for
 * new mail.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import type { Files } from "../../src/pod/files.ts";
import { password } from "../helpers/accounts.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { encryptedMessage, randomName } from "../helpers/messages.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { until } from "../helpers/until.ts";

const domain = "_hibernation.test";
/** Dovecot keeps one process ready for the next login. */
const ready = 1;
/** `THREADS` of image/close-in-background.c. */
const closingThreads = 16;

let pod: RelayPod;
beforeAll(async () => {
  pod = await startRelayPod({ domain, edit: (files) => ({ ...files, dovecot: soon(files.dovecot) }) });
});
afterAll(() => pod?.remove());

/**
 * Sessions hibernate after a second and not after half a minute, and processes without work end as
 * soon: the outcome is the same.
 */
function soon(files: Files): Files {
  const text = files["dovecot.conf"] ?? "";
  const edited = text
    .replace("imap_hibernate_timeout = 30s", "imap_hibernate_timeout = 1s")
    .replace("idle_kill_interval = 5s", "idle_kill_interval = 1s");
  expect(edited).toMatch(/timeout = 1s.*interval = 1s/s);
  return { ...files, "dovecot.conf": edited };
}

const newAddress = () => `${randomName(9)}@${domain}`;
const imapProcesses = () => pod.processes("dovecot", "imap");
const allHibernated = () =>
  until("sessions to hibernate", async () => (await imapProcesses()) <= ready, { patienceMs: 20_000 }).catch(
    async (thrown) => {
      throw new Error(`${await imapProcesses()} imap processes are left`, { cause: thrown });
    },
  );

async function seesNewMail(to: string, idle: Awaited<ReturnType<ImapClient["idle"]>>) {
  const from = newAddress();
  const smtp = await SmtpClient.ready(pod.at(ports.submissions), from, password);
  expect(await smtp.send({ from, to: [to], data: encryptedMessage({ from, to: [to] }) })).toMatchObject({ code: 250 });
  await smtp.quit();
  while (!/^\* 1 EXISTS/.test(await idle.next()));
}

/**
 * Of the one process that has all sessions which are asleep: its inotify descriptors, one for each
 * of them, and its threads.
 */
async function keeper(): Promise<{ watching: number; threads: number }> {
  const script = `for each in /proc/[0-9]*; do
    read -r name < $each/comm
    [ "$name" = imap-hibernate ] && ls -l $each/fd && cat $each/status
  done; true`;
  const found = await pod.exec("dovecot", "bash", "-c", script);
  return {
    watching: found.split("inotify").length - 1,
    threads: Number(/^Threads:\s+(\d+)$/m.exec(found)?.[1] ?? 0),
  };
}

test("nine clients like Delta Chat, through 993 and 443, hibernate, and see new mail", async () => {
  const users = Array.from({ length: 9 }, newAddress);
  const clients = await Promise.all(
    users.map((user, nth) => {
      const at = pod.at(nth % 3 === 0 ? ports.https : ports.imaps);
      return ImapClient.likeDeltaChat(at, user, password, `token-${nth}`);
    }),
  );
  try {
    const idles = await Promise.all(clients.map((client) => client.idle()));
    await allHibernated();
    for (const [nth, user] of users.entries()) {
      const idle = idles[nth];
      if (idle) await seesNewMail(user, idle);
    }
    for (const idle of idles) expect(await idle.done()).toMatchObject({ status: "OK" });
    for (const client of clients) {
      expect((await client.say("NOOP")).status).toBe("OK");
      expect(await client.messages()).toHaveLength(1);
      await client.idle();
    }
    await allHibernated();
  } finally {
    for (const client of clients) client.destroy();
  }
});

test("one that wakes or leaves keeps no other waiting: what the kernel takes its time to close is closed by threads", async () => {
  await until("those of before to be gone", async () => (await keeper()).watching === 0);
  const users = Array.from({ length: 40 }, newAddress);
  const clients = await Promise.all(users.map((user) => ImapClient.likeDeltaChat(pod.at(ports.imaps), user, password)));
  try {
    await Promise.all(clients.map((client) => client.idle()));
    await allHibernated();
    expect((await keeper()).watching).toBe(users.length);
  } finally {
    for (const client of clients) client.destroy();
  }
  await until("their descriptors to be closed", async () => (await keeper()).watching === 0);
  expect((await keeper()).threads).toBe(1 + closingThreads);
});

describe("what other clients do before IDLE", () => {
  test.each([
    { what: "ENABLE CONDSTORE and QRESYNC", commands: ["ENABLE CONDSTORE QRESYNC"] },
    { what: "a saved search", commands: ["SELECT INBOX", "UID SEARCH RETURN (SAVE) ALL"] },
    { what: "EXAMINE", commands: ["EXAMINE INBOX"] },
    { what: "CLOSE, and so no folder", commands: ["SELECT INBOX", "CLOSE"], select: false },
  ])("$what keeps no process", async ({ commands, select = true }) => {
    const client = await ImapClient.ready(pod.at(ports.imaps), newAddress(), password);
    try {
      for (const command of commands) {
        expect((await client.say(command)).status, command).toBe("OK");
      }
      if (select && !commands.some((each) => each.startsWith("EXAMINE"))) await client.say("SELECT INBOX");
      await client.idle();
      await allHibernated();
    } finally {
      client.destroy();
    }
  });
});

/**
 * Dovecot has no switch for the commands themselves: such a session costs its process, and works.
 */
test("a client that compresses although it is not offered is served, and keeps no other session from hibernating", async () => {
  const [odd, usual] = [newAddress(), newAddress()];
  const compressed = await ImapClient.ready(pod.at(ports.imaps), odd, password);
  const client = await ImapClient.likeDeltaChat(pod.at(ports.imaps), usual, password);
  try {
    expect(await compressed.compress()).toMatchObject({ status: "OK" });
    await compressed.say("SELECT INBOX");
    const idle = await compressed.idle();
    await client.idle();
    const left = ready + 1;
    await until("the other session to hibernate", async () => (await imapProcesses()) <= left, { patienceMs: 20_000 });
    await seesNewMail(odd, idle);
  } finally {
    for (const each of [compressed, client]) each.destroy();
  }
});

test("what keeps a process, COMPRESS and NOTIFY, is offered neither before nor after the login", async () => {
  const client = await ImapClient.open(pod.at(ports.imaps));
  const said = [client.greeting, ...(await client.say("CAPABILITY")).untagged];
  const { text, untagged } = await client.login(newAddress(), password);
  said.push(text, ...untagged, ...(await client.say("CAPABILITY")).untagged);
  await client.logout();
  expect(said.join("\n")).toContain("IDLE");
  expect(said.join("\n")).not.toMatch(/COMPRESS|NOTIFY/);
});
