import { createServer as createHttp, type IncomingMessage, request } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { Metrics } from "../../../../src/relay/metrics.ts";
import { Body } from "../../../../src/relay/receive/body.ts";
import {
  answerFor,
  DataForm,
  envelopeOf,
  hasTooLargeHeaders,
  headerBytes,
  mostRecipients,
} from "../../../../src/relay/receive/policy.ts";
import { receiveServer } from "../../../../src/relay/receive/server.ts";
import { listenOn } from "../../../../src/relay/wire/socket-server.ts";
import { limits, settings } from "../settings.ts";

const config = settings({ domains: { "chat.example": limits(), "1.2.3.4": limits() } });

describe("the envelope", () => {
  const to = ["bob@chat.example"];
  test.each([
    [
      { "x-mail-from": ["A@One.test"], "x-mail-to": ["Bob@Chat.Example"] },
      { sender: "a@one.test", recipients: to },
    ],
    [{ "x-mail-to": to }, { sender: "", recipients: to }],
    [
      { "x-mail-from": [""], "x-mail-to": to },
      { sender: "", recipients: to },
    ],
    [{ "x-mail-to": ["bob@chat.example", "BOB@chat.example"] }, { sender: "", recipients: to }],
    [{ "x-mail-to": ["bob@[1.2.3.4]"] }, { sender: "", recipients: ["bob@[1.2.3.4]"] }],
  ])("%j", (headers, envelope) => expect(envelopeOf(headers, config)).toEqual({ envelope }));

  test.each([
    ["501 5.5.4", {}],
    ["501 5.1.7", { "x-mail-from": ["a@b.test", "c@d.test"], "x-mail-to": to }],
    ["501 5.1.7", { "x-mail-from": ["a> SIZE=1 <x@b.test"], "x-mail-to": to }],
    ["501 5.1.7", { "x-mail-from": ["nobody"], "x-mail-to": to }],
    ["501 5.1.3", { "x-mail-to": ["bob"] }],
    ["501 5.1.3", { "x-mail-to": ["bob@chat.example, eve@chat.example"] }],
    ["501 5.1.3", { "x-mail-to": ["bob@chat.example\r\nDATA"] }],
    ["501 5.1.3", { "x-mail-to": ["<bob@chat.example>"] }],
    ["501 5.1.3", { "x-mail-to": ["b\u00f6b@chat.example"] }],
    ["554 5.7.1", { "x-mail-to": ["eve@elsewhere.test"] }],
    ["554 5.7.1", { "x-mail-to": [...to, "eve@elsewhere.test"] }],
    ["554 5.7.1", { "x-mail-to": ["eve@[4.3.2.1]"] }],
    ["452 4.5.3", { "x-mail-to": Array.from({ length: mostRecipients + 1 }, (_, at) => `a${at}@chat.example`) }],
  ])("%s for %j", (reply, headers) => {
    expect(envelopeOf(headers, config)).toMatchObject({
      refusal: { status: 400, body: expect.stringContaining(reply) },
    });
  });
});

describe("SMTP DATA form", () => {
  const isRight = (text: string, cuts: readonly number[] = []) => {
    const form = new DataForm();
    let from = 0;
    for (const at of [...cuts, text.length]) {
      form.push(Buffer.from(text.slice(from, at), "latin1"));
      from = at;
    }
    return form.finish();
  };
  test.each([
    ["a\r\n", true],
    ["\r\n", true],
    ["a\r\n\r\n..\r\n.b\r\n", true],
    ["a\r\n..\r\n", true],
    ["", false],
    ["a", false],
    ["a\r", false],
    ["a\n", false],
    ["a\r\nb", false],
    ["a\nb\r\n", false],
    ["a\rb\r\n", false],
    ["a\r\r\n", false],
    [".\r\n", false],
    ["a\r\n.\r\nb\r\n", false],
    ["a\r\n.\r\n", false],
    ["\n", false],
    ["\r\n\n", false],
  ])("%j: %s, cut anywhere", (text, right) => {
    expect(isRight(text)).toBe(right);
    for (let one = 0; one <= text.length; one++) {
      for (let two = one; two <= text.length; two++) expect(isRight(text, [one, two]), `${one}, ${two}`).toBe(right);
    }
  });
});

test.each([
  ["250 2.0.0 Ok: queued", 200, "250 OK\n"],
  ["523 Encryption Needed: Invalid Unencrypted Mail", 400, "523 Encryption Needed: Invalid Unencrypted Mail\n"],
  ["451 4.7.1 later", 400, "451 4.7.1 later\n"],
  ["552 5.3.4 Error: message file too big", 413, "552 Message exceeds maximum size\n"],
])("%s becomes %i", (reply, status, body) => expect(answerFor(reply)).toEqual({ status, body }));

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** An smtpd that answers each line from the table, the message's end with the last. */
async function smtpd(replies: { rcpt?: string; end?: string }) {
  const seen: string[] = [];
  const server = createServer((socket) => {
    socket.write("220 here\r\n");
    let inData = false;
    let rest = "";
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      const lines = `${rest}${chunk.toString()}`.split("\r\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        seen.push(line);
        if (inData && line !== ".") continue;
        if (line.startsWith("EHLO")) socket.write("250-here\r\n250 8BITMIME\r\n");
        else if (line.startsWith("RCPT")) socket.write(`${replies.rcpt ?? "250 2.1.5 Ok"}\r\n`);
        else if (line === "DATA") {
          inData = true;
          socket.write("354 go\r\n");
        } else if (line === ".") {
          inData = false;
          socket.write(`${replies.end ?? "250 2.0.0 Ok"}\r\n`);
        } else socket.write("250 Ok\r\n");
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  closing.push(() => server.close());
  return { port: (server.address() as AddressInfo).port, seen };
}

async function received(port: number, about = config) {
  const path = join(settings().runFolder, "mxdeliv.sock");
  const server = receiveServer({ config: about, metrics: new Metrics(), port, onFailure: () => undefined });
  await listenOn(server, path);
  closing.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  return (options: { to?: string[]; body?: string; method?: string; more?: Record<string, string> } = {}) =>
    new Promise<{ status: number; body: string }>((resolve, reject) => {
      const { to = ["bob@chat.example"], body = "a\r\n", method = "POST", more = {} } = options;
      const headers = { ...more, "X-Mail-From": "x@one.test", "X-Mail-To": to };
      const asking = request({ socketPath: path, path: "/mxdeliv", method, headers, agent: false }, async (answer) => {
        const text = Buffer.concat(await answer.toArray()).toString();
        resolve({ status: answer.statusCode ?? 0, body: text });
      });
      asking.on("error", reject);
      asking.end(body);
    });
}

describe("headers", () => {
  const raw = (recipients: number, bytesEach: number, more = 0) => ({
    rawHeaders: [
      ...Array.from({ length: recipients }, () => ["X-Mail-To", "x".repeat(bytesEach - 13)]).flat(),
      ...(more > 0 ? ["X-More", "x".repeat(more - 10)] : []),
    ],
  });
  test.each([
    { recipients: 0, bytesEach: 0, more: 4096, tooLarge: false },
    { recipients: 0, bytesEach: 0, more: 4097, tooLarge: true },
    { recipients: 10, bytesEach: 400, more: 4096, tooLarge: false },
    { recipients: 10, bytesEach: 400, more: 4097, tooLarge: true },
    { recipients: 1000, bytesEach: 100, more: 0, tooLarge: false },
  ])(
    "$recipients recipients of $bytesEach bytes and $more more: $tooLarge",
    ({ recipients, bytesEach, more, tooLarge }) => {
      const request = raw(recipients, bytesEach, more);
      expect(headerBytes(request)).toBe(recipients * bytesEach + more);
      expect(hasTooLargeHeaders(request)).toBe(tooLarge);
    },
  );
});

describe("a body", () => {
  /** A request whose body the test writes, and its reader on the other side. */
  async function begun(pace = { graceMs: 100, bytesPerSecond: 10_000 }) {
    const server = createHttp();
    const coming = new Promise<IncomingMessage>((resolve) => server.once("request", (each) => resolve(each)));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
    closing.push(() => server.closeAllConnections());
    const sending = request({ port: (server.address() as AddressInfo).port, method: "POST" });
    sending.on("error", () => undefined);
    sending.flushHeaders();
    return { sending, body: new Body(await coming, pace) };
  }

  test("comes whole and in order, however it is read", async () => {
    const { sending, body } = await begun({ graceMs: 10_000, bytesPerSecond: 1 });
    const sent = Buffer.from(Array.from({ length: 2_000_000 }, (_, at) => at % 251));
    sending.end(sent);
    const pieces: Buffer[] = [];
    for (let piece = await body.next(); piece.kind === "bytes"; piece = await body.next()) pieces.push(piece.bytes);
    expect(Buffer.concat(pieces).equals(sent)).toBe(true);
    expect(await body.next()).toEqual({ kind: "end" });
  });

  test("that does not come is slow once its time is over, and the more has come, the longer that is", async () => {
    const { sending, body } = await begun();
    const start = performance.now();
    sending.write("x".repeat(2000));
    expect(await body.next()).toMatchObject({ kind: "bytes" });
    expect(await body.next()).toEqual({ kind: "slow" });
    // 100 ms, and 200 ms for 2,000 bytes; timers may be a little early
    expect(performance.now() - start).toBeGreaterThan(290);
  });

  test("is stopped while it is waited for, and stays so", async () => {
    const { sending, body } = await begun();
    const piece = body.next();
    body.stop();
    expect(await piece).toEqual({ kind: "stopped" });
    sending.write("x");
    expect(await body.next()).toEqual({ kind: "stopped" });
  });

  test("whose connection ends is a failure", async () => {
    const { sending, body } = await begun({ graceMs: 10_000, bytesPerSecond: 1 });
    const piece = body.next();
    sending.destroy();
    await expect(piece).rejects.toThrow(/aborted/);
  });
});

describe("the server", () => {
  test("hands a mail on as it came", async () => {
    const { port, seen } = await smtpd({});
    const ask = await received(port);
    expect(await ask({ body: "Subject: x\r\n\r\n..dot\r\n" })).toEqual({ status: 200, body: "250 OK\n" });
    expect(seen).toEqual(
      "EHLO localhost|MAIL FROM:<x@one.test> BODY=8BITMIME|RCPT TO:<bob@chat.example>|DATA|Subject: x||..dot|.|QUIT".split(
        "|",
      ),
    );
  });

  test("leaves out no recipient for want of room for headers", async () => {
    const { port, seen } = await smtpd({});
    const ask = await received(port);
    const to = Array.from({ length: 700 }, (_, at) => `a${at}@chat.example`);
    const more = Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`X-${at}`, "x"]));
    expect(await ask({ to, more })).toEqual({ status: 431, body: "" });
    expect((await ask({ to })).status).toBe(200);
    expect(seen.filter((line) => line.startsWith("RCPT"))).toHaveLength(700);
  });

  test.each([
    ["a refused recipient", { rcpt: "550 5.1.1 nobody" }, { status: 400, body: "550 5.1.1 nobody\n" }],
    ["a refused message", { end: "523 Encryption Needed" }, { status: 400, body: "523 Encryption Needed\n" }],
    ["a message that is put off", { end: "451 4.7.1 later" }, { status: 400, body: "451 4.7.1 later\n" }],
    ["a message too large", { end: "552 5.3.4 too big" }, { status: 413, body: "552 Message exceeds maximum size\n" }],
  ])("%s", async (_, replies, answer) => {
    const ask = await received((await smtpd(replies)).port);
    expect(await ask()).toEqual(answer);
  });

  test("wrong data is refused, and Postfix never sees its end", async () => {
    const { port, seen } = await smtpd({});
    const ask = await received(port);
    expect(await ask({ body: `${"x".repeat(70_000)}\r\n.\r\nMAIL FROM:<evil>\r\n` })).toEqual({
      status: 400,
      body: "500 Invalid DATA\n",
    });
    expect(seen).not.toContain(".");
  });

  test("what is too large even without its doubled dots is refused, and Postfix is not asked", async () => {
    const { port, seen } = await smtpd({});
    const small = settings({ domains: { "chat.example": limits({ maxMessageBytes: 1000 }) } });
    const ask = await received(port, small);
    const body = (bytes: number) => `${"..".repeat(bytes / 2 - 1)}\r\n`;
    expect(await ask({ body: `${body(2000)}\r\n` })).toEqual({
      status: 413,
      body: "552 Message exceeds maximum size\n",
    });
    expect(seen).toEqual([]);
    expect(await ask({ body: body(2000) })).toMatchObject({ status: 200 });
  });

  test("no Postfix: try again", async () => {
    const ask = await received(1);
    expect(await ask()).toMatchObject({ status: 400, body: expect.stringMatching(/^451 /) });
  });

  test("1,000 recipients", async () => {
    const { port, seen } = await smtpd({});
    const ask = await received(port);
    expect(
      await ask({ to: Array.from({ length: 1000 }, (_, at) => `${"a".repeat(60)}${at}@chat.example`) }),
    ).toMatchObject({ status: 200 });
    expect(seen.filter((line) => line.startsWith("RCPT"))).toHaveLength(1000);
  });

  test("GET is 405", async () => {
    expect(await (await received(1))({ method: "GET", body: "" })).toEqual({
      status: 405,
      body: "Method Not Allowed\n",
    });
  });
});
