import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { bodyHasher, type Canonicalization, canonicalHeader, withCrlf } from "../../../src/dkim/canonical.ts";
import { seededRandom } from "../../helpers/seeded-random.ts";
import { chunks } from "./messages.ts";

const sha256 = (text: string) => createHash("sha256").update(Buffer.from(text, "latin1")).digest("base64");

function hashed(kind: Canonicalization, body: string, cut?: () => number) {
  const hasher = bodyHasher(kind);
  for (const chunk of chunks(body, cut)) hasher.write(chunk);
  const { hash, length } = hasher.finish();
  return { hash: hash.toString("base64"), length };
}

describe("headers", () => {
  test.each([
    // RFC 6376 §3.4.5, example 1
    { name: "A", value: " X\r\n", relaxed: "a:X\r\n" },
    { name: "B ", value: " Y\t\r\n\tZ  ", relaxed: "b:Y Z\r\n" },
    { name: "Subject", value: "", relaxed: "subject:\r\n" },
    { name: "Subject", value: " \t ", relaxed: "subject:\r\n" },
    { name: "Subject", value: "none", relaxed: "subject:none\r\n" },
    { name: "SUBJect", value: " AbC", relaxed: "subject:AbC\r\n" },
    { name: "Subject", value: "\r\n a", relaxed: "subject:a\r\n" },
    { name: "Subject", value: " a\r\n ", relaxed: "subject:a\r\n" },
    { name: "Subject", value: " a \t\r\n \tb", relaxed: "subject:a b\r\n" },
    { name: "Subject", value: " \xa0caf\xe9\xa0 ", relaxed: "subject:\xa0caf\xe9\xa0\r\n" },
    { name: "Subject\t ", value: "  x : y ", relaxed: "subject:x : y\r\n" },
    { name: "Subject", value: " a\rb\vc\f", relaxed: "subject:a\rb\vc\f\r\n" },
  ])("relaxed of $name:$value", ({ name, value, relaxed }) => {
    expect(canonicalHeader("relaxed", name, value)).toBe(relaxed);
  });

  test("simple is as it was", () => {
    expect(canonicalHeader("simple", "SubJect ", "\t a\r\n  b ")).toBe("SubJect :\t a\r\n  b \r\n");
  });

  test("folds of a milter become those of the wire", () => {
    expect(withCrlf(" a\n b\r\n c\rd")).toBe(" a\r\n b\r\n c\rd");
  });
});

const bodies: { body: string; simple: string; relaxed: string }[] = [
  { body: "", simple: "\r\n", relaxed: "" },
  { body: "\r\n", simple: "\r\n", relaxed: "" },
  { body: "\r\n\r\n\r\n", simple: "\r\n", relaxed: "" },
  // RFC 6376 §3.4.5
  { body: " C \r\nD \t E\r\n\r\n\r\n", simple: " C \r\nD \t E\r\n", relaxed: " C\r\nD E\r\n" },
  { body: "a", simple: "a\r\n", relaxed: "a\r\n" },
  { body: "a\r\n", simple: "a\r\n", relaxed: "a\r\n" },
  { body: "a\r\n\r\nb\r\n", simple: "a\r\n\r\nb\r\n", relaxed: "a\r\n\r\nb\r\n" },
  { body: "\r\n\r\na", simple: "\r\n\r\na\r\n", relaxed: "\r\n\r\na\r\n" },
  { body: " \r\n\t\r\n", simple: " \r\n\t\r\n", relaxed: "" },
  { body: "  ", simple: "  \r\n", relaxed: "" },
  { body: "a \r\n \r\n", simple: "a \r\n \r\n", relaxed: "a\r\n" },
  { body: "a  \tb  ", simple: "a  \tb  \r\n", relaxed: "a b\r\n" },
  { body: "\ta", simple: "\ta\r\n", relaxed: " a\r\n" },
  { body: "a\r\r\n", simple: "a\r\r\n", relaxed: "a\r\r\n" },
  { body: "a\r", simple: "a\r\r\n", relaxed: "a\r\r\n" },
  { body: "a \r", simple: "a \r\r\n", relaxed: "a \r\r\n" },
  { body: "a\r b\n\n", simple: "a\r b\n\n\r\n", relaxed: "a\r b\n\n\r\n" },
  { body: "\xe9\xa0\xff \xa0\r\n", simple: "\xe9\xa0\xff \xa0\r\n", relaxed: "\xe9\xa0\xff \xa0\r\n" },
  { body: "\r\n \r\r\n\r\n", simple: "\r\n \r\r\n", relaxed: "\r\n \r\r\n" },
];

const shownBodies = bodies.map((each) => ({ ...each, shown: JSON.stringify(each.body) }));

describe.each(shownBodies)("body $shown", ({ body, simple, relaxed }) => {
  test.each([1, 2, 3, 5, 1000])("in pieces of %i", (size) => {
    expect(hashed("simple", body, () => size)).toEqual({ hash: sha256(simple), length: simple.length });
    expect(hashed("relaxed", body, () => size)).toEqual({ hash: sha256(relaxed), length: relaxed.length });
  });
});

// RFC 6376 §3.4.3 and §3.4.4
test("hashes of an empty body that the RFC names", () => {
  expect(hashed("simple", "").hash).toBe("frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=");
  expect(hashed("relaxed", "").hash).toBe("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
});

/** The RFC's words as regular expressions over the whole body. */
function whole(kind: Canonicalization, body: string): string {
  if (kind === "simple") return `${body.replace(/(?:\r\n)*$/, "")}\r\n`;
  const lines = body.split("\r\n").map((line) => line.replace(/[ \t]+/g, " ").replace(/ $/, ""));
  const text = lines.join("\r\n").replace(/(?:\r\n)*$/, "");
  return text === "" ? "" : `${text}\r\n`;
}

test("streamed is the same as whole, for random bodies and cuts", () => {
  const seed = Date.now() % 1_000_000;
  const random = seededRandom(seed);
  const pieces = ["\r\n", "\r\n", "\r", "\n", " ", "\t", "a", "bcd", "\xe9", " \r\n", "\r\n\r\n"];
  for (let round = 0; round < 3000; round++) {
    let body = "";
    for (let left = random() * 20; left > 0; left--) body += pieces[Math.floor(random() * pieces.length)];
    for (const kind of ["simple", "relaxed"] as const) {
      const cut = () => Math.floor(random() * 4) + 1;
      const where = `seed ${seed}, ${kind} of ${JSON.stringify(body)}`;
      expect(hashed(kind, body, cut).hash, where).toBe(sha256(whole(kind, body)));
    }
  }
});

test("a million empty lines that turn out not to be at the end are hashed, in little memory", () => {
  const body = `${"\r\n".repeat(1_000_000)}a`;
  expect(hashed("simple", body).hash).toBe(sha256(`${body}\r\n`));
  expect(hashed("relaxed", body).hash).toBe(sha256(`${body}\r\n`));
});
