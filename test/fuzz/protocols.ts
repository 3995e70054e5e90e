/**
 * Servers on real sockets: the same bytes in any split get the same answers, and after each hostile
 * connection a normal one is answered.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type NetConnectOpts } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { openHttpsDelivery, type Parcel } from "../../src/relay/deliver/server.ts";
import { Metrics } from "../../src/relay/metrics.ts";
import { openQuota } from "../../src/relay/quota/server.ts";
import { receiveServer } from "../../src/relay/receive/server.ts";
import { answerWeb } from "../../src/relay/web/server.ts";
import { openDict } from "../../src/relay/wire/dict-server.ts";
import { httpServer } from "../../src/relay/wire/http.ts";
import { packet } from "../../src/relay/wire/milter.ts";
import { type MessageFilter, openMilter } from "../../src/relay/wire/milter-server.ts";
import { openSasl } from "../../src/relay/wire/sasl-server.ts";
import { closeServer, listenOn } from "../../src/relay/wire/socket-server.ts";
import { netstring } from "../../src/relay/wire/socketmap.ts";
import { openSocketmap } from "../../src/relay/wire/socketmap-server.ts";
import { limits } from "../unit/relay/settings.ts";
import { Broken, latin1, repeated, split, type Target } from "./target.ts";

interface Spoken extends Pick<Target, "words" | "heavy" | "heavyBytes"> {
  seeds: readonly (string | Buffer)[];
  /** A server at `path`, or at the port it says. */
  serve: (path: string, on: FailureHandlers) => Promise<{ port?: number; close(): Promise<unknown> }>;
  /**
   * What a normal peer sends, and what the answer must have in it; "closed": the server hangs up.
   */
  normal: { says: string | Buffer; hears: string | RegExp };
  /** What differs between two connections is taken out. */
  stable?: (text: string) => string;
  /** Node's HTTP parser leaves out answers to what came in one piece with an error. */
  splitsMatter?: boolean;
  /** Silence of so long is the end of an answer. */
  quietMs?: number;
}

interface FailureHandlers {
  onFailure: (thrown: unknown) => void;
  onProtocolError(why: string): void;
}

interface Heard {
  text: string;
  closed: boolean;
}

const patienceMs = 30_000;
/** Turns of the event loop, in which server and client are both served. */
const quietTurns = 8;

function spoken({
  seeds,
  serve,
  normal,
  stable = (text) => text,
  quietMs = 0,
  splitsMatter = true,
  ...rest
}: Spoken): Target {
  return {
    // tiny commands by the thousand, said twice
    msPerKib: 5,
    ...rest,
    seeds: () => seeds.map((seed) => (typeof seed === "string" ? latin1(seed) : seed)),
    async open() {
      const folder = mkdtempSync(join(tmpdir(), "fuzz-"));
      const path = join(folder, "s");
      let failure: unknown;
      const server = await serve(path, {
        onFailure: (thrown) => {
          failure = thrown;
        },
        onProtocolError: () => undefined,
      });
      const where: NetConnectOpts = server.port === undefined ? { path } : { host: "127.0.0.1", port: server.port };
      const says = typeof normal.says === "string" ? latin1(normal.says) : normal.says;
      const isAnswer = ({ text, closed }: Heard) =>
        normal.hears === "closed" ? closed : text.match(normal.hears) !== null;
      return {
        async check(input, random) {
          failure = undefined;
          const pieces = split(input, Math.max(3, input.length / 20), random);
          let whole = await converse(where, [input], quietMs);
          let cut = await converse(where, pieces, quietMs);
          // the machine may have been busy: again, with more and more patience
          for (let more = 100; splitsMatter && !alike(whole, cut, stable); more *= 5) {
            if (more > 5_000) {
              throw new Broken(
                `a split changes the answer: ${JSON.stringify(whole)} and ${JSON.stringify(cut)}`.slice(0, 600),
              );
            }
            whole = await converse(where, [input], quietMs + more);
            cut = await converse(where, pieces, quietMs + more);
          }
          if (failure !== undefined) throw failure;
          const answer = await converse(where, [says], quietMs, isAnswer);
          if (!isAnswer(answer)) throw new Broken(`a normal peer hears ${JSON.stringify(answer)}`);
          return whole.closed ? "refused" : "accepted";
        },
        async close() {
          await server.close();
          rmSync(folder, { recursive: true, force: true });
        },
      };
    },
  };
}

/**
 * Where a connection is ended for what comes later in it, answers that were under way may be
 * missing.
 */
function alike(one: Heard, other: Heard, stable: (text: string) => string): boolean {
  const [a, b] = [stable(one.text), stable(other.text)];
  if (one.closed && other.closed) return a.startsWith(b) || b.startsWith(a);
  return one.closed === other.closed && a === b;
}

async function converse(
  where: NetConnectOpts,
  pieces: readonly Buffer[],
  quietMs: number,
  enough?: (heard: Heard) => boolean,
): Promise<Heard> {
  // over TCP a piece would wait for the acknowledgement of the one before it, 40 ms
  const socket = connect(where).setNoDelay(true);
  const heard: Heard = { text: "", closed: false };
  let quiet = 0;
  let spokeAt = performance.now();
  socket.on("data", (chunk) => {
    heard.text += chunk.toString("latin1");
    quiet = 0;
    spokeAt = performance.now();
  });
  socket.on("error", () => undefined);
  socket.on("close", () => {
    heard.closed = true;
  });
  await new Promise((resolve) => socket.once("connect", resolve).once("close", resolve));
  for (const piece of pieces) {
    socket.write(piece);
    await turn();
  }
  const end = performance.now() + patienceMs;
  const isOver = () =>
    heard.closed ||
    (enough
      ? enough(heard)
      : quiet >= quietTurns && socket.writableLength === 0 && performance.now() - spokeAt >= quietMs);
  while (!isOver()) {
    if (performance.now() > end) break;
    quiet++;
    await (quiet > quietTurns ? sleep(1) : turn());
  }
  socket.destroy();
  return { ...heard };
}

const sha = (text: string) => createHash("sha1").update(text).digest("hex");

/** Says what it has been told. */
class Telling implements MessageFilter {
  #told: string;
  constructor(sender: string) {
    this.#told = sender;
  }
  async recipient(address: string): Promise<undefined> {
    this.#told += `\nR${address}`;
  }
  header(name: string, value: string): void {
    this.#told += `\nL${name}:${value}`;
  }
  endOfHeaders(): void {
    this.#told += "\nN";
  }
  body(chunk: Buffer): void {
    this.#told += chunk.toString("latin1");
  }
  async endOfMessage() {
    return { reply: { kind: "reply" as const, text: `550 ${sha(this.#told)}` }, modifications: [] };
  }
}

const options = packet("O", Buffer.from([0, 0, 0, 6, 0, 0, 1, 0xff, 0, 0x1f, 0xff, 0xff]));
const mail = Buffer.concat([
  options,
  packet("D", latin1("Mi\x001234\0")),
  packet("M", latin1("<a@b>\0")),
  packet("R", latin1("<c@d>\0")),
  packet("L", latin1("Subject\0 x\0")),
  packet("N"),
  packet("B", latin1("hello\r\n")),
  packet("E"),
]);

export const milter = spoken({
  seeds: [
    mail,
    Buffer.concat([mail, mail, packet("Q")]),
    Buffer.concat([options, packet("A"), packet("K"), packet("C")]),
  ],
  words: [
    "\0\0\0\x01N",
    "\0\0\0\x01E",
    "\0\0\0\0",
    "\xff\xff\xff\xff",
    "\0\x10\0\x01B",
    "\0\0\0\x05M<>\0",
    "\0\0\0\x01Q",
    "\0\0\0\x01A",
    "\0",
    "\0\0\0\x03BAA",
  ],
  heavyBytes: 128 * 1024,
  heavy: {
    "many packets": (bytes) => Buffer.concat([options, latin1(repeated("\0\0\0\x01H", bytes))]),
    "macros of nothing": (bytes) =>
      Buffer.concat([options, packet("D", Buffer.concat([latin1("M"), Buffer.alloc(bytes & ~1)]))]),
    "body in single bytes": (bytes) =>
      Buffer.concat([options, packet("M", latin1("<>\0")), latin1(repeated("\0\0\0\x02Bx", bytes))]),
  },
  serve: (path, handlers) =>
    openMilter({ path, begin: ({ sender }) => new Telling(sender), ...handlers }).then(closing),
  normal: { says: mail, hears: /550 [0-9a-f]{40}/ },
});

const closing = (server: { close(graceMs: number): Promise<void>; port?: number }) => ({
  ...(server.port !== undefined && { port: server.port }),
  close: () => server.close(0),
});

export const socketmap = spoken({
  seeds: ["12:transport ab,", netstring("tls a.example"), Buffer.concat([netstring("x y"), netstring("x z")])],
  words: ["0:,", "4096:", "4097:", "99999999999:", "00:", ":", ",", "-1:", "3:x y,", " ", "\xff", "\0"],
  heavyBytes: 128 * 1024,
  heavy: { questions: (bytes) => latin1(repeated("3:x y,", bytes)), digits: (bytes) => latin1(repeated("9", bytes)) },
  serve: (path, handlers) =>
    openSocketmap({
      path,
      answer: ({ map, key }) => (key.length % 2 ? { kind: "ok", value: sha(map + key) } : { kind: "notFound" }),
      ...handlers,
    }).then(closing),
  normal: { says: "3:x y,", hears: "OK " },
});

const dictMail = "H2\t0\t0\tu\tmeta\nLpriv/a\tu\nB1\tu\nS1\tpriv/a\tv\nC1\n";
export const dict = spoken({
  seeds: [dictMail, "H\nI0\t0\tp\tu\nU1\tk\nC1\nR1\n", "B1\tu\nB1\tu\nS1\tk\n"],
  words: [
    "\n",
    "\t",
    "\x01",
    "\x01t",
    "\x011",
    "B1\tu\n",
    "S1\tk\tv\n",
    "C1\n",
    "U1\tk\n",
    "R1\n",
    "Lk\tu\n",
    "\0",
    "\xff",
  ],
  heavyBytes: 128 * 1024,
  heavy: {
    lookups: (bytes) => latin1(repeated("Lk\tu\n", bytes)),
    "transactions never committed": (bytes) => latin1(`${repeated("B1\tu\nS1\tk\tvalue\n", bytes)}`),
    "one line": (bytes) => latin1(repeated("S", bytes)),
    escapes: (bytes) => latin1(`S1${repeated("\x01t", Math.min(bytes, 60_000))}\n`),
  },
  serve: async (path, handlers) => {
    const answers = {
      lookup: async (key: string, user: string) => (key.length % 2 ? sha(key + user) : undefined),
      set: async (key: string, value: string) => (key.length + value.length > 20 ? "too long" : undefined),
      unset: async () => undefined,
    };
    return closing(await openDict({ path, answers, ...handlers }));
  },
  normal: { says: dictMail, hears: /O\n$/ },
});

const plain = Buffer.from("\0alice\0secret123").toString("base64");
export const sasl = spoken({
  seeds: [`VERSION\t1\t2\nCPID\t1\nAUTH\t1\tPLAIN\tservice=smtp\tresp=${plain}\n`, "VERSION\t1\t2\nAUTH\t2\tLOGIN\n"],
  words: [
    "\n",
    "\t",
    "AUTH\t1\tPLAIN\t",
    "resp=",
    plain,
    "=",
    "CPID\t1\n",
    "VERSION\t1\t2\n",
    "VERSION\t2\t0\n",
    "\0",
    "\xff",
    "AUTH\t99999999999\tx\n",
  ],
  heavyBytes: 128 * 1024,
  heavy: {
    questions: (bytes) => latin1(repeated(`AUTH\t1\tPLAIN\tresp=${plain}\n`, bytes)),
    "one line": (bytes) => latin1(repeated("A", bytes)),
  },
  serve: (path, handlers) =>
    openSasl({
      path,
      login: async (user) => ({ kind: user === "alice" ? "wrongPassword" : "unknown" }),
      failureDelayMs: 0,
      ...handlers,
    }).then(closing),
  normal: { says: `VERSION\t1\t2\nCPID\t1\nAUTH\t1\tPLAIN\tresp=${plain}\n`, hears: "FAIL\t1\tuser=alice" },
  stable: (text) => text.replace(/(CUID|COOKIE)\t\S+/g, ""),
});

const config = { domains: { "chat.example": limits() }, mailFolder: "/nowhere" };
const warning = "VERSION\tscript\t4\t0\nnoreply\ntrim\nabcdefghi@chat.example\n\n";
export const quota = spoken({
  seeds: [warning, "VERSION\tscript\t4\t0\nalarm=10\ntrim\n\n"],
  words: ["\n", "\t", "noreply\n", "trim\n", "@", "\0", "\xff", "x\n"],
  heavy: { lines: (bytes) => latin1(repeated("x\n", bytes)), "one line": (bytes) => latin1(repeated("x", bytes)) },
  serve: (path, handlers) => openQuota({ path, config, trim: async () => undefined, ...handlers }).then(closing),
  normal: { says: warning, hears: "closed" },
});

/** Collects a message and says what it was. */
function parcel(end: (message: string) => void): Parcel {
  let message = "";
  return {
    write: async (chunk) => {
      message += chunk.toString("latin1");
    },
    finish: async () => {
      end(message);
      return `250 ${sha(message)}`;
    },
    abort: () => undefined,
  };
}

const smtp = "EHLO x\r\nMAIL FROM:<a@b.example> SIZE=10\r\nRCPT TO:<c@d.example>\r\nDATA\r\nhello\r\n.\r\n";
export const https = spoken({
  seeds: [smtp, `${smtp}MAIL FROM:<>\r\nRCPT TO:<c@[192.0.2.1]>\r\nRSET\r\nNOOP\r\nQUIT\r\n`, `${smtp}DATA\r\n`],
  words: [
    "\r\n",
    "\n",
    "\r",
    ".\r\n",
    "\r\n.\r\n",
    "MAIL FROM:<>\r\n",
    "RCPT TO:<e@d.example>\r\n",
    "RCPT TO:<e@f.example>\r\n",
    "DATA\r\n",
    "RSET\r\n",
    "QUIT\r\n",
    "<",
    ">",
    "\0",
    "\xff",
    "x".repeat(2048),
  ],
  heavyBytes: 128 * 1024,
  heavy: {
    commands: (bytes) => latin1(repeated("NOOP\r\n", bytes)),
    "one line": (bytes) => latin1(repeated("x", bytes)),
    "dots in a message": (bytes) =>
      latin1(`MAIL FROM:<>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n${repeated("..\r\n", bytes)}.\r\n`),
    recipients: (bytes) => latin1(`MAIL FROM:<>\r\n${repeated("RCPT TO:<c@d.example>\r\n", bytes)}`),
  },
  serve: (_path, handlers) =>
    openHttpsDelivery({ port: 0, open: async () => parcel(() => undefined), ...handlers }).then(closing),
  // TCP, whose packets pass through other hands than a unix socket's
  quietMs: 3,
  normal: { says: smtp, hears: /250 [0-9a-f]{40}/ },
});

const withoutDates = (text: string) => text.replace(/Date: [^\r\n]*/g, "");
const get = "GET /join?a=b HTTP/1.1\r\nHost: chat.example\r\n\r\n";
const httpWords = [
  "\r\n",
  "\r\n\r\n",
  "\n",
  ":",
  " ",
  "HTTP/1.1",
  "HTTP/1.0",
  "Transfer-Encoding: chunked\r\n",
  "Content-Length: 5\r\n",
  "Content-Length: 99999999999\r\n",
  "Expect: 100-continue\r\n",
  "Connection: close\r\n",
  "Upgrade: x\r\n",
  "5\r\nhello\r\n",
  "0\r\n\r\n",
  "%",
  "?",
  "#",
  "\0",
  "\xff",
];

export const http = spoken({
  seeds: [
    get,
    "POST /passdb HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na\nb",
    "POST /new HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
  ],
  words: [...httpWords, "/i/abcdefgh", "http://auth.local/", "?i=abcdefgh"],
  heavy: {
    "header lines": (bytes) => latin1(`GET / HTTP/1.1\r\n${repeated("a:\r\n", bytes)}\r\n`),
    target: (bytes) => latin1(`GET /${repeated("?", bytes)} HTTP/1.1\r\n\r\n`),
    questions: (bytes) => latin1(repeated(get, bytes)),
    chunks: (bytes) =>
      latin1(`POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${repeated("1\r\nx\r\n", bytes)}`),
  },
  splitsMatter: false,
  quietMs: 3,
  async serve(path, { onFailure }) {
    const metrics = new Metrics();
    const server = httpServer({
      maxBodyBytes: 4096,
      answer: async (question) => {
        await answerWeb(question, { config, metrics, accounts: { welcome: async () => undefined } });
        return { status: 200, body: JSON.stringify(question) };
      },
      // a body that ends early is the peer's doing
      onFailure: (thrown) => void (String(thrown).includes("aborted") || onFailure(thrown)),
    });
    await listenOn(server, path);
    return { close: () => closeServer(server, 0, () => server.closeAllConnections()) };
  },
  normal: { says: get, hears: "200 OK" },
  stable: withoutDates,
});

const delivery =
  "POST /mxdeliv HTTP/1.1\r\nHost: x\r\nX-Mail-From: a@b.example\r\nX-Mail-To: c@chat.example\r\nContent-Length: 7\r\n\r\nhello\r\n";
export const mxdeliv = spoken({
  seeds: [
    delivery,
    delivery
      .replace("Content-Length: 7", "Transfer-Encoding: chunked")
      .replace("hello\r\n", "7\r\nhello\r\n\r\n0\r\n\r\n"),
  ],
  words: [
    ...httpWords,
    "X-Mail-To: d@chat.example\r\n",
    "X-Mail-To: d@other.example\r\n",
    "X-Mail-From: \r\n",
    "\r\n.\r\n",
    ".\r\n",
    "RCPT TO:<x@chat.example>\r\n",
  ],
  heavyBytes: 128 * 1024,
  heavy: {
    recipients: (bytes) =>
      latin1(`POST / HTTP/1.1\r\nHost: x\r\n${repeated("X-Mail-To: c@chat.example\r\n", bytes)}\r\n`),
  },
  splitsMatter: false,
  quietMs: 12,
  async serve(path, { onFailure }) {
    // our own SMTP server stands where Postfix does
    const smtpd = await openHttpsDelivery({
      port: 0,
      open: async () =>
        parcel((message) => {
          if (!/^(?:[^\r\n]*\r\n)+$/.test(message) || `\r\n${message}`.includes("\r\n.\r\n"))
            onFailure(new Broken("no message was handed on"));
        }),
      // a message given up half way ends the session
      onFailure: () => undefined,
      onProtocolError: (why) => onFailure(new Error(why)),
    });
    const metrics = new Metrics();
    const server = receiveServer({
      config,
      metrics,
      port: smtpd.port,
      onFailure: (thrown) => void (String(thrown).includes("aborted") || onFailure(thrown)),
    });
    await listenOn(server, path);
    return {
      async close() {
        await closeServer(server, 0, () => server.closeAllConnections());
        await smtpd.close(0);
      },
    };
  },
  normal: { says: delivery, hears: "200 OK" },
  stable: withoutDates,
});
