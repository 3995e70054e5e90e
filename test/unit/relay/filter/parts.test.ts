/** The pieces of the filter, each by a table. */
import { expect, test } from "vitest";
import { firstAddress } from "../../../../src/relay/filter/from.ts";
import { parseContentType } from "../../../../src/relay/filter/headers.ts";
import type { Sink } from "../../../../src/relay/filter/sink.ts";
import { undoTransferEncoding } from "../../../../src/relay/filter/transfer.ts";
import { randomFrom, seed } from "../random.ts";

test.each([
  ["a@b.example", "a@b.example"],
  ["<A@B.Example>", "a@b.example"],
  ['"a>b" <x@y>', "x@y"],
  ['"a\\"<c@d>" <x@y>', "x@y"],
  ["(c <c@d>) x@y (e)", "x@y"],
  ["(nested (c@d)) <x@y>", "x@y"],
  ["c@d <x@y>", "x@y"],
  ["x@y, c@d", "x@y"],
  [", x@y", "x@y"],
  ["Group: x@y, c@d;", "x@y"],
  ["Group: Name <x@y>;, c@d", "x@y"],
  ["x@[192.0.2.1]", "x@[192.0.2.1]"],
  ['"j d"@y', '"j d"@y'],
  ["\xc3\xa4 <x@y>", "x@y"],
  ["=?utf-8?q?a=40b?= <x@y>", "x@y"],
])("From: %s is %s", (value, address) => expect(firstAddress(value)).toBe(address));

test.each([
  "",
  "nobody",
  "a@b@c",
  "@b",
  "a@",
  "a b@c",
  "<a@b",
  "<<a@b>>",
  "<a@b> <c@d>",
  "<a@b> c@d",
  "<@c:a@b>",
  "Group:;",
  "a@b: c@d;",
  '"a@b',
  "(a@b",
  "<a@b\x00>",
  `${"a".repeat(400)}@b`,
])("From: %j has no address", (value) => expect(firstAddress(value)).toBeUndefined());

test(`random From headers end in an address or none, seed ${seed}`, () => {
  const random = randomFrom(seed);
  const letters = ["a", "b@c", "<", ">", '"', "\\", "(", ")", ":", ";", ",", " ", "\t", "@", "\xff", "\0"];
  for (let round = 0; round < 20_000; round++) {
    const value = Array.from({ length: random.below(12) }, () => random.pick(letters)).join("");
    const address = firstAddress(value);
    if (address !== undefined) expect(address).toMatch(/^("[^\r\n]*"|[^@\s]+)@[^@\s]+$/s);
  }
});

test.each([
  [undefined, "text/plain", undefined],
  ["multipart/mixed; boundary=abc", "multipart/mixed", "abc"],
  ['MULTIPART/Mixed ; charset=x; Boundary = "a; b"', "multipart/mixed", "a; b"],
  ['multipart/mixed; boundary="a\\"b"', "multipart/mixed", 'a"b'],
  ["multipart/mixed;\n\tboundary=abc", "multipart/mixed", "abc"],
  ["multipart/mixed; boundary=a b", "multipart/mixed", undefined],
  ["multipart/mixed; boundary=", "multipart/mixed", undefined],
  ['multipart/mixed; boundary="a', "multipart/mixed", undefined],
  ["multipart/mixed; boundary=a; boundary=b", "multipart/mixed", undefined],
  ["multipart/mixed; boundary*=a", "multipart/mixed", undefined],
  [`multipart/mixed; boundary=${"a".repeat(300)}`, "multipart/mixed", undefined],
  ['multipart/mixed; name="boundary=b"; boundary=a', "multipart/mixed", "a"],
  ["multipart/mixed; boundary=a;", "multipart/mixed", "a"],
  ['multipart/mixed; "; boundary=b"; boundary=a', "multipart/mixed", undefined],
  ["multipart/mixed; flowed; boundary=a", "multipart/mixed", undefined],
  ['multipart/mixed; boundary=a; name="b', "multipart/mixed", undefined],
])("Content-Type: %s", (value, type, boundary) => expect(parseContentType(value)).toEqual({ type, boundary }));

class Collected implements Sink {
  text = "";
  write(bytes: Uint8Array, start: number, end: number) {
    this.text += Buffer.from(bytes.subarray(start, end)).toString("latin1");
    return true;
  }
  end() {
    return true;
  }
}

/** The text that comes out, or undefined where the encoding is wrong; in one piece and byte by byte. */
function undone(encoding: string, text: string): string | undefined {
  const bytes = Buffer.from(text, "latin1");
  const results = [bytes.length, 1].map((size) => {
    const collected = new Collected();
    const sink = undoTransferEncoding(encoding, collected);
    for (let at = 0; at < bytes.length; at += size) if (!sink?.write(bytes, at, at + size)) return undefined;
    return sink?.end() ? collected.text : undefined;
  });
  expect(results[1]).toBe(results[0]);
  return results[0];
}

test.each([
  ["7bit", "a=3Db\r\n", "a=3Db\r\n"],
  ["Base64", "aGVsbG8=\r\n", "hello"],
  ["base64", "aGVs\r\nbG8h", "hello!"],
  ["base64", "aGVs bG8h\t", "hello!"],
  ["base64", "aA==", "h"],
  ["base64", "", ""],
  ["base64", "aGVsbG8", undefined],
  ["base64", "aGVsbG9=", undefined],
  ["base64", "aGVsbG8==", undefined],
  ["base64", "aB==", undefined],
  ["base64", "aGVsbG8=aGVs", undefined],
  ["base64", "aGVs-G8h", undefined],
  ["quoted-printable", "a=3Db=\r\nc", "a=bc"],
  ["quoted-printable", "a \t \r\nb", "a\r\nb"],
  ["quoted-printable", "a  b", "a  b"],
  ["quoted-printable", "a=3d", "a="],
  ["quoted-printable", "a=", "a"],
  ["quoted-printable", "a=4", undefined],
  ["quoted-printable", "a=xy", undefined],
  ["quoted-printable", "a=\rb", undefined],
  ["x-uuencode", "a", undefined],
])("%s %j is %j", (encoding, text, expected) => expect(undone(encoding, text)).toBe(expected));
