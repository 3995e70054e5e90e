/**
 * The loop that all socket servers have. Peers that ask and do not read, and transactions that
 * never end, cost bounded memory.
 */
import { mkdtempSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { LastAnswer, ProtocolError } from "../../../../src/relay/wire/conversation.ts";
import { openDict } from "../../../../src/relay/wire/dict-server.ts";
import { openSocketServer, type SocketServer } from "../../../../src/relay/wire/socket-server.ts";
import { until } from "../../../helpers/until.ts";
import { dialogue } from "../dialogue.ts";

let server: SocketServer;
let lookups = 0;
let sets = 0;

beforeEach(async () => {
  lookups = 0;
  sets = 0;
  server = await openDict({
    path: join(mkdtempSync(join(tmpdir(), "in-turn-")), "dict.sock"),
    answers: {
      async lookup() {
        lookups++;
        return "x".repeat(10_000);
      },
      async set() {
        sets++;
        return undefined;
      },
      unset: async () => undefined,
    },
    onFailure: (thrown) => expect.fail(String(thrown)),
    onProtocolError: (why) => expect.fail(why),
  });
});
afterEach(() => server.close(0));

test("who does not read its answers is not read", async () => {
  const asked = 5_000;
  const socket = connect(server.path);
  socket.pause();
  socket.write("Lk\tu\n".repeat(asked));
  await until("the first answers", () => lookups > 0);
  let before = -1;
  await until("no more of them", async () => {
    if (before === lookups) return true;
    before = lookups;
    await sleep(50);
    return false;
  });
  expect(lookups).toBeLessThan(1000);

  let received = 0;
  socket.on("data", (chunk) => (received += chunk.length)).resume();
  await until("all of them, once it reads", () => received === asked * 10_002);
  socket.destroy();
});

test("transactions of more than a MiB are forgotten, and others go on", async () => {
  const large = "v".repeat(60_000);
  await dialogue(
    server.path,
    ["C: B1\\tu", ...Array<string>(20).fill(`C: S1\\tk\\t${large}`), "C: C1", "S: F1\\tno such transaction"].join("\n"),
  );
  expect(sets).toBe(0);
  await dialogue(server.path, ["C: B1\\tu", "C: S1\\tk\\tv", "C: C1", "S: O"].join("\n"));
  expect(sets).toBe(1);
});

describe("one conversation", () => {
  const heard: unknown[] = [];
  const asked: string[] = [];
  const ended = vi.fn();
  let server: SocketServer | undefined;

  /**
   * Answers `slow` late and `long` with a MiB, ends at `bye`, fails at `bug`, and `raw` makes what
   * comes next one question of four bytes.
   */
  async function talk(greeting?: string): Promise<Socket> {
    heard.length = 0;
    asked.length = 0;
    ended.mockClear();
    const options = {
      at: join(mkdtempSync(join(tmpdir(), "talk-")), "s"),
      onFailure: (thrown: unknown) => heard.push(thrown),
      onProtocolError: (why: string) => heard.push(why),
    };
    server = await openSocketServer<string>(options, () => {
      let rest = "";
      let raw = false;
      return {
        ...(greeting !== undefined && { greeting }),
        *questions(chunk) {
          rest += chunk.toString();
          for (;;) {
            const end = raw ? 4 : rest.indexOf("\n");
            if (end < 0 || rest.length < end) return;
            const [question, behind] = [rest.slice(0, end), rest.slice(raw ? end : end + 1)];
            rest = behind;
            if (question === "nonsense") throw new ProtocolError("not understood");
            yield question;
          }
        },
        async answer(question) {
          asked.push(question);
          if (question === "slow") await sleep(50);
          if (question === "bug") throw new Error("bug");
          if (question === "bye") return new LastAnswer("gone\n");
          if (question === "long") return "x".repeat(1 << 20);
          raw = question === "raw";
          return `${question}!\n`;
        },
        ended,
      };
    });
    return connect(server.path);
  }
  afterEach(() => server?.close(0));

  async function said(socket: Socket): Promise<string> {
    let text = "";
    for await (const chunk of socket) text += chunk;
    return text;
  }

  test.each([
    { what: "questions in their order", says: "slow\na\nbye\n", answers: "slow!\na!\ngone\n" },
    { what: "nothing behind the last words", says: "a\nbye\nb\n", answers: "a!\ngone\n" },
    {
      what: "a question whose form the answer before it decides",
      says: "raw\na\nb\nbye\n",
      answers: "raw!\na\nb\n!\ngone\n",
    },
  ])("answers $what", async ({ says, answers }) => {
    const socket = await talk("hello\n");
    socket.write(says);
    expect(await said(socket)).toBe(`hello\n${answers}`);
    await until("the end", () => ended.mock.calls.length === 1);
    expect(heard).toEqual([]);
  });

  test("a long answer is whole before the connection ends", async () => {
    const socket = await talk();
    socket.write("long\nbye\n");
    expect((await said(socket)).length).toBe((1 << 20) + 5);
    await until("the end", () => ended.mock.calls.length === 1);
  });

  test.each([
    { what: "a failure of ours", says: "bug\n", reported: new Error("bug") },
    { what: "a broken protocol", says: "nonsense\n", reported: "not understood" },
  ])("$what ends the connection and is reported once", async ({ says, reported }) => {
    const socket = await talk();
    socket.write(`${says}a\n`);
    expect(await said(socket)).toBe("");
    await until("the end", () => ended.mock.calls.length === 1);
    expect(heard).toEqual([reported]);
  });

  test("a peer that leaves before its answer is nobody's failure", async () => {
    const socket = await talk();
    socket.write("slow\n");
    await until("the question", () => asked.includes("slow"));
    socket.destroy();
    await until("the end", () => ended.mock.calls.length === 1);
    expect(heard).toEqual([]);
  });

  test("closing waits for the answer that is on its way, and for no other peer", async () => {
    const idle = await talk();
    const asking = connect(server?.path ?? "");
    asking.write("slow\nnever\n");
    await until("the question", () => asked.includes("slow"));
    await server?.close(5000);
    expect(await said(asking)).toContain("slow!\n");
    expect(await said(idle)).toBe("");
  });
});
