import { createConnection } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Login } from "../../../../src/relay/accounts/accounts.ts";
import { localAddress } from "../../../../src/relay/domains.ts";
import { parseClientLine, parsePlain } from "../../../../src/relay/wire/sasl.ts";
import { openSasl } from "../../../../src/relay/wire/sasl-server.ts";
import type { SocketServer } from "../../../../src/relay/wire/socket-server.ts";
import { until } from "../../../helpers/until.ts";
import { dialogue } from "../dialogue.ts";
import { randomFrom, seed } from "../random.ts";
import { settings } from "../settings.ts";

const plain = (text: string) => Buffer.from(text).toString("base64");

test.each([
  ["\0a@b\0secret", { user: "a@b", password: "secret" }],
  ["a@b\0a@b\0secret", { user: "a@b", password: "secret" }],
  ["\0a@b\0", { user: "a@b", password: "" }],
  ['\0a@b\0pä"ss\\w x=y', { user: "a@b", password: 'pä"ss\\w x=y' }],
  ["A@b\0a@B\0secret", { user: "a@B", password: "secret" }],
  ["c@d\0a@b\0secret", undefined],
  ["", undefined],
  ["\0\0", undefined],
  ["\0a@b\0secret\0", undefined],
  ["\0\0secret", undefined],
  ["\0a@b", undefined],
  ["\0a@b\0x\0y", undefined],
])("PLAIN %j is %j", (text, expected) => expect(parsePlain(plain(text))).toEqual(expected));

test.each(["!", "a===", "\t", "=", "*", "AGFAYgBz ", "AGFAYgBzZQ", "AGFA=YgBz"])("PLAIN %j is no base64", (text) =>
  expect(parsePlain(text)).toBeUndefined(),
);

test.each([
  ["rip=192.0.2.7", "192.0.2.7"],
  ["rip=2001:db8::7", "2001:db8::7"],
  ["lip=192.0.2.1\trip=192.0.2.7\trport=40000", "192.0.2.7"],
  ["nologin\tlip=192.0.2.1", undefined],
  ["rip=", ""],
  ["trip=192.0.2.7", undefined],
])("of %j the client is %j", (parameters, client) =>
  expect(parseClientLine(`AUTH\t1\tPLAIN\tservice=smtp\t${parameters}\tresp=AA==`)).toMatchObject({ client }),
);

test(`random lines are understood or not, seed ${seed}`, () => {
  const random = randomFrom(seed);
  const words = ["AUTH", "VERSION", "CPID", "\t", "1", "PLAIN", "resp=", "rip=", "=", "\0", "x", ""];
  for (let round = 0; round < 5000; round++) {
    const line = parseClientLine(Array.from({ length: random.below(10) }, () => random.pick(words)).join(""));
    if (line.kind === "auth" && line.response !== undefined) parsePlain(line.response);
  }
});

describe("the server", () => {
  const config = settings();
  const failures: unknown[] = [];
  const protocolErrors: string[] = [];
  let server: SocketServer;

  const clients: (string | undefined)[] = [];
  async function login(user: string, password: string, client: string | undefined): Promise<Login> {
    clients.push(client);
    if (password === "trouble") throw new Error("no answer today");
    if (password === "too many") return { kind: "later", reason: "delayed", retryMs: 1_000 };
    const account = localAddress(config, user);
    if (!account) return { kind: "unknown" };
    return password === "right" ? { kind: "ok", account } : { kind: "wrongPassword" };
  }

  beforeEach(async () => {
    server = await openSasl({
      path: join(config.runFolder, "sasl.sock"),
      login,
      failureDelayMs: 0,
      onFailure: (thrown) => failures.push(thrown),
      onProtocolError: (why) => protocolErrors.push(why),
    });
  });
  afterEach(() => server.close(0));

  /** What it says first, with the parts that differ made alike. */
  const greeted = async (rest: string) => {
    const socket = createConnection(server.path);
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString();
    });
    await new Promise((resolve) => socket.once("data", resolve));
    socket.write(rest);
    await new Promise((resolve) => {
      socket.once("close", resolve);
      socket.end();
    });
    return text.replace(/(SPID|CUID)\t\d+/g, "$1\tN").replace(/[0-9a-f]{32}/, "COOKIE");
  };
  const hello = "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\tN\nCUID\tN\nCOOKIE\tCOOKIE\nDONE\n";

  test("greets at once", async () => expect(await greeted("")).toBe(hello));

  test("answers in order, right, wrong and unknown", async () => {
    const auth = (id: number, text: string) => `AUTH\t${id}\tPLAIN\tservice=smtp\tsecured\tresp=${plain(text)}\n`;
    const answers = await greeted(
      `VERSION\t1\t0\nCPID\t7\n${auth(1, "\0ABCdefghi@chat.example\0right")}${auth(2, "\0abcdefghi@chat.example\0no")}${auth(3, "\0x@elsewhere\0right")}`,
    );
    expect(answers).toBe(
      `${hello}OK\t1\tuser=abcdefghi@chat.example\nFAIL\t2\tuser=abcdefghi@chat.example\nFAIL\t3\tuser=x@elsewhere\n`,
    );
  });

  test("a wrong password, and one that is not checked now, are answered later, and hold up nobody else", async () => {
    const slow = await openSasl({
      path: join(config.runFolder, "slow.sock"),
      login,
      failureDelayMs: 3_600_000,
      onFailure: (thrown) => failures.push(thrown),
      onProtocolError: (why) => protocolErrors.push(why),
    });
    const said = ["no", "too many", "right"].map((password) => {
      const socket = createConnection(slow.path);
      const heard = { text: "", closed: false };
      socket.on("data", (chunk) => (heard.text += chunk.toString())).on("error", () => undefined);
      socket.on("close", () => (heard.closed = true));
      socket.write(`AUTH\t1\tPLAIN\tresp=${plain(`\0abcdefghi@chat.example\0${password}`)}\n`);
      return heard;
    });
    await until("the right one", () => /^OK\t1/m.test(said[2]?.text ?? ""));
    expect(said[0]?.text).not.toMatch(/^FAIL/m);
    expect(said.map(({ closed }) => closed)).toEqual([false, false, false]);
    await slow.close(0);
  });

  test("says who the client is, where Postfix does", async () => {
    clients.length = 0;
    const resp = plain("\0abcdefghi@chat.example\0right");
    await greeted(`AUTH\t1\tPLAIN\trip=192.0.2.7\tresp=${resp}\nAUTH\t2\tPLAIN\tresp=${resp}\n`);
    expect(clients).toEqual(["192.0.2.7", undefined]);
  });

  test("a user name can't break the line", async () => {
    const resp = plain("\0a@b\nOK\t1\tuser=admin@chat.example\0x");
    expect(await greeted(`AUTH\t1\tPLAIN\tresp=${resp}\n`)).toBe(`${hello}FAIL\t1\n`);
  });

  describe("without an initial response", () => {
    const resp = plain("\0abcdefghi@chat.example\0right");
    const begun = (id: number) => `AUTH\t${id}\tPLAIN\tservice=smtp\trip=192.0.2.7\n`;
    const right = (id: number) => `OK\t${id}\tuser=abcdefghi@chat.example\n`;

    test.each([
      { when: "the response follows", said: `${begun(1)}CONT\t1\t${resp}\n`, answer: `CONT\t1\t\n${right(1)}` },
      { when: "it is empty", said: `${begun(1)}CONT\t1\t\n`, answer: "CONT\t1\t\nFAIL\t1\n" },
      {
        when: "the response follows twice",
        said: `${begun(1)}${`CONT\t1\t${resp}\n`.repeat(2)}`,
        answer: `CONT\t1\t\n${right(1)}FAIL\t1\n`,
      },
      { when: "nothing was begun", said: `CONT\t1\t${resp}\n`, answer: "FAIL\t1\n" },
      { when: "another one was begun", said: `${begun(1)}CONT\t2\t${resp}\n`, answer: "CONT\t1\t\nFAIL\t2\n" },
      {
        when: "the client cancels and begins again",
        said: `${begun(1)}${begun(2)}CONT\t2\t${resp}\n`,
        answer: `CONT\t1\t\nCONT\t2\t\n${right(2)}`,
      },
      {
        when: "the one cancelled goes on",
        said: `${begun(1)}${begun(2)}CONT\t1\t${resp}\n`,
        answer: "CONT\t1\t\nCONT\t2\t\nFAIL\t1\n",
      },
    ])("$when", async ({ said, answer }) => expect(await greeted(said)).toBe(hello + answer));

    test("the client is the one that began", async () => {
      clients.length = 0;
      await greeted(`${begun(1)}CONT\t1\t${resp}\n`);
      expect(clients).toEqual(["192.0.2.7"]);
    });
  });

  test("an empty initial response is a failure, and another mechanism", async () => {
    expect(
      await greeted("AUTH\t1\tLOGIN\tresp=\nAUTH\t2\tPLAIN\tresp=\nAUTH\t3\tPLAIN\tresp==\nAUTH\t4\tLOGIN\n"),
    ).toBe(`${hello}FAIL\t1\nFAIL\t2\nFAIL\t3\nFAIL\t4\n`);
  });

  test("a response as long as Postfix passes it is a failure, not trouble", async () => {
    protocolErrors.length = 0;
    expect(await greeted(`AUTH\t1\tPLAIN\tresp=${"A".repeat(12_288)}\n`)).toBe(`${hello}FAIL\t1\n`);
    expect(protocolErrors).toEqual([]);
  });

  test("trouble closes the connection: Postfix says 454 and not 535", async () => {
    failures.length = 0;
    const resp = plain("\0abcdefghi@chat.example\0trouble");
    expect(await greeted(`AUTH\t1\tPLAIN\tresp=${resp}\n`)).toBe(hello);
    expect(failures).toHaveLength(1);
  });

  test.each([
    "NONSENSE\n",
    "VERSION\t2\t0\n",
    "AUTH\tx\tPLAIN\n",
    "CONT\n",
    "CONT\t1\n",
    "CONT\tx\t\n",
    `${"x".repeat(17_000)}\n`,
  ])("a broken protocol ends it", async (text) => {
    protocolErrors.length = 0;
    await greeted(text).catch(() => undefined);
    expect(protocolErrors).toHaveLength(1);
  });

  test("stopping waits for an answer that is owed", async () => {
    const seen = greeted(`AUTH\t1\tPLAIN\tresp=${plain("\0abcdefghi@chat.example\0right")}\n`);
    expect(await seen).toContain("OK\t1");
    await server.close(1000);
    await expect(dialogue(server.path, "C: x\nS: x")).rejects.toThrow();
  });
});
