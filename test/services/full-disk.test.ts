/**
 * A volume without room: what was taken is kept and comes later, what can't be taken is put off,
 * and no account is harmed.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import { folders } from "../../src/pod/layout.ts";
import { newAccount, password } from "../helpers/accounts.ts";
import { postMail } from "../helpers/https.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { encryptedMessage, randomName } from "../helpers/messages.ts";
import { type RelayPod, startRelayPod, tryWaitingMail } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { addresses } from "../lab/place.ts";

let pod: RelayPod;
let alice: string;

beforeAll(async () => {
  pod = await startRelayPod({
    domain: "_full-disk.test",
    // Postfix wants room for one and a half of the largest mail
    small: { mail: 16, queue: 64 },
    spec: {
      accounts: { refuseNew: { diskBelow: "1Mi" }, sendBurst: 100 },
      storage: { reservedForMailboxes: "8Mi" },
    },
  });
  alice = await newAccount(pod);
});
afterAll(() => pod?.remove());

/** Takes all the room that there is, to the last byte. */
async function fill(container: "dovecot" | "postfix", folder: string): Promise<void> {
  const script = `for size in 64k 1k 1; do dd if=/dev/zero bs=$size of=${folder}/filler-$size 2>/dev/null; done; df --output=avail ${folder}`;
  expect(await pod.exec(container, "sh", "-c", script)).toMatch(/\b0$/);
}

const makeRoom = (container: "dovecot" | "postfix", folder: string) =>
  pod.exec(container, "sh", "-c", `rm ${folder}/filler-*`);

const imap = (user = alice) => ImapClient.ready(pod.at(ports.imaps), user, password);

async function send(mark: string): Promise<{ code: number; text: string }> {
  const smtp = await SmtpClient.ready(pod.at(ports.submissions), alice, password);
  const data = encryptedMessage({ from: alice, to: [alice], headers: { "Chat-Mark": mark } });
  const reply = await smtp.send({ from: alice, to: [alice], data });
  await smtp.quit();
  return reply;
}

async function marks(): Promise<string[]> {
  const client = await imap();
  await client.say("SELECT INBOX");
  const found = (await client.messages()).flatMap((text) => /Chat-Mark: (\w+)/.exec(text)?.[1] ?? []);
  await client.logout();
  return found.sort();
}

const has = (...wanted: string[]) =>
  until(
    `the mails ${wanted.join()}`,
    async () => {
      const found = await marks();
      return wanted.every((mark) => found.includes(mark));
    },
    {
      patienceMs: patienceMs.mail,
      everyMs: 100,
    },
  );

const setToken = (client: ImapClient, token: string) =>
  client.say(`SETMETADATA INBOX (/private/devicetoken "${token}")`);

describe("no room for mailboxes", () => {
  beforeAll(async () => {
    expect(await send("before")).toMatchObject({ code: 250 });
    await has("before");
    const client = await imap();
    expect(await setToken(client, "openpgp:known")).toMatchObject({ status: "OK" });
    await client.logout();
    await fill("dovecot", folders.mail);
  });

  test("who has an address reads, and deletes, and keeps what the server knows of the device", async () => {
    expect(await marks()).toEqual(["before"]);
    const client = await imap();
    await setToken(client, "openpgp:another");
    expect((await client.say("GETMETADATA INBOX /private/devicetoken")).untagged.join()).toContain("openpgp:known");
    await client.logout();
  });

  test("no address is made, and none by halves", async () => {
    const somebody = `${randomName(9)}@${pod.domain}`;
    const client = await ImapClient.open(pod.at(ports.imaps));
    expect(await client.login(somebody, password)).toMatchObject({ status: "NO" });
    client.destroy();
    const names = await pod.exec("dovecot", "ls", "-A", `${folders.mail}/${pod.domain}`);
    expect(names.split("\n").filter((name) => name.includes("@"))).toEqual([alice]);
  });

  test("mail is taken and waits; with the daemon started anew meanwhile it comes once there is room", async () => {
    expect(await send("waiting")).toMatchObject({ code: 250 });
    await until("it to be put off", async () => /status=deferred/.test(await pod.logs("postfix")));
    await pod.stop("relay");
    await pod.start("relay");
    expect(await marks()).toEqual(["before"]);
    await makeRoom("dovecot", folders.mail);
    await tryWaitingMail(pod);
    await has("waiting");
    expect(await marks()).toEqual(["before", "waiting"]);
    await newAccount(pod);
  });
});

test("the queue leaves to mailboxes what is reserved for them", async () => {
  const leave = (kib: number) =>
    `dd if=/dev/zero bs=1k count=$(( $(df --output=avail ${folders.queue} | tail -1) - ${kib} )) of=${folders.queue}/filler-1`;
  // room for any mail, and less than what is reserved and one and a half of it
  await pod.exec("postfix", "sh", "-c", leave(7 * 1024));
  expect(await send("reserved")).toMatchObject({ code: 452, text: expect.stringContaining("4.3.1") });
  await makeRoom("postfix", folders.queue);
  expect(await send("room")).toMatchObject({ code: 250 });
  await has("room");
});

describe("no room for the queue", () => {
  beforeAll(() => fill("postfix", folders.queue));

  test("mail is put off before it is taken, and is taken when there is room", async () => {
    expect(await send("refused")).toMatchObject({ code: 452, text: expect.stringContaining("4.3.1") });
    const other = await SmtpClient.ready(pod.at(ports.smtp));
    expect(await other.say("MAIL FROM:<x@[192.0.2.7]>")).toMatchObject({ code: 452 });
    await other.quit();
    const from = `x@[${addresses.gateway}]`;
    const body = encryptedMessage({ from, to: [alice] });
    expect(await postMail(pod, { from, to: [alice], body })).toMatchObject({
      status: 400,
      body: expect.stringMatching(/^452 4\.3\.1 /),
    });
    await makeRoom("postfix", folders.queue);
    expect(await send("after")).toMatchObject({ code: 250 });
    await has("after");
    expect(await marks()).not.toContain("refused");
  });
});
