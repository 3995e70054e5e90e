/** The pieces of the filter, each by a table. */
import { expect, test } from "vitest";
import { ArmorCheck } from "../../../../src/relay/mime/armor.ts";
import { authorOf } from "../../../../src/relay/mime/from.ts";
import { parseContentType } from "../../../../src/relay/mime/headers.ts";
import type { Sink } from "../../../../src/relay/mime/sink.ts";
import { undoTransferEncoding } from "../../../../src/relay/mime/transfer.ts";
import { encryptedMessage } from "../../../helpers/messages.ts";
import { randomFrom, seed } from "../random.ts";
import { authorsForOthers } from "./other-readers.ts";

test.each([
  ["a@b.example", "a@b.example"],
  ["<A@B.Example>", "a@b.example"],
  ['"a>b" <x@y>', "x@y"],
  ['"a\\"<b>" <x@y>', "x@y"],
  ['"Miller, Alice" <x@y>', "x@y"],
  ["Alice B. Miller <x@y>", "x@y"],
  ['"X@Y" <x@y>', "x@y"],
  ["\"'x@y'\" <x@y>", "x@y"],
  ['"@alice" <x@y>', "x@y"],
  ["MAILER-DAEMON@y (Mail Delivery System)", "mailer-daemon@y"],
  ["Alice <x@y> (at home)", "x@y"],
  ["x@[192.0.2.1]", "x@[192.0.2.1]"],
  ["<x@[IPv6:2001:db8::1]>", "x@[ipv6:2001:db8::1]"],
  ["\xc3\xa4 <x@y>", "x@y"],
  ["=?utf-8?q?J=C3=B6rg?= <x@y>", "x@y"],
  ["=?utf-8?q?M=C3=BCller=2C_J=C3=B6rg?= <x@y>", "x@y"],
  ["=?utf-8?q?x=40y?= <x@y>", "x@y"],
  [`${"a".repeat(64)}@b`, `${"a".repeat(64)}@b`],
])("From: %s is %s", (value, address) => expect(authorOf(value)).toBe(address));

test.each([
  ["nothing", ""],
  ["no address", "nobody"],
  ["two @", "a@b@c"],
  ["no local part", "@b"],
  ["no domain", "a@"],
  ["a space", "a b@c"],
  ["no end", "<a@b"],
  ["two brackets", "<<a@b>>"],
  ["two addresses without a comma", "<a@b> <c@d>"],
  ["text behind the address", "<a@b> c@d"],
  ["a name behind the address", "<a@b> Alice"],
  ["a source route", "<@c:a@b>"],
  ["an empty group", "Group:;"],
  ["a group of one", "Group: a@b;"],
  ["a group", "Group: a@b, c@d;"],
  ["an address as a group's name", "a@b: c@d;"],
  ["a quote without end", '"a@b'],
  ["a comment without end", "(a@b"],
  ["a NUL", "<a@b\x00>"],
  ["a CR", "Alice\r <a@b>"],
  ["a long local part", `${"a".repeat(65)}@b`],
  ["a long domain", `a@${"b".repeat(400)}`],
  ["a list", "a@b, c@d"],
  ["a list with an empty member", ", a@b"],
  ["a list that ends", "a@b,"],
  ["a list of one address twice", "a@b, a@b"],
  ["a list with semicolons", "a@b; c@d"],
  ["a comment before", "(c) a@b"],
  ["a comment inside", "a@(c)b"],
  ["a comment before the brackets", "Alice (c) <a@b>"],
  ["a comment with an address", "a@b (c@d)"],
  ["a nested comment", "a@b (c (d))"],
  ["a quoted local part", '"a"@b'],
  ["a quoted local part in brackets", '<"a b"@c>'],
  ["a local part with 8-bit letters", "\xc3\xa4@b"],
  ["a domain with 8-bit letters", "a@\xc3\xa4.b"],
  ["an encoded word as address", "=?utf-8?q?c=40d?=@b"],
  ["a domain that ends in a dot", "a@b."],
  ["an empty label", "a@b..c"],
  ["a literal without letters", "a@[:]"],
  ["an IPv6 literal that could be a group", "a@[IPv6:2001:db8::1]"],
  ["an IP address without brackets", "a@192.0.2.1"],
  ["another address as name", "c@d <a@b>"],
  ["another address as quoted name", '"c@d" <a@b>'],
  ["another address within a quoted name", '"Alice (c@d)" <a@b>'],
  ["another address in single quotes", `"'c@d' by list" <a@b>`],
  ["another address with escapes", '"c\\@d" <a@b>'],
  ["another address as encoded word", "=?utf-8?q?c=40d?= <a@b>"],
  ["another address as encoded word, base64", "=?utf-8?b?Y0Bk?= <a@b>"],
  ["another address, encoded in a quoted name", '"=?utf-8?q?c=40d?=" <a@b>'],
  ["another address in pieces", "=?utf-8?q?c=40?= =?utf-8?q?d?= <a@b>"],
  ["another address and a comma, encoded", "=?utf-8?q?c=40d=2C?= <a@b>"],
])("From has %s: no author", (_what, value) => expect(authorOf(value)).toBeUndefined());

test(`random From headers: the author is the one whom another reader finds, seed ${seed}`, () => {
  const random = randomFrom(seed);
  const letters = [
    ...["a", "b@c", "<", ">", "<a@b>", '"', "\\", "(", ")", ":", ";", ",", " ", "\t", "@", "\xff", "\0", "'", "."],
    ...["=?utf-8?q?", "=?x?b?", "YUBi", "=40", "?=", "_"],
  ];
  let found = 0;
  for (let round = 0; round < 50_000; round++) {
    const value = Array.from({ length: random.below(12) }, () => random.pick(letters)).join("");
    const author = authorOf(value);
    if (author === undefined) continue;
    found++;
    expect({ value, others: authorsForOthers(value) }).toEqual({ value, others: [author] });
  }
  expect(found).toBeGreaterThan(100);
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
  [`multipart/mixed${";".repeat(99)} boundary=a`, "multipart/mixed", "a"],
  [`multipart/mixed${";".repeat(101)} boundary=a`, "multipart/mixed", undefined],
  ["multipart/mixed; flowed; boundary=a", "multipart/mixed", undefined],
  ['multipart/mixed; boundary=a; name="b', "multipart/mixed", undefined],
])("Content-Type: %s", (value, type, boundary) => expect(parseContentType(value)).toMatchObject({ type, boundary }));

test.each([
  ["multipart/report; report-type=delivery-status; boundary=a", "delivery-status"],
  ['multipart/report; boundary=a; Report-Type = "Delivery-Status"', "delivery-status"],
  ["multipart/report; boundary=a", undefined],
  ["multipart/report; report-type=delivery-status; report-type=x; boundary=a", undefined],
  ["multipart/report; report-type*=delivery-status; boundary=a", undefined],
  ["multipart/report; report-typed=delivery-status; boundary=a", undefined],
])("%s reports %s", (value, reportType) => expect(parseContentType(value).reportType).toBe(reportType));

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

/**
 * The text that comes out, or undefined where the encoding is wrong; in one piece and byte by byte.
 */
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

test.each([
  ["in the data", (armor: string, ends: string) => armor.replace(/(?<=[A-Za-z0-9+/])\r\n(?=[A-Za-z0-9+/])/, ends)],
  ["behind it", (armor: string, ends: string) => armor + ends],
])("armor has some line ends in a row and not a thousand, %s", (_where, edit) => {
  const [, armor = ""] =
    /(-----BEGIN[\s\S]*END PGP MESSAGE-----\r\n)/.exec(encryptedMessage({ from: "a@b", to: ["c@d"] })) ?? [];
  const isArmor = (text: string) => {
    const check = new ArmorCheck();
    const bytes = Buffer.from(text, "latin1");
    return check.write(bytes, 0, bytes.length) && check.end();
  };
  expect([1, 10, 40, 1000].map((count) => isArmor(edit(armor, "\r\n".repeat(count))))).toEqual([
    true,
    true,
    true,
    false,
  ]);
});
