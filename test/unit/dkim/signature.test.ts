import { expect, test } from "vitest";
import { parseSignature, withoutSignatureData } from "../../../src/dkim/signature.ts";

const hash = "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=";
const good = { v: "1", a: "rsa-sha256", d: "Example.com", s: "Sel.a", h: "From : to", bh: hash, b: "YWJj" };

function parsed(change: Record<string, string | undefined>) {
  const tags = Object.entries({ ...good, ...change }).flatMap(([name, value]) =>
    value === undefined ? [] : `${name}=${value}`,
  );
  return parseSignature(` ${tags.join(";\r\n\t")}`);
}

test("all that a signature says, with the defaults of the RFC", () => {
  expect(parsed({})).toEqual({
    signature: {
      algorithm: "rsa-sha256",
      signature: Buffer.from("abc"),
      bodyHash: Buffer.from(hash, "base64"),
      headers: "simple",
      body: "simple",
      domain: "example.com",
      selector: "sel.a",
      identityDomain: "example.com",
      signedHeaders: ["from", "to"],
      bodyLength: undefined,
      expiresAt: undefined,
    },
  });
});

test.each([
  { change: { c: "relaxed" }, is: { headers: "relaxed", body: "simple" } },
  { change: { c: "Relaxed/RELAXED" }, is: { headers: "relaxed", body: "relaxed" } },
  { change: { c: "simple/relaxed" }, is: { headers: "simple", body: "relaxed" } },
  { change: { a: "Ed25519-SHA256" }, is: { algorithm: "ed25519-sha256" } },
  { change: { d: "_nine.example" }, is: { domain: "_nine.example", identityDomain: "_nine.example" } },
  { change: { i: "joe=40x@Sub.example.com" }, is: { identityDomain: "sub.example.com" } },
  { change: { i: "@example.com" }, is: { identityDomain: "example.com" } },
  { change: { i: "joe @\r\n example.com" }, is: { identityDomain: "example.com" } },
  { change: { l: "12" }, is: { bodyLength: 12 } },
  { change: { t: "1", x: "2" }, is: { expiresAt: 2 } },
  { change: { q: "dns/txt:other" }, is: {} },
  { change: { zz: "unknown", z: "From:a=20b|To:c" }, is: {} },
  { change: { h: "\r\n From\t:\r\n From : From:X" }, is: { signedHeaders: ["from", "from", "from", "x"] } },
])("accepted: $change", ({ change, is }) => {
  expect(parsed(change)).toMatchObject({ signature: is });
});

test.each([
  { change: { v: undefined }, problem: "version is not 1" },
  { change: { v: "2" }, problem: "version is not 1" },
  { change: { v: "1.0" }, problem: "version is not 1" },
  { change: { d: undefined }, problem: "no signing domain" },
  { change: { d: "" }, problem: "no signing domain" },
  { change: { d: "a..b" }, problem: "no signing domain" },
  { change: { d: "example.com." }, problem: "no signing domain" },
  { change: { d: "a/b" }, problem: "no signing domain" },
  { change: { d: "[1.2.3.4]" }, problem: "no signing domain" },
  { change: { d: `${"a".repeat(64)}.com` }, problem: "no signing domain" },
  { change: { d: "b\xfccher.example" }, problem: "no signing domain" },
  { change: { s: undefined }, problem: "no selector" },
  { change: { s: "a b" }, problem: "no selector" },
  { change: { a: undefined }, problem: "unknown algorithm" },
  { change: { a: "rsa-sha1" }, problem: "rsa-sha1 is too weak" },
  { change: { a: "rsa-sha512" }, problem: "unknown algorithm" },
  { change: { c: "nofws" }, problem: "unknown canonicalization" },
  { change: { c: "relaxed/simple/simple" }, problem: "unknown canonicalization" },
  { change: { c: "" }, problem: "unknown canonicalization" },
  { change: { q: "http" }, problem: "unknown query method" },
  { change: { b: undefined }, problem: "signature is not base64" },
  { change: { b: "" }, problem: "signature is not base64" },
  { change: { b: "%%%" }, problem: "signature is not base64" },
  { change: { bh: undefined }, problem: "body hash is not one of SHA-256" },
  { change: { bh: "YWJj" }, problem: "body hash is not one of SHA-256" },
  { change: { h: undefined }, problem: "header list is malformed" },
  { change: { h: "from::to" }, problem: "header list is malformed" },
  { change: { h: "from:a b" }, problem: "header list is malformed" },
  { change: { h: "to:subject" }, problem: "From is not signed" },
  { change: { i: "joe@example.org" }, problem: "identity is not of the signing domain" },
  { change: { i: "joe@notexample.com" }, problem: "identity is not of the signing domain" },
  { change: { i: "joe" }, problem: "identity is not of the signing domain" },
  { change: { i: "example.com" }, problem: "identity is not of the signing domain" },
  { change: { l: "-1" }, problem: "a number is malformed" },
  { change: { l: "1e3" }, problem: "a number is malformed" },
  { change: { t: "soon" }, problem: "a number is malformed" },
  { change: { x: "" }, problem: "a number is malformed" },
  { change: { t: "5", x: "5" }, problem: "expires before it begins" },
])("refused: $change", ({ change, problem }) => {
  expect(parsed(change)).toMatchObject({ problem });
});

test("what is wrong is said with the domain, where there is one", () => {
  expect(parsed({ a: "rsa-sha1" })).toEqual({ domain: "example.com", problem: "rsa-sha1 is too weak" });
  expect(parseSignature("nonsense")).toEqual({ domain: undefined, problem: "not a tag list" });
  expect(parseSignature("v=1; v=1")).toEqual({ domain: undefined, problem: "not a tag list" });
});

test.each([
  { value: " v=1; b=abc; d=x", without: " v=1; b=; d=x" },
  { value: " v=1; b=abc\r\n def== ", without: " v=1; b=" },
  { value: " v=1; bh=b=x; \r\n\tb = a b ; d=x", without: " v=1; bh=b=x; \r\n\tb =; d=x" },
  { value: "b=abc", without: "b=" },
  { value: " v=1; xb=abc; b=1", without: " v=1; xb=abc; b=" },
])("without the signature itself: $value", ({ value, without }) => {
  expect(withoutSignatureData(value)).toBe(without);
});
