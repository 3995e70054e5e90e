/**
 * What people do with Delta Chat on two relays, beyond a first message: files, receipts, groups,
 * second devices, and relays that go away meanwhile.
 */
import { createHash, randomBytes } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { WrittenServer } from "../../src/api/chatmail-server.ts";
import { DeltaChatClient } from "../helpers/delta-chat.ts";
import { kubectl } from "../helpers/kubectl.ts";
import { randomName } from "../helpers/messages.ts";
import { freshServer, namespace, operatorIsInstalled, removeServer, serverReady } from "../helpers/servers.ts";
import { patienceMs, until } from "../helpers/until.ts";

/** A group of ten would meet the limit that one sender has by default. */
const accounts = { sendBurst: 1000, sendRatePerMinute: 6000 };
const clients: DeltaChatClient[] = [];
let left: WrittenServer;
let right: WrittenServer;
let alice: DeltaChatClient;
let bob: DeltaChatClient;
let chats: { mine: number; theirs: number };

async function newClient(name: string, server?: WrittenServer): Promise<DeltaChatClient> {
  const client = await DeltaChatClient.start(name);
  clients.push(client);
  if (server) await client.join(server.status?.invite?.link ?? "");
  return client;
}

beforeAll(async () => {
  await operatorIsInstalled();
  [left, right] = await Promise.all([
    freshServer("left", { domain: "_left.test", accounts }),
    freshServer("right", { domain: "_right.test", accounts }),
  ]);
  alice = await newClient("Alice", left);
  bob = await newClient("Bob", right);
  chats = await bob.meet(alice);
});

afterAll(async () => {
  await Promise.all(clients.map((client) => client.stop()));
  await Promise.all([removeServer("left"), removeServer("right")]);
});

test("Alice sees that Bob has read her message", async () => {
  for (const each of [alice, bob]) await each.rpc.setConfig(each.account, "mdns_enabled", "1");
  const sent = await alice.say(chats.theirs, "read this");
  const { msgId } = await bob.event(
    "IncomingMsg",
    async (event) => (await bob.rpc.getMessage(bob.account, event.msgId)).text === "read this",
  );
  await bob.rpc.markseenMsgs(bob.account, [msgId]);
  await alice.event("MsgRead", (event) => event.msgId === sent);
});

test("a file of 20 MiB arrives as it was", async () => {
  const bytes = randomBytes(20 * 2 ** 20);
  const file = join(alice.folder, "holiday.bin");
  await writeFile(file, bytes);
  await alice.rpc.sendMsg(alice.account, chats.theirs, {
    text: "the file",
    html: null,
    viewtype: "File",
    file,
    filename: "holiday.bin",
    location: null,
    overrideSenderName: null,
    quotedMessageId: null,
    quotedText: null,
  });
  const digest = (data: Buffer) => createHash("sha256").update(data).digest("hex");
  const received = async () => {
    for (const id of await bob.rpc.searchMessages(bob.account, "the file", null)) {
      const message = await bob.rpc.getMessage(bob.account, id);
      if (message.downloadState === "Done" && message.file && message.fileBytes === bytes.length) return message.file;
    }
    return undefined;
  };
  const path = await until("the file", received, { patienceMs: patienceMs.pod, everyMs: 100 });
  expect(digest(await readFile(path))).toBe(digest(bytes));
});

test("ten people on two relays talk in a group", async () => {
  const group = await alice.rpc.createGroupChat(alice.account, "Choir", false);
  const others = [bob];
  for (let number = 3; number <= 10; number++)
    others.push(await newClient(`Singer ${number}`, number % 2 ? left : right));
  const chatOf = new Map<DeltaChatClient, number>();
  for (const other of others) chatOf.set(other, await other.joinGroup(alice, group));
  await alice.say(group, "we sing at eight");
  await Promise.all(others.map((other) => other.has("we sing at eight")));
  const last = others.at(-1) as DeltaChatClient;
  await last.say(chatOf.get(last) as number, "I am late");
  await Promise.all([alice, ...others.slice(0, -1)].map((each) => each.has("I am late")));
});

test("who was away gets everything afterwards, once", async () => {
  await bob.rpc.stopIo(bob.account);
  const texts = Array.from({ length: 5 }, (_, at) => `while you slept ${at}`);
  for (const text of texts) {
    const id = await alice.say(chats.theirs, text);
    await alice.event("MsgDelivered", (event) => event.msgId === id);
  }
  await bob.rpc.startIo(bob.account);
  for (const text of texts) await bob.has(text);
  for (const text of texts) expect(await bob.count(text)).toBe(1);
});

test("a relay that is gone for a while loses nothing that is sent to it", async () => {
  await kubectl(["-n", namespace, "delete", "pod", "right-0", "--wait=false"]);
  const texts = Array.from({ length: 5 }, () => `while the relay slept ${randomName(6)}`);
  for (const text of texts) await alice.say(chats.theirs, text);
  for (const text of texts) await bob.has(text);
  for (const text of texts) expect(await bob.count(text)).toBe(1);
  await serverReady("right");
});

test("both relays begin anew in the middle of a conversation: nothing is lost, nothing comes twice", async () => {
  const said: [DeltaChatClient, string][] = [];
  for (let round = 0; round < 12; round++) {
    if (round === 3) await kubectl(["-n", namespace, "delete", "pod", "left-0", "--wait=false"]);
    if (round === 6) await kubectl(["-n", namespace, "delete", "pod", "right-0", "--wait=false"]);
    for (const [from, chat, to] of [
      [alice, chats.theirs, bob],
      [bob, chats.mine, alice],
    ] as const) {
      const text = `round ${round} of ${from.name} ${randomName(6)}`;
      await from.say(chat, text);
      said.push([to, text]);
    }
  }
  for (const [to, text] of said) await to.has(text);
  for (const [to, text] of said) expect(await to.count(text), text).toBe(1);
});

test("a second device has what the first one has, both ways", async () => {
  await alice.rpc.setConfig(alice.account, "bcc_self", "1");
  await alice.rpc.stopIo(alice.account);
  await alice.rpc.exportBackup(alice.account, alice.folder, null);
  const backup = (await readdir(alice.folder)).find((name) => name.endsWith(".tar")) ?? "";
  const tablet = await newClient("Alice's tablet");
  await tablet.rpc.importBackup(tablet.account, join(alice.folder, backup), null);
  for (const device of [alice, tablet]) await device.rpc.startIo(device.account);
  await bob.say(chats.mine, "to both devices");
  for (const device of [alice, tablet]) await device.has("to both devices");
  await alice.say(chats.theirs, "from the first device");
  await tablet.has("from the first device");
  await tablet.say(chats.theirs, "from the second device");
  await Promise.all([alice, bob].map((each) => each.has("from the second device")));
});
