import { createConnection } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  maxQuestionBytes,
  NetstringReader,
  netstring,
  parseQuestion,
  renderAnswer,
} from "../../../../src/relay/wire/socketmap.ts";
import { openSocketmap } from "../../../../src/relay/wire/socketmap-server.ts";
import { until } from "../../../helpers/until.ts";
import { settings } from "../settings.ts";

const read = (...chunks: string[]) => {
  const reader = new NetstringReader();
  return chunks.flatMap((chunk) => reader.push(Buffer.from(chunk, "latin1")).map((each) => each.toString("latin1")));
};

describe("netstrings", () => {
  test.each([
    ["one", ["5:hello,"], ["hello"]],
    ["two at once", ["5:hello,3:you,"], ["hello", "you"]],
    ["an empty one", ["0:,"], [""]],
    ["one with commas and colons", ["7:a:1,b:2,"], ["a:1,b:2"]],
    ["an unfinished one", ["5:hel"], []],
  ])("%s", (_, chunks, found) => expect(read(...chunks)).toEqual(found));

  test("cut anywhere", () => {
    const text = "11:transport *,0:,5:hello,";
    for (let at = 0; at <= text.length; at++) {
      expect(read(text.slice(0, at), text.slice(at))).toEqual(["transport *", "", "hello"]);
    }
  });

  test.each(["x", ":", "-1:,", "05:hello,", "5:hello;", `${maxQuestionBytes + 1}:`, "99999999", " 1:a,", "\n"])(
    "%j is none",
    (text) => expect(() => read(text)).toThrow("netstring"),
  );

  test("random bytes end in an error or nothing", () => {
    for (let round = 0; round < 2000; round++) {
      const bytes = Buffer.from(Array.from({ length: 12 }, () => Math.floor(Math.random() * 64) + 30));
      try {
        new NetstringReader().push(bytes);
      } catch (thrown) {
        expect(thrown).toHaveProperty("name", "ProtocolError");
      }
    }
  });
});

test("a question is a table and a key, which may have blanks", () => {
  expect(parseQuestion(Buffer.from('transport "a b"@c'))).toEqual({ map: "transport", key: '"a b"@c' });
  expect(() => parseQuestion(Buffer.from("transport"))).toThrow();
  expect(() => parseQuestion(Buffer.from(" key"))).toThrow();
});

test.each([
  [{ kind: "ok", value: "smtp:x" } as const, "9:OK smtp:x,"],
  [{ kind: "notFound" } as const, "9:NOTFOUND ,"],
  [{ kind: "temporary", why: "later" } as const, "10:TEMP later,"],
])("%j is %s", (answer, text) => expect(renderAnswer(answer).toString()).toBe(text));

test("questions on one connection are answered in their order, a failure as temporary; nonsense ends the connection", async () => {
  const path = join(settings().runFolder, "map.sock");
  const failures: unknown[] = [];
  const server = await openSocketmap({
    path,
    answer: async ({ key }) => {
      if (key === "slow") await new Promise((resolve) => setTimeout(resolve, 30));
      if (key === "broken") throw new Error("bug");
      return { kind: "ok", value: key };
    },
    onFailure: (thrown) => failures.push(thrown),
    onProtocolError: (why) => failures.push(why),
  });
  const socket = createConnection(path);
  let said = "";
  let closed = false;
  socket.on("data", (chunk) => (said += chunk.toString()));
  socket.on("close", () => (closed = true));
  socket.write(Buffer.concat(["m slow", "m broken", "m c"].map(netstring)));
  await until("three answers", () => said.endsWith("OK c,"));
  expect(said).toBe("7:OK slow,35:TEMP the relay daemon has a problem,4:OK c,");
  socket.write("nonsense");
  await until("the end", () => closed);
  expect(failures).toHaveLength(2);
  await server.close(0);
});
