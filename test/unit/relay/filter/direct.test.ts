/** Mail for accounts of the relay is delivered by the filters, to a server that speaks LMTP. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createKeyCache } from "../../../../src/dkim/keys.ts";
import { createVerifier } from "../../../../src/dkim/verify.ts";
import { IncomingFilter } from "../../../../src/relay/filter/incoming.ts";
import { OutgoingFilter } from "../../../../src/relay/filter/outgoing.ts";
import { OwnKeys } from "../../../../src/relay/filter/own-keys.ts";
import { MailboxDelivery } from "../../../../src/relay/mailbox/delivery.ts";
import { Maildirs } from "../../../../src/relay/mailbox/maildir.ts";
import { Metrics } from "../../../../src/relay/metrics.ts";
import { RateLimiter } from "../../../../src/relay/rate.ts";
import { openMilter } from "../../../../src/relay/wire/milter-server.ts";
import type { SocketServer } from "../../../../src/relay/wire/socket-server.ts";
import { friendly, LmtpServer, type Says } from "../../../helpers/lmtp-server.ts";
import { MilterClient, type MilterMessage } from "../../../helpers/milter-client.ts";
import { resolverOf, signed, testKey } from "../../dkim/messages.ts";
import { collectingLog, limits, settings } from "../settings.ts";
import { takenApart } from "./as-postfix.ts";

const alice = "alice1234@chat.example";
const bob = "bob123456@chat.example";
const carol = "carol1234@chat.example";
const elsewhere = "dave@elsewhere.example";
const config = settings({ domains: { "chat.example": limits({ sendBurst: 100 }) } });
const homeOf = (address: string) => join(config.mailFolder, "chat.example", address);
const key = testKey("chat.example", "chatmail");
const keyFolder = join(config.runFolder, "keys");

const bytes = readFileSync(resolve(import.meta.dirname, "../../../fixtures/filter/01-encrypted/message.eml"));
const message = takenApart(bytes);
const encrypted = {
  headers: message.headers.map(({ name, value }) => [name, value] as const),
  body: message.body,
};

let lmtp: LmtpServer;
let mailboxes: MailboxDelivery;
let server: SocketServer;
let client: MilterClient;
let metrics: Metrics;
let turns: string[][];

async function serve(direction: "outgoing" | "incoming", says?: Says) {
  const path = join(config.runFolder, "lmtp.sock");
  lmtp = await LmtpServer.listen(path, says);
  metrics = new Metrics();
  turns = [];
  const order = { turn: async ({ recipients }: { recipients: readonly string[] }) => void turns.push([...recipients]) };
  const tools = { config, metrics, log: collectingLog().log, order };
  mailboxes = new MailboxDelivery({
    config,
    metrics,
    lmtpPath: path,
    maildirs: new Maildirs({ onFailure: () => undefined }),
    room: { take: async () => false },
    onDelivered: () => undefined,
  });
  const keys = new OwnKeys({ ...tools, config: { dkim: { "chat.example": keyFolder } }, now: Date.now });
  const rates = new RateLimiter(Date.now);
  const lookup = resolverOf({ [key.keyName]: key.record });
  const verifier = createVerifier({ keys: createKeyCache({ lookup, now: Date.now }), now: Date.now });
  server = await openMilter({
    path: join(config.runFolder, "milter.sock"),
    begin: (from) =>
      direction === "outgoing"
        ? new OutgoingFilter(from, rates, { ...tools, keys, mailboxes })
        : new IncomingFilter(from, { ...tools, verifier, mailboxes }),
    onFailure: (thrown) => {
      throw thrown;
    },
    onProtocolError: (why) => {
      throw new Error(why);
    },
  });
  client = await MilterClient.connect(server.path);
  await client.negotiate();
}

beforeEach(() => {
  for (const address of [alice, bob, carol]) {
    rmSync(homeOf(address), { recursive: true, force: true });
    mkdirSync(homeOf(address), { recursive: true });
    writeFileSync(join(homeOf(address), "password"), "x");
  }
  mkdirSync(keyFolder, { recursive: true });
  writeFileSync(join(keyFolder, "rsa.pem"), key.key.export({ type: "pkcs8", format: "pem" }));
});
afterEach(async () => {
  client.close();
  await server.close(0);
  mailboxes.close();
  await lmtp.close();
});

const refuses =
  (recipient: string): Says =>
  (line) =>
    line.includes(recipient) ? "550 no" : friendly(line);
const signatures = (changes: readonly string[]) => changes.filter((each) => each.includes("DKIM-Signature"));
const deliver = (recipients: readonly string[], more: Partial<MilterMessage> = {}) =>
  client.deliver({ sender: alice, recipients, ...encrypted, ...more });

describe("outgoing", () => {
  test("what is delivered leaves nothing to Postfix, waits for its turn, and needs no signature", async () => {
    await serve("outgoing");
    const headers = [["Received", " x"], ["User-Agent", " y"], ...encrypted.headers] as const;
    expect(await deliver([bob, "Carol1234@Chat.Example"], { headers })).toEqual({
      recipients: ["continue", "continue"],
      final: "discard",
      changes: [],
    });
    expect(lmtp.said.slice(1)).toEqual([
      `MAIL FROM:<${alice}> BODY=8BITMIME`,
      `RCPT TO:<${bob}>`,
      `RCPT TO:<${carol}>`,
      "DATA",
    ]);
    const [content = ""] = lmtp.contents;
    expect(content).toContain("\r\nSubject: [...]\r\n");
    expect(content).not.toMatch(/^(Received|User-Agent|DKIM-Signature):/m);
    expect(content.endsWith(encrypted.body.toString("latin1").trimEnd())).toBe(true);
    expect(turns).toEqual([[bob, carol]]);
    const text = metrics.text();
    expect(text).toContain("\ndkim_signed 0\n");
    expect(text).toContain("\noutgoing_encrypted_mail_count 1\n");
    expect(text).toContain('\ndirect_deliveries_total{outcome="delivered"} 2\n');
  });

  test("who could not get it is left to Postfix, signed", async () => {
    await serve("outgoing", refuses(bob));
    const { final, changes } = await deliver([bob, "Carol1234@Chat.Example"]);
    expect(final).toBe("accept");
    expect(changes).toContain("deleteRecipient <Carol1234@Chat.Example>");
    expect(changes).not.toContain(`deleteRecipient <${bob}>`);
    expect(changes).toContain("changeHeader 1 Subject= [...]");
    expect(signatures(changes)).toHaveLength(1);
    expect(metrics.text()).toContain('\ndirect_deliveries_total{outcome="queued"} 1\n');
  });

  test.each([
    ["one of its recipients is elsewhere", [bob, elsewhere], {}],
    ["one of its recipients has no account", [bob, "nobody123@chat.example"], {}],
    ["the sender wants a report of its delivery", [bob], { parameters: ["NOTIFY=DELAY,SUCCESS"] }],
    ["it has a line end that is none", [bob], { body: Buffer.concat([encrypted.body, Buffer.from("x\r\r\n")]) }],
  ])("all of it is left to Postfix where %s", async (_, recipients, more) => {
    await serve("outgoing");
    await deliver(recipients, more);
    expect(lmtp.contents).toEqual([]);
  });

  test("a recipient that is disabled gets nothing, and the others all the same", async () => {
    await serve("outgoing");
    writeFileSync(join(homeOf(bob), "DISABLED"), "");
    expect(await deliver([bob, carol])).toMatchObject({ final: "discard" });
    expect(lmtp.said).not.toContain(`RCPT TO:<${bob}>`);
    expect(lmtp.said).toContain(`RCPT TO:<${carol}>`);
  });

  test("what is refused is delivered to nobody", async () => {
    await serve("outgoing");
    const { final } = await deliver([bob], { body: "hello\r\n" });
    expect(final).toMatch(/^523 /);
    expect(lmtp.contents).toEqual([]);
  });
});

describe("incoming", () => {
  const signedMail = async () => signed({ ...encrypted, body: encrypted.body.toString("latin1") }, [key]);

  test("what is delivered leaves nothing to Postfix, and its signature is no use to clients", async () => {
    await serve("incoming");
    expect(await deliver([bob], await signedMail())).toMatchObject({ final: "discard", changes: [] });
    expect(lmtp.said[1]).toBe(`MAIL FROM:<${alice}> BODY=8BITMIME`);
    expect(lmtp.contents[0]).not.toMatch(/^DKIM-Signature:/m);
    expect(turns).toEqual([[bob]]);
  });

  test("an envelope sender that is not the author becomes the null sender here, too", async () => {
    await serve("incoming", refuses(carol));
    const { final, changes } = await deliver([bob, carol], { ...(await signedMail()), sender: "x@forwarder.example" });
    expect(lmtp.said[1]).toBe("MAIL FROM:<> BODY=8BITMIME");
    expect(final).toBe("accept");
    expect(changes).toEqual([`deleteRecipient <${bob}>`, "changeFrom <>"]);
  });

  test("what is not signed is delivered to nobody", async () => {
    await serve("incoming");
    expect((await deliver([bob])).final).toMatch(/^5/);
    expect(lmtp.contents).toEqual([]);
  });
});
