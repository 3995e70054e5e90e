/** Both filters behind a real socket, asked by a client that speaks the protocol. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { IncomingFilter } from "../../../../src/relay/filter/incoming.ts";
import { OutgoingFilter } from "../../../../src/relay/filter/outgoing.ts";
import { RateLimiter } from "../../../../src/relay/filter/rate.ts";
import { Metrics } from "../../../../src/relay/metrics.ts";
import { type MessageFilter, openMilter } from "../../../../src/relay/milter/server.ts";
import type { Door } from "../../../../src/relay/unix-socket.ts";
import { MilterClient, type MilterMessage } from "../../../helpers/milter-client.ts";
import { takenApart } from "../filter/as-postfix.ts";
import { collectingLog, limits, settings } from "../settings.ts";

const alice = "alice1234@chat.example";
const bob = "bob123456@chat.example";
const needed = "523 Encryption Needed: Invalid Unencrypted Mail";

function fixture(name: string): Pick<MilterMessage, "headers" | "body"> {
  const bytes = readFileSync(resolve(import.meta.dirname, "../../../fixtures/filter", name, "message.eml"));
  const { headers, body } = takenApart(bytes);
  return { headers: headers.map(({ name, value }) => [name, value] as const), body };
}
const encrypted = fixture("01-encrypted");
const cleartext = fixture("02-cleartext");

const config = settings({ domains: { "chat.example": limits({ sendBurst: 3 }) } });
const homeOf = (address: string) => join(config.mailFolder, "chat.example", address);

let now = 1_000_000;
let door: Door;
let client: MilterClient;
let metrics: Metrics;
let failures: unknown[];
let protocolErrors: string[];

async function serve(begin: (sender: string) => MessageFilter) {
  failures = [];
  protocolErrors = [];
  door = await openMilter({
    path: join(config.runFolder, "milter.sock"),
    begin,
    onFailure: (thrown) => failures.push(thrown),
    onProtocolError: (why) => protocolErrors.push(why),
  });
  client = await MilterClient.connect(door.path);
  await client.negotiate();
}

const tools = () => {
  metrics = new Metrics();
  return { config, metrics, log: collectingLog().log };
};

afterEach(async () => {
  client.close();
  await door.close(0);
});

describe("outgoing", () => {
  beforeEach(async () => {
    now += 1_000_000;
    const rates = new RateLimiter(() => now);
    const shared = tools();
    await serve((sender) => new OutgoingFilter(sender, rates, shared));
  });

  test("encrypted mail passes; what tells of the sender's device goes", async () => {
    const headers = [
      ["Subject", " secret"],
      ["X-Mailer", " one"],
      ["User-Agent", " two"],
      ["x-mailer", " three"],
      ["X-Originating-IP", " 192.0.2.1"],
      ["SUBJECT", " again"],
      ...encrypted.headers.filter(([name]) => name !== "Subject"),
    ] as const;
    const verdict = await client.deliver({ sender: alice, recipients: [bob], headers, body: encrypted.body });
    expect(verdict).toEqual({
      recipients: ["continue"],
      final: "accept",
      chunks: 1,
      changes: [
        "changeHeader 2 SUBJECT= [...]",
        "changeHeader 1 X-Originating-IP=",
        "changeHeader 2 x-mailer=",
        "changeHeader 1 User-Agent=",
        "changeHeader 1 X-Mailer=",
        "changeHeader 1 Subject= [...]",
      ],
    });
    expect(metrics.text()).toContain("\noutgoing_encrypted_mail_count 1\n");
  });

  test("cleartext is refused word for word, and the rest of a large body is not wanted", async () => {
    const body = "x".repeat(500_000);
    const verdict = await client.deliver({ sender: alice, recipients: [bob], headers: cleartext.headers, body });
    expect(verdict).toMatchObject({ final: needed, changes: [], chunks: 1 });
  });

  test("several messages on one connection", async () => {
    for (const [message, final] of [
      [encrypted, "accept"],
      [cleartext, needed],
      [encrypted, "accept"],
    ] as const) {
      expect((await client.deliver({ sender: alice, recipients: [bob], ...message })).final).toBe(final);
    }
  });

  test("too quick: told at RCPT, whatever the number of recipients, and only as long as it lasts", async () => {
    const send = () => client.deliver({ sender: alice.toUpperCase(), recipients: [bob, alice], ...encrypted });
    for (let count = 0; count < 3; count++) expect((await send()).recipients).toEqual(["continue", "continue"]);
    const until = new Date(now + 1000).toISOString();
    const told = `450 4.7.1: Too much mail from <${alice}>, rate limited until ${until}`;
    expect((await send()).recipients).toEqual([told, told]);
    now += 1000;
    expect((await send()).recipients).toEqual(["continue", "continue"]);
  });

  test.each(["", "no-at", "a@b@chat.example", "alice1234@elsewhere.example", "a/../b@chat.example"])(
    "sender %j is refused at RCPT",
    async (sender) => {
      const verdict = await client.deliver({ sender, recipients: [bob], ...encrypted });
      expect(verdict.recipients).toEqual([`500 Invalid from address <${sender}>`]);
    },
  );

  test("a disabled recipient is left out, as Postfix spelt it", async () => {
    mkdirSync(homeOf("disabled1@chat.example"), { recursive: true });
    writeFileSync(join(homeOf("disabled1@chat.example"), "DISABLED"), "");
    const recipients = ["Disabled1@Chat.Example", bob];
    const verdict = await client.deliver({ sender: alice, recipients, ...encrypted });
    expect(verdict.changes).toContain("deleteRecipient <Disabled1@Chat.Example>");
    expect((await client.deliver({ sender: alice, recipients: recipients.slice(0, 1), ...encrypted })).final).toBe(
      "discard",
    );
  });

  test("an aborted message leaves nothing behind", async () => {
    client.send("M", `<${alice}>\0`);
    await client.answer();
    client.send("R", `<${bob}>\0`);
    await client.answer();
    client.send("A");
    const recipients = [alice];
    const verdict = await client.deliver({ sender: alice, recipients, ...fixture("21-setup-message-to-self") });
    expect(verdict.final).toBe("accept");
  });

  test.each([
    ["an unknown command", Buffer.from("\0\0\0\x01!")],
    ["an endless packet", Buffer.from("\xff\xff\xff\xff", "latin1")],
    ["a message without its beginning", Buffer.from("\0\0\0\x01E")],
    ["a recipient without end", Buffer.from("\0\0\0\x03R<a")],
  ])("%s ends the connection", async (_, bytes) => {
    client.raw(bytes);
    await client.closed();
    expect(protocolErrors).toHaveLength(1);
    expect(failures).toEqual([]);
  });

  test("nothing goes before option negotiation", async () => {
    const other = await MilterClient.connect(door.path);
    other.send("M", "<a@b>\0");
    await other.closed();
    expect(protocolErrors).toEqual(["mail before option negotiation"]);
  });
});

describe("incoming", () => {
  beforeEach(async () => {
    mkdirSync(homeOf(bob), { recursive: true });
    writeFileSync(join(homeOf(bob), "enforceE2EEincoming"), "");
    mkdirSync(homeOf("takesall1@chat.example"), { recursive: true });
    const shared = tools();
    await serve((sender) => new IncomingFilter(sender, shared));
  });

  test.each([
    { when: "the author is the envelope sender", sender: alice, changes: [] },
    { when: "somebody forwards it", sender: "SRS0=a@forwarder.example", changes: ["changeFrom <>"] },
    { when: "there is no envelope sender", sender: "", changes: [] },
  ])("encrypted mail passes when $when", async ({ sender, changes }) => {
    const verdict = await client.deliver({ sender, recipients: [bob], ...encrypted });
    expect(verdict).toMatchObject({ final: "accept", changes });
  });

  test.each([
    { to: [bob], final: needed },
    { to: ["Bob123456+detail@Chat.Example"], final: needed },
    { to: ["takesall1@chat.example"], final: "accept" },
    { to: ["takesall1@chat.example", bob], final: needed },
    { to: ["nobody123@chat.example"], final: "accept" },
    { to: ["../bob123456@chat.example"], final: needed },
    { to: ["someone@elsewhere.example"], final: needed },
  ])("cleartext to $to: $final", async ({ to, final }) => {
    const verdict = await client.deliver({ sender: alice, recipients: to, ...cleartext });
    expect(verdict.final).toBe(final);
  });

  test("a large cleartext mail is not read to its end", async () => {
    const body = "x".repeat(500_000);
    const verdict = await client.deliver({ sender: alice, recipients: [bob], headers: cleartext.headers, body });
    expect(verdict).toMatchObject({ final: needed, chunks: 1 });
  });

  test("a failure of ours is told as temporary, and the next message goes well", async () => {
    const { mailFolder } = config;
    config.mailFolder = `${mailFolder}\0`;
    const verdict = await client.deliver({ sender: alice, recipients: [bob], ...encrypted }).catch((e) => String(e));
    config.mailFolder = mailFolder;
    expect(verdict).toContain("tempfail");
    expect(failures).toHaveLength(1);
    client.send("A");
    expect((await client.deliver({ sender: alice, recipients: [bob], ...encrypted })).final).toBe("accept");
  });
});
