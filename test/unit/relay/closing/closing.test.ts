import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LastMail } from "../../../../src/relay/closing/last-mail.ts";
import { UntilClosing } from "../../../../src/relay/closing/until-closing.ts";
import type { Judgement, MessageFilter } from "../../../../src/relay/wire/milter-server.ts";
import { until } from "../../../helpers/until.ts";

const log = pino({ level: "silent" });

const accepted: Judgement = { reply: { kind: "accept" }, modifications: [] };

function aFilter(end: () => Promise<Judgement> = async () => accepted): MessageFilter {
  return { recipient: async () => undefined, header() {}, endOfHeaders() {}, body() {}, endOfMessage: end };
}

const refusal = "451 4.3.2 This server is being shut down and accepts no more mail";

test("from the moment the server closes every message is refused for now, also one that was begun before", async () => {
  const settings = { closing: false };
  const filter = new UntilClosing(aFilter(), settings);
  expect(await filter.recipient("a@b.test")).toBeUndefined();
  expect(await filter.endOfMessage()).toEqual(accepted);
  settings.closing = true;
  expect(await filter.recipient("a@b.test")).toBe(refusal);
  expect(await filter.endOfMessage()).toMatchObject({ reply: { kind: "reply", text: refusal } });
});

test("one that waits for its turn while the server closes is refused", async () => {
  const settings = { closing: false };
  const turn = Promise.withResolvers<Judgement>();
  const judged = new UntilClosing(
    aFilter(() => turn.promise),
    settings,
  ).endOfMessage();
  settings.closing = true;
  turn.resolve(accepted);
  expect(await judged).toMatchObject({ reply: { text: refusal } });
});

let folder = "";
let pipe = -1;
let watched: LastMail | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "closing-"));
  execFileSync("mkfifo", [join(folder, "reload-postfix.pipe")]);
  pipe = openSync(join(folder, "reload-postfix.pipe"), constants.O_RDWR | constants.O_NONBLOCK);
});
afterEach(() => {
  watched?.stop();
  closeSync(pipe);
  rmSync(folder, { recursive: true, force: true });
});

/** Plays Postfix's container: answers what it was asked last, with the next of these counts. */
function answering(counts: (number | undefined)[]) {
  const lines: string[] = [];
  const answer = () => {
    const bytes = Buffer.alloc(4096);
    let read = 0;
    try {
      read = readSync(pipe, bytes);
    } catch {
      return;
    }
    lines.push(...bytes.toString("utf8", 0, read).trim().split("\n"));
    const messages = counts.length > 1 ? counts.shift() : counts[0];
    const round = Number(lines.at(-1)?.split(" ")[1]);
    if (messages !== undefined) writeFileSync(join(folder, "queue.json"), JSON.stringify({ round, messages }));
  };
  return { lines, answer };
}

test("a server that goes on asks nothing and reports nothing", () => {
  watched = new LastMail({ settings: { runFolder: folder }, log });
  watched.follow();
  expect(watched.status()).toBeUndefined();
  expect(() => readSync(pipe, Buffer.alloc(10))).toThrow("EAGAIN");
});

test("one that closes has its queue sent and counted; it is empty when it was so twice", async () => {
  const settings = { runFolder: folder, closing: true };
  watched = new LastMail({ settings, log, everyMs: 20 });
  const { lines, answer } = answering([undefined, 2, 0, 1, 0, 0]);
  const seen: (number | undefined)[] = [];
  watched.follow();
  expect(watched.status()).toEqual({});
  await until("it to be empty", () => {
    answer();
    const left = watched?.status()?.left;
    if (seen.at(-1) !== left) seen.push(left);
    return left === 0;
  });
  expect(lines[0]).toBe("flush 1");
  expect(lines[1]).toBe("count 2");
  expect(seen.filter((each) => each !== undefined)).toEqual([2, 1, 0]);
  settings.closing = false;
  watched.follow();
  expect(watched.status()).toBeUndefined();
});

test("a report of an earlier round, or one that can't be read, is none", async () => {
  const settings = { runFolder: folder, closing: true };
  writeFileSync(join(folder, "queue.json"), JSON.stringify({ round: -1, messages: 0 }));
  watched = new LastMail({ settings, log, everyMs: 20 });
  watched.follow();
  const { lines, answer } = answering([undefined]);
  await until("some rounds", () => {
    answer();
    return lines.length >= 3;
  });
  writeFileSync(join(folder, "queue.json"), "{");
  await until("some more", () => {
    answer();
    return lines.length >= 6;
  });
  expect(watched.status()).toEqual({});
});
