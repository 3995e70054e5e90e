/** Both ends of a probe against a server that plays IMAP or SMTP line by line, in TLS. */
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { type KeyPair, makeSelfSigned } from "../../../../src/certificates/self-signed.ts";
import { Inbox, inboxService } from "../../../../src/relay/probe/inbox.ts";
import { Submission, submissionService } from "../../../../src/relay/probe/submission.ts";

const account = { address: "probe~abc@_nine.test", password: "secret" };
const messageId = "0123@_nine.test";
const { signal } = new AbortController();

let pair: KeyPair;
beforeAll(async () => {
  pair = await makeSelfSigned("_nine.test", new Date());
});

let server: Server | undefined;
const sockets: Socket[] = [];
/** The server's end, in TLS. */
let serving: TLSSocket | undefined;
/** All that the client has said, first of all what it says before TLS. */
let heard: string[];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server?.close();
});

type Answers = readonly (readonly [command: RegExp, answer: string])[];

/** `$1` in an answer is what the pattern has found first: a tag. */
async function play(greeting: string, answers: Answers, proxy = false): Promise<number> {
  heard = [];
  const inTls = (socket: Socket) => {
    const secure = new TLSSocket(socket, { isServer: true, key: pair.keyPem, cert: pair.certificatePem });
    serving = secure;
    secure.on("error", () => undefined);
    secure.write(greeting);
    let text = "";
    secure.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      for (let end = text.indexOf("\r\n"); end >= 0; end = text.indexOf("\r\n")) {
        const line = text.slice(0, end);
        text = text.slice(end + 2);
        heard.push(line);
        const found = answers.find(([command]) => command.test(line));
        if (found) secure.write(line.replace(new RegExp(`^.*?${found[0].source}.*$`), found[1]));
      }
    });
  };
  const opened = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    if (!proxy) return inTls(socket);
    socket.once("readable", () => {
      const header: string[] = [];
      for (let octet = socket.read(1) as Buffer | null; octet; octet = socket.read(1) as Buffer | null) {
        header.push(octet.toString("latin1"));
        if (octet.toString("latin1") === "\n") break;
      }
      heard.push(header.join("").trim());
      inTls(socket);
    });
  });
  server = opened;
  await new Promise<void>((resolve) => opened.listen(0, "127.0.0.1", resolve));
  return (opened.address() as AddressInfo).port;
}

const at = (port: number, service: { service: string }, proxyProtocol = false) => ({
  ...service,
  host: "127.0.0.1",
  port,
  domain: "_nine.test",
  proxyProtocol,
});

const exists = "* 1 EXISTS\r\n";
const fetched = `* 1 FETCH (BODY[HEADER.FIELDS (MESSAGE-ID)] {40}\r\nMessage-ID: <${messageId}>\r\n\r\n)\r\n`;
const imap: Answers = [
  [/^(\S+) LOGIN/, "$1 OK [CAPABILITY IDLE] in\r\n"],
  [/^(\S+) SELECT/, "* 0 EXISTS\r\n$1 OK selected\r\n"],
  [/^(\S+) IDLE/, "* OK still here\r\n+ idling\r\n"],
  [/^DONE/, "p3 OK done\r\n"],
  [/^(\S+) FETCH/, `${fetched}$1 OK fetched\r\n`],
  [/^(\S+) (?:STORE|EXPUNGE)/, "$1 OK\r\n"],
  [/^(\S+) LOGOUT/, "* BYE\r\n$1 OK bye\r\n"],
];
const smtp: Answers = [
  [/^EHLO/, "250-server\r\n250 AUTH PLAIN\r\n"],
  [/^AUTH/, "235 2.7.0 in\r\n"],
  [/^MAIL/, "250 2.1.0 Ok\r\n"],
  [/^RCPT/, "250 2.1.5 Ok\r\n"],
  [/^DATA$/, "354 go on\r\n"],
  [/^\.$/, "250 2.0.0 Ok\r\n"],
];
const instead = (answers: Answers, ...others: Answers): Answers => [...others, ...answers];
const receiving = { isDelivered: () => false, ms: 10_000 };

describe("the inbox", () => {
  const open = async (answers: Answers, greeting = "* OK\r\n") =>
    Inbox.open(at(await play(greeting, answers), inboxService), account, signal);

  test("is in IDLE, reads the message, removes it and logs out", async () => {
    const inbox = await open(imap);
    const received = inbox.receive(messageId, receiving);
    serving?.write(exists);
    await received;
    await inbox.close();
    expect(heard.map((line) => line.replace(/^p\d+ /, ""))).toEqual([
      'LOGIN "probe~abc@_nine.test" "secret"',
      "SELECT INBOX",
      "IDLE",
      "DONE",
      "FETCH 1:* (BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])",
      "STORE 1:* +FLAGS.SILENT (\\Deleted)",
      "EXPUNGE",
      "LOGOUT",
    ]);
  });

  test("removes what an earlier message has left before it waits", async () => {
    await open(instead(imap, [/^(\S+) SELECT/, "* 3 EXISTS\r\n$1 OK\r\n"]));
    expect(heard.slice(2, 4)).toEqual(["p3 STORE 1:* +FLAGS.SILENT (\\Deleted)", "p4 EXPUNGE"]);
  });

  test.each([
    {
      when: "the login is refused",
      step: "login",
      other: [/^(\S+) LOGIN/, "$1 NO [UNAVAILABLE] later\r\n"],
      says: "NO [UNAVAILABLE] later",
    },
    {
      when: "the inbox can't be opened",
      step: "fetch",
      other: [/^(\S+) SELECT/, "$1 NO [SERVERBUG] no\r\n"],
      says: "NO [SERVERBUG] no",
    },
    { when: "IDLE is refused", step: "fetch", other: [/^(\S+) IDLE/, "$1 BAD what\r\n"], says: "BAD what" },
  ] as const)("$step: $when", async ({ step, other, says }) => {
    await expect(open(instead(imap, other))).rejects.toMatchObject({
      step,
      message: `IMAP, port 993: ${says}`,
    });
  });

  test.each([
    { isDelivered: false, step: "deliver" },
    { isDelivered: true, step: "fetch" },
  ])(
    "where no message comes and Dovecot has reported it: $isDelivered, the step is $step",
    async ({ isDelivered, step }) => {
      const inbox = await open(imap);
      await expect(inbox.receive(messageId, { isDelivered: () => isDelivered, ms: 1 })).rejects.toMatchObject({
        step,
        message: "IMAP, port 993: the message was accepted, and is not in the mailbox 0.001 s later",
      });
    },
  );

  test("fetch: another message", async () => {
    const inbox = await open(imap);
    const received = inbox.receive("other@_nine.test", receiving);
    serving?.write(exists);
    await expect(received).rejects.toMatchObject({
      step: "fetch",
      message: expect.stringContaining("another message"),
    });
  });

  test("deliver: the connection ends meanwhile", async () => {
    const inbox = await open(imap);
    const received = inbox.receive(messageId, receiving);
    for (const socket of sockets) socket.end();
    await expect(received).rejects.toMatchObject({
      step: "deliver",
      message: "IMAP, port 993: the connection was closed",
    });
  });
});

describe("the submission", () => {
  const open = async (answers: Answers, { greeting = "220 hello\r\n", proxy = false } = {}) =>
    Submission.open(at(await play(greeting, answers, proxy), submissionService, proxy), account, signal);
  const mail = { from: account.address, to: "probe~def@_nine.test", data: "Subject: x\r\n\r\ny\r\n" };

  test("logs in and sends", async () => {
    const submission = await open(smtp);
    await submission.send(mail);
    submission.close();
    const credentials = Buffer.from(`\0${account.address}\0${account.password}`).toString("base64");
    expect(heard.slice(0, 5)).toEqual([
      "EHLO [127.0.0.1]",
      `AUTH PLAIN ${credentials}`,
      "MAIL FROM:<probe~abc@_nine.test>",
      "RCPT TO:<probe~def@_nine.test>",
      "DATA",
    ]);
  });

  test("where the port takes connections of a load balancer alone, it says who it is", async () => {
    await (await open(smtp, { proxy: true })).send(mail);
    expect(heard[0]).toMatch(/^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+$/);
  });

  test.each([
    { greeting: "421 4.3.2 too busy\r\n", step: "login", says: "421 4.3.2 too busy" },
    { other: [/^AUTH/, "454 4.7.0 later\r\n"], step: "login", says: "454 4.7.0 later" },
    { other: [/^MAIL/, "452 4.3.1 no room\r\n"], step: "submit", says: "452 4.3.1 no room" },
    {
      other: [/^RCPT/, "451 4.7.1 later, <probe~def@_nine.test>\r\n"],
      step: "submit",
      says: "451 4.7.1 later, <probe>",
    },
    { other: [/^\.$/, "523 Encryption Needed\r\n"], step: "submit", says: "523 Encryption Needed" },
  ] as const)("$step: $says", async (refused) => {
    const { step, says } = refused;
    const options = "greeting" in refused ? { greeting: refused.greeting } : {};
    const answers = "other" in refused ? instead(smtp, refused.other) : smtp;
    const sent = open(answers, options).then((submission) => submission.send(mail));
    await expect(sent).rejects.toMatchObject({ step, message: `submission, port 465: ${says}` });
  });
});

describe("the connection", () => {
  test("connect: nobody listens", async () => {
    const port = await play("", []);
    await new Promise((resolve) => server?.close(resolve));
    await expect(Submission.open(at(port, submissionService), account, signal)).rejects.toMatchObject({
      step: "connect",
      message: expect.stringMatching(/^submission, port 465: connect ECONNREFUSED/),
    });
  });

  test("TLS: nginx closes it, because nobody is behind", async () => {
    const opened = createServer((socket) => socket.on("error", () => undefined).end());
    server = opened;
    await new Promise<void>((resolve) => opened.listen(0, "127.0.0.1", resolve));
    const { port } = opened.address() as AddressInfo;
    await expect(Inbox.open(at(port, inboxService), account, signal)).rejects.toMatchObject({
      step: "TLS",
      message: "IMAP, port 993: the connection was closed",
    });
  });

  test("ends where the relay stops", async () => {
    const stopping = new AbortController();
    const inbox = await Inbox.open(at(await play("* OK\r\n", imap), inboxService), account, stopping.signal);
    const received = inbox.receive(messageId, receiving);
    stopping.abort();
    await expect(received).rejects.toMatchObject({ step: "deliver" });
  });
});
