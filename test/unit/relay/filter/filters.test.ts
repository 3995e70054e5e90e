/** The filters behind a real socket, asked by a client that speaks the protocol. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createKeyCache } from "../../../../src/dkim/keys.ts";
import { createVerifier } from "../../../../src/dkim/verify.ts";
import { BounceFilter } from "../../../../src/relay/filter/bounce.ts";
import { IncomingFilter } from "../../../../src/relay/filter/incoming.ts";
import { OutgoingFilter } from "../../../../src/relay/filter/outgoing.ts";
import { OwnKeys } from "../../../../src/relay/filter/own-keys.ts";
import { Metrics } from "../../../../src/relay/metrics.ts";
import { ProbeAccounts } from "../../../../src/relay/probe/accounts.ts";
import { probeMessage } from "../../../../src/relay/probe/message.ts";
import { RateLimiter } from "../../../../src/relay/rate.ts";
import { type MessageFilter, type Origin, openMilter } from "../../../../src/relay/wire/milter-server.ts";
import type { SocketServer } from "../../../../src/relay/wire/socket-server.ts";
import { MilterClient, type MilterMessage, type MilterVerdict } from "../../../helpers/milter-client.ts";
import { type Message, resolverOf, signed, testKey, verified } from "../../dkim/messages.ts";
import { collectingLog, limits, settings } from "../settings.ts";
import { takenApart } from "./as-postfix.ts";

const alice = "alice1234@chat.example";
const bob = "bob123456@chat.example";
const needed = "523 Encryption Needed: Invalid Unencrypted Mail";
const keyLater = "451 4.7.5 DKIM key can't be looked up now, try again later";

function fixture(name: string): Pick<MilterMessage, "headers" | "body"> {
  const bytes = readFileSync(resolve(import.meta.dirname, "../../../fixtures/filter", name, "message.eml"));
  const { headers, body } = takenApart(bytes);
  return { headers: headers.map(({ name, value }) => [name, value] as const), body };
}
const encrypted = fixture("01-encrypted");
const cleartext = fixture("02-cleartext");

const config = settings({
  domains: { "chat.example": limits({ sendBurst: 3 }), "198.51.100.7": limits() },
});
const homeOf = (address: string) => join(config.mailFolder, "chat.example", address);
const disable = (address: string) => {
  mkdirSync(homeOf(address), { recursive: true });
  writeFileSync(join(homeOf(address), "DISABLED"), "");
};

/**
 * Of alice's address, and of one that nobody can have; Postfix would deliver most of them to alice.
 */
const otherSpellings = [
  '"alice1234"@chat.example',
  "alice1234",
  "@x.test:alice1234@chat.example",
  "@x.test,@y.test:alice1234@chat.example",
  "alice1234%chat.example@chat.example",
  "x.test!alice1234@chat.example",
  "alice1234@chat.example.",
  "alice1234 @chat.example",
  "alice\\1234@chat.example",
  "(x)alice1234@chat.example",
  "alice1234@x.test@chat.example",
  "alice1234@192.0.2.1",
  "",
];

let now = 1_000_000;
let server: SocketServer;
let client: MilterClient;
let metrics: Metrics;
let failures: unknown[];
let protocolErrors: string[];

async function serve(begin: (from: Origin) => MessageFilter) {
  failures = [];
  protocolErrors = [];
  server = await openMilter({
    path: join(config.runFolder, "milter.sock"),
    begin,
    onFailure: (thrown) => failures.push(thrown),
    onProtocolError: (why) => protocolErrors.push(why),
  });
  client = await MilterClient.connect(server.path);
  await client.negotiate();
}

let logged: string[];
const tools = () => {
  metrics = new Metrics();
  const { log, lines } = collectingLog();
  logged = lines;
  return { config, metrics, log, order: { turn: async () => {} } };
};
const ownKeys = (shared: ReturnType<typeof tools>, dkim: typeof config.dkim = {}) =>
  new OwnKeys({ ...shared, config: { dkim }, now: Date.now });

/** The counters that stand at 1, of those that the pattern fits. */
const counted = (which: RegExp) =>
  metrics
    .text()
    .split("\n")
    .filter((line) => which.test(line) && line.endsWith(" 1"))
    .map((line) => line.slice(0, -2))
    .sort();

afterEach(async () => {
  client.close();
  await server.close(0);
});

describe("outgoing", () => {
  let rates: RateLimiter;
  beforeEach(async () => {
    now += 1_000_000;
    rates = new RateLimiter(() => now);
    const shared = tools();
    const keys = ownKeys(shared);
    await serve((from) => new OutgoingFilter(from, rates, { ...shared, keys }));
  });

  test("encrypted mail passes; what tells of the sender's device goes", async () => {
    const headers = [
      ["Subject", " secret"],
      ["X-Mailer", " one"],
      ["User-Agent", " two"],
      ["x-mailer", " three"],
      ["X-Originating-IP", " 192.0.2.1"],
      ["Comments", " words that anybody reads"],
      ["keywords", " more of them"],
      ...encrypted.headers.filter(([name]) => name !== "Subject"),
    ] as const;
    const verdict = await client.deliver({ sender: alice, recipients: [bob], headers, body: encrypted.body });
    expect(verdict).toEqual({
      recipients: ["continue"],
      final: "accept",
      changes: [
        "changeHeader 1 keywords=",
        "changeHeader 1 Comments=",
        "changeHeader 1 X-Originating-IP=",
        "changeHeader 2 x-mailer=",
        "changeHeader 1 User-Agent=",
        "changeHeader 1 X-Mailer=",
        "changeHeader 1 Subject= [...]",
      ],
    });
    expect(metrics.text()).toContain("\noutgoing_encrypted_mail_count 1\n");
  });

  test("cleartext is refused word for word, a large one too", async () => {
    const body = "x".repeat(500_000);
    const verdict = await client.deliver({ sender: alice, recipients: [bob], headers: cleartext.headers, body });
    expect(verdict).toMatchObject({ final: needed, changes: [] });
  });

  test("a mail that asks for more changes than any real one is refused", async () => {
    const headers = [...Array.from({ length: 1001 }, () => ["X-Mailer", " x"] as const), ...encrypted.headers];
    const verdict = await client.deliver({ sender: alice, recipients: [bob], headers, body: encrypted.body });
    expect(verdict).toMatchObject({ final: "552 5.3.4 Message headers are too large", changes: [] });
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
    const other = encrypted.headers.map(([n, v]) => [n, v.replace(alice, bob)] as const);
    const others = { sender: bob, recipients: [alice], headers: other, body: encrypted.body };
    expect(await client.deliver(others)).toMatchObject({ recipients: ["continue"], final: "accept" });
    now += 1000;
    expect((await send()).recipients).toEqual(["continue", "continue"]);
  });

  test("too many bytes: told at RCPT until there is room for the largest", async () => {
    const { sendBytesBurst: burst, maxMessageBytes: largest } = limits();
    const key = `bytes ${alice}`;
    const rate = { perMinute: limits().sendBytesPerMinute, burst };
    // all but the largest mail is used up
    expect(rates.take(key, rate, burst - largest)).toBeUndefined();
    const send = () => client.deliver({ sender: alice, recipients: [bob], ...encrypted });
    expect(await send()).toMatchObject({ recipients: ["continue"], final: "accept" });
    const until = rates.next(key, rate, largest)?.toISOString();
    const told = `450 4.7.1: Too much mail from <${alice}>, rate limited until ${until}`;
    expect((await send()).recipients).toEqual([told]);
    now = rates.next(key, rate, largest)?.getTime() ?? 0;
    expect(await send()).toMatchObject({ final: "accept" });
  });

  test.each(["", "no-at", "a@b@chat.example", "alice1234@elsewhere.example", "a/../b@chat.example"])(
    "sender %j is refused at RCPT",
    async (sender) => {
      const verdict = await client.deliver({ sender, recipients: [bob], ...encrypted });
      expect(verdict.recipients).toEqual([`500 Invalid from address <${sender}>`]);
    },
  );

  test.each(otherSpellings)("a recipient spelt %s is refused, the other gets the mail", async (spelling) => {
    const verdict = await client.deliver({ sender: alice, recipients: [spelling, bob], ...encrypted });
    expect(verdict).toMatchObject({ recipients: ["553 5.1.3 Bad recipient address", "continue"], final: "accept" });
  });

  test.each([
    ["From", ` <${alice}>`, "500 Invalid FROM header"],
    ["FROM ", ` <${alice}>`, "500 Invalid FROM header"],
    ["Sender", " <mallory12@chat.example>", "554 5.6.0 Sender header names somebody else"],
    ["Sender", ` ${alice}, mallory12@chat.example`, "554 5.6.0 Sender header names somebody else"],
    ["Sender", ` Alice <${alice}>`, "accept"],
    ["To", " <x@y.example>", "554 5.6.0 More than one to header"],
    ["Content-type", " text/plain", "554 5.6.0 More than one content-type header"],
    ["Received", " by x; Mon, 23 Nov 2026 05:00:00 +0000", "accept"],
    ["Autocrypt", ` addr=${alice}; keydata=AAAA`, "accept"],
  ])("one more %s:%s: %s", async (name, value, final) => {
    const headers = [...encrypted.headers, [name, value] as const];
    expect(await client.deliver({ sender: alice, recipients: [bob], ...encrypted, headers })).toMatchObject({ final });
  });

  test("two keys for the author are one too many, a key for somebody else's address is not", async () => {
    const key = (address: string) => ["Autocrypt", ` addr=${address}; prefer-encrypt=mutual;\n keydata=AAAA`] as const;
    const send = (...keys: (readonly [string, string])[]) =>
      client.deliver({ sender: alice, recipients: [bob], ...encrypted, headers: [...encrypted.headers, ...keys] });
    expect(await send(key(alice), key(bob))).toMatchObject({ final: "accept" });
    expect(await send(key(alice), key(alice.toUpperCase()))).toMatchObject({
      final: "554 5.6.0 More than one autocrypt header",
    });
  });

  test("a disabled recipient is left out, as Postfix spelt it", async () => {
    disable("disabled1@chat.example");
    const recipients = ["Disabled1@Chat.Example", bob];
    const verdict = await client.deliver({ sender: alice, recipients, ...encrypted });
    expect(verdict.changes).toContain("deleteRecipient <Disabled1@Chat.Example>");
    expect((await client.deliver({ sender: alice, recipients: recipients.slice(0, 1), ...encrypted })).final).toBe(
      "discard",
    );
  });

  test("a disabled sender is told that all is well, and nothing is sent", async () => {
    disable("disabled3@chat.example");
    const from = encrypted.headers.map(([n, v]) => [n, n === "From" ? " <Disabled3@Chat.Example>" : v] as const);
    const mail = { sender: "Disabled3@Chat.Example", recipients: [bob], headers: from, body: encrypted.body };
    expect(await client.deliver(mail)).toMatchObject({ recipients: ["continue"], final: "discard" });
  });

  test("a setup message to oneself passes when the only other recipient is disabled", async () => {
    disable("disabled4@chat.example");
    const recipients = [alice, "disabled4@chat.example"];
    const verdict = await client.deliver({ sender: alice, recipients, ...fixture("21-setup-message-to-self") });
    expect(verdict).toMatchObject({ final: "accept" });
    expect(verdict.changes).toContain("deleteRecipient <disabled4@chat.example>");
  });

  test.each([
    { of: "encrypted mail", to: bob, mail: "01-encrypted", counts: ["outgoing_encrypted_mail_count"] },
    {
      of: "cleartext",
      to: bob,
      mail: "02-cleartext",
      counts: [
        "outgoing_unencrypted_mail_count",
        "rejected_unencrypted_mail_count",
        'filtermail_outbound_drop_total{reason="unencrypted"}',
      ],
    },
    {
      of: "mail to nobody who is left",
      to: "disabled5@chat.example",
      mail: "01-encrypted",
      counts: ['filtermail_outbound_drop_total{reason="all_recipients_disabled"}'],
    },
    {
      of: "a disabled sender's",
      sender: "disabled5@chat.example",
      to: bob,
      mail: "01-encrypted",
      counts: ['filtermail_outbound_drop_total{reason="sender_disabled"}'],
    },
    { of: "another's author", to: bob, mail: "27-bounce", counts: [] },
  ])("what is counted of $of", async ({ sender = alice, to, mail, counts }) => {
    disable("disabled5@chat.example");
    const { headers, body } = fixture(mail);
    const as = headers.map(([n, v]) => [n, v.replace(alice, sender)] as const);
    await client.deliver({ sender, recipients: [to], headers: as, body });
    expect(counted(/filter|outgoing|incoming|rejected/)).toEqual(["filtered_outgoing_mail_count", ...counts].sort());
  });

  test("an aborted message leaves nothing behind", async () => {
    client.send("M", `<${alice}>\0`);
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

  test("an MTA that wants every answer gets it", async () => {
    const other = await MilterClient.connect(server.path);
    await other.negotiate(0);
    expect(other.steps).toBe(0);
    const verdict = await other.deliver({ sender: alice, recipients: [bob], ...encrypted });
    expect(verdict).toMatchObject({ recipients: ["continue"], final: "accept" });
    other.close();
  });

  test("nothing goes before option negotiation", async () => {
    const other = await MilterClient.connect(server.path);
    other.send("M", "<a@b>\0");
    await other.closed();
    expect(protocolErrors).toEqual(["mail before option negotiation"]);
  });
});

const rsa = testKey("chat.example", "chatmail");
const ed = testKey("chat.example", "chatmail-ed25519", "ed25519");
const records = { [rsa.keyName]: rsa.record, [ed.keyName]: ed.record };
const keyFolder = () => join(config.runFolder, "keys");
const keyFile = (name: string) => join(keyFolder(), name);
const pem = (key: typeof rsa) => key.key.export({ type: "pkcs8", format: "pem" }) as string;
const dkim = { "chat.example": keyFolder() };

/** The message as Postfix sends it on. */
function changed({ headers, body }: Pick<MilterMessage, "headers" | "body">, { changes }: MilterVerdict): Message {
  const result = headers.map(([name, value]) => [name, value] as [name: string, value: string | undefined]);
  const added: (readonly [string, string])[] = [];
  for (const change of changes) {
    const [, kind, index, name = "", value = ""] = /^(\S+) (\d+) ([^=]+)=(.*)$/s.exec(change) ?? [];
    if (kind === "insertHeader") added.unshift([name, value]);
    const same = result.filter((each) => each[0].toLowerCase() === name.toLowerCase());
    const meant = kind === "changeHeader" ? same[Number(index) - 1] : undefined;
    if (meant) meant[1] = value === "" ? undefined : value;
  }
  const left = result.filter((each): each is [string, string] => each[1] !== undefined);
  return { headers: [...added, ...left], body: body.toString("latin1") };
}
const inserted = (verdict: MilterVerdict) => verdict.changes.filter((each) => each.startsWith("insertHeader"));

describe("outgoing, of a domain that signs", () => {
  let keys: OwnKeys;
  beforeEach(async () => {
    mkdirSync(keyFolder(), { recursive: true });
    writeFileSync(keyFile("rsa.pem"), pem(rsa));
    writeFileSync(keyFile("ed25519.pem"), pem(ed));
    await serveSigned();
  });
  async function serveSigned() {
    now += 1_000_000;
    const rates = new RateLimiter(() => now);
    const shared = tools();
    keys = ownKeys(shared, dkim);
    await serve((from) => new OutgoingFilter(from, rates, { ...shared, keys }));
  }
  const again = async () => {
    client.close();
    await server.close(0);
    await serveSigned();
  };

  test("what goes out is signed as it goes out, by each key", async () => {
    const headers = [
      ["Subject", " secret"],
      ["User-Agent", " two"],
      ["Reply-To", " <alice1234@chat.example>"],
      ...encrypted.headers.filter(([name]) => name !== "Subject"),
      ["X-Two", " lines,\n folded"],
    ] as const;
    const message = { headers, body: encrypted.body };
    const verdict = await client.deliver({ sender: alice, recipients: [bob], ...message });
    const sent = changed(message, verdict);
    expect(sent.headers.map(([name, value]) => (name.toLowerCase() === "subject" ? value : name))).toEqual(
      expect.arrayContaining([" [...]", "Reply-To"]),
    );
    const { found, results } = await verified(sent, records, { now: Date.now() });
    expect(found).toBe(2);
    expect(results.map(({ selector, why }) => [selector, why])).toEqual([
      ["chatmail", "valid"],
      ["chatmail-ed25519", "valid"],
    ]);
    expect((await verified({ ...sent, headers: [...message.headers, ...sent.headers] }, records)).results).not.toEqual(
      results,
    );
    expect(metrics.text()).toContain("\ndkim_signed 2\n");
  });

  test("a setup message, whose content is not looked into, is signed to its end", async () => {
    const setup = fixture("21-setup-message-to-self");
    const message = { ...setup, body: Buffer.concat([Buffer.from(setup.body), Buffer.alloc(300_000, "x\r\n")]) };
    const verdict = await client.deliver({ sender: alice, recipients: [alice], ...message });
    expect(verdict).toMatchObject({ final: "accept" });
    const { results } = await verified(changed(message, verdict), records, { now: Date.now() });
    expect(results.map(({ outcome }) => outcome)).toEqual(["pass", "pass"]);
  });

  test("what is refused is not signed", async () => {
    const body = "x".repeat(500_000);
    const verdict = await client.deliver({ sender: alice, recipients: [bob], headers: cleartext.headers, body });
    expect(verdict).toMatchObject({ final: needed, changes: [] });
    expect(metrics.text()).toContain("\ndkim_signed 0\n");
  });

  test("more headers than a signature can cover are refused", async () => {
    const many = Array.from({ length: 1200 }, () => ["Resent-To", " <a@b>"] as const);
    const headers = [...encrypted.headers, ...many];
    const verdict = await client.deliver({ sender: alice, recipients: [bob], headers, body: encrypted.body });
    expect(verdict.final).toBe("552 5.3.4 Message headers are too large");
  });

  test("the RSA key alone is enough", async () => {
    rmSync(keyFile("ed25519.pem"));
    await again();
    const verdict = await client.deliver({ sender: alice, recipients: [bob], ...encrypted });
    expect(inserted(verdict)).toHaveLength(1);
  });

  test.each([
    { when: "there is no key", text: undefined, says: "no RSA key" },
    { when: "the key is no key", text: "-----BEGIN", says: "can't be read" },
  ])("nothing goes out unsigned when $when, and all goes well once there is one", async ({ text, says }) => {
    if (text === undefined) rmSync(keyFile("rsa.pem"));
    else writeFileSync(keyFile("rsa.pem"), text);
    await again();
    expect(keys.problems()).toEqual({ "chat.example": expect.stringContaining(says) });
    expect(logged.filter((line) => line.includes("DKIM key missing"))).toHaveLength(1);
    const send = () => client.deliver({ sender: alice, recipients: [bob], ...encrypted });
    expect(await send()).toMatchObject({ recipients: ["tempfail"], final: "tempfail" });
    client.send("A");
    writeFileSync(keyFile("rsa.pem"), pem(rsa));
    expect(keys.problems()).toEqual({});
    expect(inserted(await send())).toHaveLength(2);
  });
});

describe("sizes, where several domains are served", () => {
  const small = "small.example";
  const reader = `reader123@${small}`;
  const tooLarge = "552 5.3.4 Message size exceeds fixed limit";
  const several = () => ({
    ...config,
    domains: { "chat.example": limits({ maxMessageBytes: 50_000 }), [small]: limits({ maxMessageBytes: 20_000 }) },
  });
  const padded = (bytes: number) => ({
    headers: encrypted.headers,
    body: Buffer.concat([Buffer.from(encrypted.body), Buffer.from("x\r\n".repeat(bytes / 3))]),
  });
  const directions = {
    outgoing: (shared: ReturnType<typeof tools>) => {
      const turns = new RateLimiter(() => now);
      const keys = ownKeys(shared);
      return (from: Origin) => new OutgoingFilter(from, turns, { ...shared, config: several(), keys });
    },
    incoming: (shared: ReturnType<typeof tools>) => {
      const verifier = createVerifier({
        keys: createKeyCache({ lookup: resolverOf({}), now: Date.now }),
        now: Date.now,
      });
      return (from: Origin) => new IncomingFilter(from, { ...shared, config: several(), verifier });
    },
  };

  test.each([
    { way: "outgoing", sender: alice, size: 30_000, recipients: [bob, reader], replies: ["continue", tooLarge] },
    { way: "outgoing", sender: alice, size: 60_000, recipients: [bob, reader], replies: [tooLarge, tooLarge] },
    { way: "outgoing", sender: reader, size: 30_000, recipients: [bob], replies: [tooLarge] },
    { way: "outgoing", sender: alice, size: 50_000, recipients: ["a@elsewhere.example"], replies: ["continue"] },
    {
      way: "incoming",
      sender: "a@b.example",
      size: 30_000,
      recipients: [bob, reader],
      replies: ["continue", tooLarge],
    },
    {
      way: "incoming",
      sender: "a@b.example",
      size: 20_000,
      recipients: [bob, reader],
      replies: ["continue", "continue"],
    },
  ] as const)("a declared size of $size from $sender is answered for each recipient: $way", async (each) => {
    const { way, sender, size, recipients, replies } = each;
    await serve(directions[way](tools()));
    const verdict = await client.deliver({ sender, size, recipients, ...encrypted });
    expect(verdict.recipients).toEqual(replies);
  });

  test.each([
    { way: "outgoing", sender: alice, recipients: [bob], bytes: 30_000, refused: false },
    { way: "outgoing", sender: alice, recipients: [bob, reader], bytes: 30_000, refused: true },
    { way: "outgoing", sender: reader, recipients: [bob], bytes: 30_000, refused: true },
    { way: "incoming", sender: "a@b.example", recipients: [reader], bytes: 30_000, refused: true },
    { way: "incoming", sender: "a@b.example", recipients: [bob], bytes: 60_000, refused: true },
  ] as const)("$bytes bytes from $sender to $recipients: refused is $refused, $way", async (each) => {
    const { way, sender, recipients, bytes, refused } = each;
    await serve(directions[way](tools()));
    const { final } = await client.deliver({ sender, recipients, ...padded(bytes) });
    expect(final === tooLarge).toBe(refused);
  });
});

describe("bounces", () => {
  beforeEach(async () => {
    rmSync(keyFolder(), { recursive: true, force: true });
    mkdirSync(keyFolder());
    writeFileSync(keyFile("rsa.pem"), pem(rsa));
    const shared = tools();
    const keys = ownKeys(shared, dkim);
    await serve(({ sender }) => new BounceFilter(sender, { ...shared, keys }));
  });
  const { headers, body } = fixture("27-bounce");
  const from = (value: string) => headers.map(([name, was]) => [name, name === "From" ? value : was] as const);
  const ours = { headers: from(" MAILER-DAEMON@Chat.Example (Mail Delivery System)"), body };

  test("ours is signed", async () => {
    const verdict = await client.deliver({ sender: "", recipients: ["someone@elsewhere.example"], ...ours });
    const { results } = await verified(changed(ours, verdict), records, { now: Date.now() });
    expect(results).toMatchObject([{ domain: "chat.example", outcome: "pass" }]);
  });

  describe("where several domains are served", () => {
    const other = "_other.example";
    const literal = "192.0.2.7";
    beforeEach(async () => {
      client.close();
      await server.close(0);
      const domains = { ...config.domains, [other]: limits(), [literal]: limits() };
      const shared = { ...tools(), config: { ...config, domains } };
      const keys = ownKeys(shared, { ...dkim, [other]: keyFolder() });
      await serve(({ sender }) => new BounceFilter(sender, { ...shared, keys }));
    });
    const report = (failed: string) =>
      body.toString("latin1").replace(/^Final-Recipient: .*$/m, `Final-Recipient: rfc822; ${failed}`);
    const stranger = "someone@elsewhere.example";

    test.each([
      { to: `user@${other}`, failed: stranger, as: `MAILER-DAEMON@${other}`, signedBy: other },
      { to: `user@[${literal}]`, failed: stranger, as: `MAILER-DAEMON@[${literal}]`, signedBy: undefined },
      { to: bob, failed: stranger, as: undefined, signedBy: "chat.example" },
      { to: stranger, failed: `user@${other}`, as: `MAILER-DAEMON@${other}`, signedBy: other },
      { to: stranger, failed: `user@[${literal}]`, as: `MAILER-DAEMON@[${literal}]`, signedBy: undefined },
      { to: stranger, failed: bob, as: undefined, signedBy: "chat.example" },
      { to: stranger, failed: stranger, as: undefined, signedBy: "chat.example" },
    ])("one to $to about $failed is from $as and signed by $signedBy", async ({ to, failed, as, signedBy }) => {
      const mail = { headers: ours.headers, body: Buffer.from(report(failed), "latin1") };
      const verdict = await client.deliver({ sender: "", recipients: [to], ...mail });
      const renamed = verdict.changes.filter((each) => each.startsWith("changeHeader"));
      expect(renamed).toEqual(as === undefined ? [] : [`changeHeader 1 From= ${as} (Mail Delivery System)`]);
      const zone = { ...records, [`chatmail._domainkey.${other}`]: rsa.record };
      const { results } = await verified(changed(mail, verdict), zone, { now: Date.now() });
      expect(results).toMatchObject(signedBy === undefined ? [] : [{ domain: signedBy, outcome: "pass" }]);
      expect(inserted(verdict)).toHaveLength(signedBy === undefined ? 0 : 1);
    });
  });

  test.each([
    { what: "another domain's", sender: "", ...ours, headers },
    { what: "a mail with a sender", sender: alice, ...ours },
    { what: "a mail of a user", sender: "", ...ours, headers: from(` ${alice}`) },
    {
      what: "what is not automatic",
      sender: "",
      ...ours,
      headers: ours.headers.filter(([n]) => n !== "Auto-Submitted"),
    },
    { what: "what has no author", sender: "", ...ours, headers: ours.headers.filter(([name]) => name !== "From") },
    { what: "an ordinary mail", sender: alice, ...encrypted },
  ])("$what is not", async ({ sender, headers, body }) => {
    const verdict = await client.deliver({ sender, recipients: [bob], headers, body });
    expect(verdict).toMatchObject({ final: "accept", changes: [] });
  });
});

describe("incoming", () => {
  let encrypted: Pick<MilterMessage, "headers" | "body">;
  let cleartext: Pick<MilterMessage, "headers" | "body">;
  let answers: Record<string, string | undefined>;
  let asked: string[];
  beforeAll(async () => {
    const signedFixture = (name: string) => {
      const { headers, body } = fixture(name);
      return signed({ headers, body: body.toString("latin1") }, [rsa]);
    };
    [encrypted, cleartext] = [await signedFixture("01-encrypted"), await signedFixture("02-cleartext")];
  });
  beforeEach(async () => {
    answers = { ...records };
    asked = [];
    mkdirSync(homeOf(bob), { recursive: true });
    writeFileSync(join(homeOf(bob), "enforceE2EEincoming"), "");
    mkdirSync(homeOf("takesall1@chat.example"), { recursive: true });
    const shared = tools();
    const lookup = (name: string) => {
      asked.push(name);
      return resolverOf(answers)(name);
    };
    const verifier = createVerifier({ keys: createKeyCache({ lookup, now: Date.now }), now: Date.now });
    await serve((from) => new IncomingFilter(from, { ...shared, verifier }));
  });

  test.each([
    { when: "the author is the envelope sender", sender: alice, changes: [] },
    { when: "the envelope has it in other letters", sender: alice.toUpperCase(), changes: [] },
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
    { to: ["someone@elsewhere.example"], final: needed },
  ])("cleartext to $to: $final", async ({ to, final }) => {
    const verdict = await client.deliver({ sender: alice, recipients: to, ...cleartext });
    expect(verdict.final).toBe(final);
  });

  test.each(["../bob123456@chat.example", ...otherSpellings])("a recipient spelt %s is refused", async (spelling) => {
    const verdict = await client.deliver({ sender: alice, recipients: [spelling, bob], ...encrypted });
    expect(verdict).toMatchObject({ recipients: ["553 5.1.3 Bad recipient address", "continue"], final: "accept" });
  });

  test("a large cleartext mail is refused too", async () => {
    const body = "x".repeat(500_000);
    const verdict = await client.deliver({ sender: alice, recipients: [bob], headers: cleartext.headers, body });
    expect(verdict).toMatchObject({ final: needed });
  });

  test("a disabled recipient is left out, as Postfix spelt it, the other gets the mail", async () => {
    disable("disabled6@chat.example");
    const recipients = ["Disabled6@Chat.Example", bob];
    const verdict = await client.deliver({ sender: alice, recipients, ...encrypted });
    expect(verdict).toMatchObject({ final: "accept", changes: ["deleteRecipient <Disabled6@Chat.Example>"] });
  });

  test("who is disabled does not mind cleartext: the others are asked", async () => {
    disable("disabled7@chat.example");
    writeFileSync(join(homeOf("disabled7@chat.example"), "enforceE2EEincoming"), "");
    const recipients = ["disabled7@chat.example", "takesall1@chat.example"];
    expect((await client.deliver({ sender: alice, recipients, ...cleartext })).final).toBe("accept");
  });

  test.each([
    { of: "encrypted mail", to: bob, mail: () => encrypted, counts: ["incoming_encrypted_mail_count"] },
    {
      of: "cleartext that is let in",
      to: "takesall1@chat.example",
      mail: () => cleartext,
      counts: ["incoming_unencrypted_mail_count"],
    },
    {
      of: "cleartext that is not",
      to: bob,
      mail: () => cleartext,
      counts: [
        "incoming_unencrypted_mail_count",
        "rejected_unencrypted_mail_count",
        'filtermail_inbound_drop_total{reason="unencrypted"}',
      ],
    },
    { of: "a bounce", to: bob, mail: () => bounceFromLiteral, counts: ["incoming_mailer_daemon_mail_count"] },
    {
      of: "mail to nobody who is left",
      to: "disabled8@chat.example",
      mail: () => encrypted,
      counts: ['filtermail_inbound_drop_total{reason="all_recipients_disabled"}'],
    },
  ])("what is counted of $of", async ({ of, to, mail, counts }) => {
    disable("disabled8@chat.example");
    await client.from("192.0.2.1");
    await client.deliver({ sender: of === "a bounce" ? "" : alice, recipients: [to], ...mail() });
    expect(counted(/filter|outgoing|incoming|rejected/)).toEqual(["filtered_incoming_mail_count", ...counts].sort());
  });

  const noSignature = "554 5.7.1 No DKIM signature found";
  const noValid = "554 5.7.1 No valid DKIM signature found";
  const unsigned = fixture("01-encrypted");
  const literal = (domain: string) => ({
    ...unsigned,
    headers: unsigned.headers.map(([n, v]) => [n, n === "From" ? ` <a@${domain}>` : v] as const),
  });
  const bounce = fixture("27-bounce");
  const bounceFromLiteral = {
    ...bounce,
    headers: bounce.headers.map(([n, v]) => [n, n === "From" ? " MAILER-DAEMON@[192.0.2.1]" : v] as const),
  };
  const changedBody = () => ({
    ...encrypted,
    body: encrypted.body.toString("latin1").replace("Version: 1", "Version:  1"),
  });
  const fromOther = () => ({
    ...encrypted,
    headers: encrypted.headers.map(([n, v]) => [n, n === "From" ? " a@sub.chat.example" : v] as const),
  });
  const longer = () => ({ ...encrypted, body: `A line.\r\n${encrypted.body.toString("latin1")}` });

  test.each([
    { when: "there is no signature", message: () => unsigned, final: noSignature },
    { when: "a line was added", message: longer, final: noValid },
    { when: "the signature is of another domain", message: fromOther, final: noValid },
    { when: "the domain has no key", message: () => encrypted, dns: {}, final: noValid },
    { when: "the DNS does not answer", message: () => encrypted, dns: { [rsa.keyName]: undefined }, final: keyLater },
    { when: "the author has no domain name", message: () => literal("[192.0.2.1]"), final: "accept" },
    {
      when: "the author's literal is IPv6",
      client: "2001:db8::1",
      message: () => literal("[IPv6:2001:DB8:0::1]"),
      final: "accept",
    },
    {
      when: "the client is mapped",
      client: "::ffff:192.0.2.1",
      message: () => literal("[192.0.2.1]"),
      final: "accept",
    },
    {
      when: "the author's literal is not the client",
      client: "192.0.2.2",
      message: () => literal("[192.0.2.1]"),
      final: noSignature,
    },
    { when: "the author's domain is any text in brackets", message: () => literal("[x]"), final: noSignature },
    {
      when: "the author's literal is ours",
      client: "198.51.100.7",
      message: () => literal("[198.51.100.7]"),
      final: noSignature,
    },
    { when: "a bounce is not signed", sender: "", message: () => bounce, final: noSignature },
    { when: "a bounce has an envelope sender", message: () => bounceFromLiteral, final: needed },
    {
      when: "a bounce is from a literal that is the client",
      sender: "",
      message: () => bounceFromLiteral,
      final: "accept",
    },
    {
      when: "a bounce is from a literal that is not the client",
      sender: "",
      client: "192.0.2.2",
      message: () => bounceFromLiteral,
      final: noSignature,
    },
    { when: "it is no encrypted mail any more", message: changedBody, final: needed },
    {
      when: "nobody is left who would get it",
      message: () => unsigned,
      to: ["disabled2@chat.example"],
      final: noSignature,
    },
    {
      when: "nobody is left and it is signed",
      message: () => encrypted,
      to: ["disabled2@chat.example"],
      final: "discard",
    },
  ])("$final when $when", async ({ message, dns, to, final, client: address = "192.0.2.1", sender = alice }) => {
    disable("disabled2@chat.example");
    if (dns) answers = dns;
    await client.from(address);
    const verdict = await client.deliver({ sender, recipients: to ?? [bob], ...message() });
    expect(verdict.final).toBe(final);
    const refused = final === noSignature || final === noValid || final === keyLater;
    expect(metrics.text().includes('filtermail_inbound_drop_total{reason="dkim"} 1')).toBe(refused);
  });

  test("without a client's address no literal is believed, and the next client is another one", async () => {
    const mail = { sender: alice, recipients: [bob], ...literal("[192.0.2.1]") };
    expect((await client.deliver(mail)).final).toBe(noSignature);
    await client.from("192.0.2.1");
    expect((await client.deliver(mail)).final).toBe("accept");
    client.send("K");
    expect((await client.deliver(mail)).final).toBe(noSignature);
  });

  test("no name server is asked about what is refused for its content", async () => {
    await client.deliver({ sender: alice, recipients: [bob], ...cleartext });
    expect(asked).toEqual([]);
    await client.deliver({ sender: alice, recipients: ["takesall1@chat.example"], ...cleartext });
    expect(asked).toEqual([rsa.keyName]);
  });

  test("a failure of ours is told as temporary, and the next message goes well", async () => {
    const { mailFolder } = config;
    config.mailFolder = `${mailFolder}\0`;
    const verdict = await client.deliver({ sender: alice, recipients: [bob], ...encrypted });
    config.mailFolder = mailFolder;
    expect(verdict.final).toBe("tempfail");
    expect(failures).toHaveLength(1);
    client.send("A");
    expect((await client.deliver({ sender: alice, recipients: [bob], ...encrypted })).final).toBe("accept");
  });
});

describe("the relay's own probe", () => {
  let probes: ProbeAccounts;
  let pair: ReturnType<ProbeAccounts["open"]>;
  beforeEach(async () => {
    probes = new ProbeAccounts(config);
    pair = probes.open("chat.example");
    // nobody may send any more
    const rates = { take: () => new Date(now), next: () => new Date(now) };
    const shared = tools();
    const order = { turn: () => Promise.reject(new Error("asked for a turn")) };
    await serve((from) => new OutgoingFilter(from, rates, { ...shared, order, keys: ownKeys(shared), probes }));
  });

  const messageOf = (from: string, to: string): Pick<MilterMessage, "headers" | "body"> => {
    const data = probeMessage({ from, to, messageId: "a@chat.example", date: new Date(0) });
    const { headers, body } = takenApart(Buffer.from(data));
    return { headers: headers.map(({ name, value }) => [name, value] as const), body };
  };

  test("sends to the other account, whatever others may send, leaves no bounce and is not counted", async () => {
    const [sender, recipient] = [pair.sender.address, pair.recipient.address];
    const samples = () =>
      metrics
        .text()
        .split("\n")
        .filter((line) => !line.startsWith("process_"));
    const before = samples();
    const verdict = await client.deliver({ sender, recipients: [recipient], ...messageOf(sender, recipient) });
    expect(verdict).toMatchObject({ recipients: ["continue"], final: "accept" });
    expect(verdict.changes).toContain("changeFrom <>");
    expect(samples()).toEqual(before);
  });

  test("sends to nobody else", async () => {
    const { address: sender } = pair.sender;
    for (const other of [alice, "peer@other.example", sender, pair.recipient.address.replace("@", "+x@")]) {
      const verdict = await client.deliver({ sender, recipients: [other], headers: [], body: "" });
      expect(verdict.recipients).toEqual(["553 5.1.3 Bad recipient address"]);
    }
  });

  test("is no sender once its message is done, and its recipient none at all", async () => {
    probes.close(pair);
    for (const sender of [pair.sender.address, pair.recipient.address]) {
      const verdict = await client.deliver({ sender, recipients: [alice], headers: [], body: "" });
      expect(verdict.recipients).toEqual([`500 Invalid from address <${sender}>`]);
    }
  });
});

describe("nobody else reaches an account of the relay's own probe", () => {
  const open = () => {
    const probes = new ProbeAccounts(config);
    return { probes, recipient: probes.open("chat.example").recipient.address };
  };

  test("users", async () => {
    const { probes, recipient } = open();
    const shared = tools();
    const rates = new RateLimiter(() => now);
    await serve((from) => new OutgoingFilter(from, rates, { ...shared, keys: ownKeys(shared), probes }));
    const verdict = await client.deliver({ sender: alice, recipients: [recipient], headers: [], body: "" });
    expect(verdict.recipients).toEqual(["553 5.1.3 Bad recipient address"]);
  });

  test("other servers", async () => {
    const { recipient } = open();
    const lookup = resolverOf({});
    const verifier = createVerifier({ keys: createKeyCache({ lookup, now: Date.now }), now: Date.now });
    await serve((from) => new IncomingFilter(from, { ...tools(), verifier }));
    const verdict = await client.deliver({ sender: "", recipients: [recipient], headers: [], body: "" });
    expect(verdict.recipients).toEqual(["553 5.1.3 Bad recipient address"]);
  });
});
