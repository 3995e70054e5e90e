import { expect, test } from "vitest";
import { Content } from "../../../../src/relay/mailbox/content.ts";
import { randomFrom, seed } from "../random.ts";

function stuffed(headers: readonly [string, string][], ...body: string[]): string {
  const content = new Content();
  for (const [name, value] of headers) content.header(name, value);
  for (const chunk of body) content.body(Buffer.from(chunk, "latin1"));
  return content.stuffed().toString("latin1");
}

/** What a server makes of it. */
const unstuffed = (text: string) => text.replace(/\r\n\.\r\n$/, "\r\n").replace(/^\./gm, "");

test("a message is written as it came, with a line of a dot at its end", () => {
  const headers: [string, string][] = [
    ["From", " <a@b.org>"],
    ["Subject", " one\n two\r\n\tthree"],
  ];
  expect(stuffed(headers, "text\r\n", "more\r\n")).toBe(
    "From: <a@b.org>\r\nSubject: one\r\n two\r\n\tthree\r\n\r\ntext\r\nmore\r\n.\r\n",
  );
});

test.each([
  ["no line end at its end", "text", "text\r\n.\r\n"],
  ["no body", "", ".\r\n"],
  ["a dot", ".", "..\r\n.\r\n"],
  ["lines that begin with dots", ".a\r\n..\r\n\r\n.\r\nb.\r\n", "..a\r\n...\r\n\r\n..\r\nb.\r\n.\r\n"],
])("a body with %s", (_, body, expected) => expect(stuffed([["A", " b"]], body)).toBe(`A: b\r\n\r\n${expected}`));

test("a dot at the beginning of a part is one in the text", () =>
  expect(stuffed([], "a\r\n", ".b", ".c\r\n")).toBe("\r\na\r\n..b.c\r\n.\r\n"));

test("what delivery takes away is left out, however it is spelt", () =>
  expect(
    stuffed([
      ["DKIM-Signature", " x"],
      ["received", " x"],
      ["Authentication-results ", " x"],
      ["Received-SPF", " y"],
    ]),
  ).toBe("Received-SPF: y\r\n\r\n.\r\n"));

test("bytes stay as they are, and are counted", () => {
  const content = new Content();
  content.header("X", " \xe4");
  content.body(Buffer.from([0xff, 0x00]));
  expect(content.bytes).toBe(8);
  expect(content.stuffed().toString("latin1")).toBe("X: \xe4\r\n\r\n\xff\0\r\n.\r\n");
});

test(`a server reads what was written, seed ${seed}`, () => {
  const random = randomFrom(seed);
  for (let round = 0; round < 2000; round++) {
    const parts = Array.from({ length: random.below(12) }, () =>
      random.pick([".", "..", "\r\n", "x", ".\r\n", "\r\n."]),
    );
    const text = `${parts.join("")}\r\n`;
    const written = stuffed([], ...parts, "\r\n");
    expect(written.indexOf("\r\n.\r\n")).toBe(written.length - 5);
    expect(unstuffed(written)).toBe(`\r\n${text}`);
  }
});
