/** Delivery into mailboxes, and by a server that speaks LMTP. */
import { mkdirSync, readdirSync, readFileSync, rmSync, watch, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { codeOf } from "../../../../src/lib/text.ts";
import type { Patience } from "../../../../src/relay/mailbox/connections.ts";
import { withLf } from "../../../../src/relay/mailbox/content.ts";
import { MailboxDelivery } from "../../../../src/relay/mailbox/delivery.ts";
import { Maildirs } from "../../../../src/relay/mailbox/maildir.ts";
import { Metrics } from "../../../../src/relay/metrics.ts";
import { friendly, hangUp, LmtpServer, type Says } from "../../../helpers/lmtp-server.ts";
import { until } from "../../../helpers/until.ts";
import { settings } from "../settings.ts";

const alice = "alice1234@chat.example";
const bob = "bob123456@chat.example";
const config = settings();
const path = join(config.runFolder, "lmtp.sock");
/** Accounts whose quota need not be looked at. */
const withRoom = new Set<string>();
const many = Array.from({ length: 25 }, (_, at) => `many${10_000 + at}@chat.example`);
const homeOf = (address: string) => join(config.mailFolder, "chat.example", address);
for (const address of [alice, bob, ...many]) {
  const home = homeOf(address);
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "password"), "x");
}

let server: LmtpServer;
let delivery: MailboxDelivery;
let maildirs: Maildirs;
let metrics: Metrics;
let reported: [string, string][];
let failures: unknown[];

async function serve(says?: Says, patience?: Patience) {
  server = await LmtpServer.listen(path, says);
  metrics = new Metrics();
  reported = [];
  failures = [];
  maildirs = new Maildirs({ onFailure: (thrown) => failures.push(thrown) });
  const room = { take: async ({ address }: { address: string }) => withRoom.has(address) };
  const onDelivered = (address: string, author: string) => void reported.push([address, author]);
  const tools = { config, metrics, maildirs, room, onDelivered };
  delivery = new MailboxDelivery({ ...tools, lmtpPath: path, ...(patience && { patience }) });
}
beforeEach(() => serve());
afterEach(async () => {
  delivery.close();
  maildirs.close();
  withRoom.clear();
  await server.close();
});

/** What a message says of itself. */
const from = (sender: string) => ({ sender, author: bob });

function held(recipients: readonly string[] = [alice]) {
  const message = delivery.hold(recipients);
  if (!message) throw new Error("it is not held");
  message.header("Subject", " x");
  message.body(Buffer.from("text\r\n"));
  return message;
}

const deliver = async (recipients: readonly string[] = [alice], sender = bob) => [
  ...(await held(recipients).deliver(from(sender), recipients)),
];

test("a message is delivered to all at once, and the connection is used again", async () => {
  expect(await deliver([alice, bob])).toEqual([alice, bob]);
  expect(await deliver([bob])).toEqual([bob]);
  const mail = `MAIL FROM:<${bob}> BODY=8BITMIME`;
  expect(server.said).toEqual([
    "LHLO localhost",
    ...[mail, `RCPT TO:<${alice}>`, `RCPT TO:<${bob}>`, "DATA"],
    ...[mail, `RCPT TO:<${bob}>`, "DATA"],
  ]);
  expect(server.contents).toEqual(["Subject: x\r\n\r\ntext", "Subject: x\r\n\r\ntext"]);
  expect(server.connections).toHaveLength(1);
  expect(metrics.text()).toContain('direct_deliveries_total{outcome="delivered"} 3');
});

/** Names of its messages. */
const inNew = (address: string) => readdirSync(join(homeOf(address), "new"));
const makeMailbox = (address: string) => {
  for (const folder of ["cur", "new", "tmp"]) {
    rmSync(join(homeOf(address), folder), { recursive: true, force: true });
    mkdirSync(join(homeOf(address), folder));
  }
};

describe("into mailboxes", () => {
  beforeEach(() => {
    for (const address of [alice, bob]) {
      makeMailbox(address);
      withRoom.add(address);
    }
  });

  test("a message is written as Dovecot would, compressed and with its sizes in the name", async () => {
    expect(await deliver([alice])).toEqual([alice]);
    const [name = ""] = inNew(alice);
    const text = `Return-Path: <${bob}>\nDelivered-To: ${alice}\nSubject: x\n\ntext\n`;
    expect(gunzipSync(readFileSync(join(homeOf(alice), "new", name))).toString("latin1")).toBe(text);
    expect(name).toMatch(/^[0-9]{10,}\.M[0-9]{6}P[0-9]+Q0\.[^,:/]+,S=[0-9]+,W=[0-9]+$/);
    expect(name.split(",").slice(1)).toEqual([`S=${text.length}`, `W=${text.length + 5}`]);
    expect(readdirSync(join(homeOf(alice), "tmp"))).toEqual([]);
    expect(server.said).toEqual([]);
    expect(reported).toEqual([[alice, bob]]);
  });

  test("names are in the order of delivery", async () => {
    for (let nth = 0; nth < 20; nth++) await deliver([alice]);
    const count = (name: string) => Number(/Q([0-9]+)/.exec(name)?.[1]);
    expect(inNew(alice).toSorted().map(count)).toEqual(Array.from({ length: 20 }, (_, nth) => nth));
  });

  test("Dovecot has those that may have too little room left, and those that have no mailbox yet", async () => {
    withRoom.delete(alice);
    expect((await deliver([alice, bob])).toSorted()).toEqual([alice, bob]);
    expect([inNew(alice).length, inNew(bob).length]).toEqual([0, 1]);
    expect(server.said.filter((line) => line.startsWith("RCPT"))).toEqual([`RCPT TO:<${alice}>`]);
    expect(reported).toEqual([[bob, bob]]);
    rmSync(join(homeOf(bob), "new"), { recursive: true });
    expect(await deliver([bob])).toEqual([bob]);
    expect(server.contents).toHaveLength(2);
    expect(failures).toEqual([]);
  });

  test("and what can't be written, which is said, and leaves nothing", async () => {
    rmSync(join(homeOf(alice), "new"), { recursive: true });
    writeFileSync(join(homeOf(alice), "new"), "no folder");
    expect(await deliver([alice])).toEqual([alice]);
    expect(server.contents).toHaveLength(1);
    expect(failures.map(codeOf)).toEqual(["ENOTDIR"]);
    expect(readdirSync(join(homeOf(alice), "tmp"))).toEqual([]);
  });

  test("the last one of a burst is announced once more, and that leaves nothing", async () => {
    const events: string[] = [];
    const watcher = watch(join(homeOf(alice), "new"), (_, name) => void events.push(name ?? ""));
    try {
      await deliver([alice]);
      for (let nth = 0; nth < 3; nth++) await deliver([alice]);
      await until("the announcement", () => events.includes(".announcement"));
      await until("its end", () => !inNew(alice).includes(".announcement"));
      expect(inNew(alice)).toHaveLength(4);
    } finally {
      watcher.close();
    }
  });

  test("large ones, too", async () => {
    const large = held([alice]);
    large.body(Buffer.from(`${"x".repeat(998)}\r\n`.repeat(500)));
    expect([...(await large.deliver(from(bob), [alice]))]).toEqual([alice]);
    const [name = ""] = inNew(alice);
    expect(gunzipSync(readFileSync(join(homeOf(alice), "new", name))).length).toBe(
      Number(/S=([0-9]+)/.exec(name)?.[1]),
    );
  });
});

test.each([
  ["a\r\nb\r\n", "a\nb\n", 2],
  ["a\nb", "a\nb\n", 2],
  ["a\rb\r\n\r\n", "a\rb\n\n", 2],
])("lines end as Dovecot stores them: %j", (text, stored, lines) => {
  const result = withLf(Buffer.from(text, "latin1"));
  expect([result.text.toString("latin1"), result.lines]).toEqual([stored, lines]);
});

test("an account gets one copy, by whichever of its spellings", async () =>
  expect(await deliver([alice, "alice1234+x@chat.example"])).toEqual([alice, "alice1234+x@chat.example"]));

test.each([
  ["an address of another relay", [alice, "a@other.example"]],
  ["an account that does not exist", ["nobody123@chat.example"]],
  ["nobody", []],
  ["more than wait for each other", Array.from({ length: 21 }, () => alice)],
])("a message to %s is not held", (_, recipients) => expect(delivery.hold(recipients)).toBeUndefined());

test("one that grows large is left to the queue, and so is what does not fit beside others", async () => {
  const large = held();
  large.body(Buffer.alloc(1 << 20));
  expect([...(await large.deliver(from(bob), [alice]))]).toEqual([]);
  const others = Array.from({ length: 16 }, () => held());
  for (const each of others) each.body(Buffer.alloc((1 << 20) - 100));
  const one = held();
  one.body(Buffer.alloc(10_000));
  expect([...(await one.deliver(from(bob), [alice]))]).toEqual([]);
  for (const each of others) each.end();
  expect(await deliver()).toEqual([alice]);
});

test("a sender that is no plain address is left to the queue", async () => {
  expect(await deliver([alice], '"a b"@x.org')).toEqual([]);
  expect(await deliver([alice], "a>@x.org")).toEqual([]);
  expect(server.said).toEqual([]);
  expect(await deliver([alice], "")).toEqual([alice]);
});

/** The same one, with other answers. */
async function instead(...how: Parameters<typeof serve>) {
  delivery.close();
  await server.close();
  await serve(...how);
}

test.each<[string, Says, string[]]>([
  ["refuses all recipients", (line) => (/^(RCPT|DATA)/.test(line) ? "550 no" : friendly(line)), []],
  ["refuses one of the recipients", (line) => (line.includes(alice) ? "550 no" : friendly(line)), [bob]],
  ["takes one copy alone", (line) => (line === "END 1" ? "552 full" : friendly(line)), [alice]],
  ["is out of order", (line) => (line.startsWith("LHLO") ? "451 later" : friendly(line)), []],
  ["ends the connection", (line) => (line.startsWith("DATA") ? hangUp : friendly(line)), []],
])("a server that %s leaves the rest to the queue", async (_, says, taken) => {
  await instead(says);
  expect(await deliver([alice, bob])).toEqual(taken);
});

test("a server that is away leaves all to the queue", async () => {
  await server.close();
  expect(await deliver()).toEqual([]);
});

test("a server that does not answer to commands, or to the content, is waited for so long and no longer", async () => {
  const patience = { commandMs: 50, contentMs: 100, pauseMs: 0 };
  for (const silent of ["RCPT", "END"]) {
    await instead((line) => (line.startsWith(silent) ? undefined : friendly(line)), patience);
    expect(await deliver()).toEqual([]);
    await until("the connection to be closed", () => server.connections.every(({ closed }) => closed));
  }
});

test("after a server did not answer the others go to the queue at once, until it is tried again", async () => {
  let answers = true;
  await instead((line) => (answers || !line.startsWith("MAIL") ? friendly(line) : undefined), {
    commandMs: 50,
    contentMs: 100,
    pauseMs: 300,
  });
  expect(await deliver()).toEqual([alice]);
  answers = false;
  expect(await deliver()).toEqual([]);
  const { length } = server.said;
  expect([await deliver([alice]), await deliver([bob])]).toEqual([[], []]);
  expect(server.said).toHaveLength(length);
  answers = true;
  await until("a delivery", async () => (await deliver()).length === 1);
});

test("a connection that the server has closed meanwhile is replaced", async () => {
  await deliver();
  server.connections[0]?.end();
  expect(await deliver()).toEqual([alice]);
  await until("the second connection", () => server.connections.length === 2);
});

test("no more than twenty are on their way at once, and the others follow", async () => {
  await instead((line) => (line.startsWith("END") ? undefined : friendly(line)));
  const all = many.map((each) => deliver([each]));
  await until("twenty contents", () => server.contents.length === 20);
  expect(server.connections).toHaveLength(20);
  for (const each of server.connections) each.write("250 fine\r\n");
  await until("the others", () => server.contents.length === 25);
  for (const each of server.connections) each.write("250 fine\r\n");
  expect((await Promise.all(all)).flat()).toHaveLength(25);
});

test("a mailbox gets one at a time, and others do not wait for it", async () => {
  await instead((line) => (line.startsWith("END") ? undefined : friendly(line)));
  const both = [deliver([alice]), deliver([alice])];
  const other = deliver([bob]);
  await until("two contents", () => server.contents.length === 2);
  expect(server.said.filter((line) => line.startsWith("RCPT"))).toEqual([`RCPT TO:<${alice}>`, `RCPT TO:<${bob}>`]);
  for (const each of server.connections) each.write("250 fine\r\n");
  await until("the third", () => server.contents.length === 3);
  for (const each of server.connections) each.write("250 fine\r\n");
  expect(await Promise.all([...both, other])).toEqual([[alice], [alice], [bob]]);
});

test("after its end nothing is delivered", async () => {
  const message = held();
  message.end();
  expect([...(await message.deliver(from(bob), [alice]))]).toEqual([]);
  delivery.close();
  expect(await deliver()).toEqual([]);
});
