/** What Postfix is answered about the servers it could connect to. */
import { expect, test } from "vitest";
import { peerRule } from "../../../../src/pod/networks.ts";
import { unreachableDomain } from "../../../../src/pod/postfix.ts";
import { isNumericName, judgeDnsRecord, refusalOf } from "../../../../src/relay/route/peers-of-postfix.ts";

const may = peerRule({ allowed: ["198.51.100.0/24"] });

test.each([
  ["mx.a.example. 60 IN A 8.8.8.8", undefined],
  ["mx.a.example. 60 IN A 10.0.0.8", "IGNORE"],
  ["mx.a.example. 60 in a 127.0.0.1", "IGNORE"],
  ["mx.a.example. 60 IN A 198.51.100.7", undefined],
  ["mx.a.example. 60 IN AAAA 2606:4700::1", undefined],
  ["mx.a.example. 60 IN AAAA ::1", "IGNORE"],
  ["mx.a.example. 60 IN AAAA ::ffff:10.0.0.8", "IGNORE"],
  ["mx.a.example. 60 IN AAAA 64:ff9b::a00:8", "IGNORE"],
  ["mx.a.example. 60 IN A", "IGNORE"],
  ["a.example. 60 IN MX 10 mx.a.example.", undefined],
  ["a.example. 60 IN MX 0 .", undefined],
  ["a.example. 60 IN MX 10 10.0.0.8.", "IGNORE"],
  ["a.example. 60 IN MX 10 8.8.8.8.", "IGNORE"],
  ["a.example. 60 IN MX 10 10.8.", "IGNORE"],
  ["a.example. 60 IN MX 10 0x0a000008.", "IGNORE"],
  ["a.example. 60 IN MX 10 ::1.", "IGNORE"],
  ["a.example. 60 IN CNAME 10.0.0.8.", undefined],
  ["_25._tcp.a.example. 60 IN TLSA 3 1 1 AABB", undefined],
  ["", undefined],
] as const)("the record %j: %s", (text, answer) => {
  expect(judgeDnsRecord(text, may)).toBe(answer);
});

const refused = `error:${unreachableDomain}`;
test.each([
  ["a.example", undefined],
  ["_a.test", undefined],
  ["4you.example", undefined],
  ["a.4you", undefined],
  ["[8.8.8.8]", undefined],
  ["[IPv6:2606:4700::1]", undefined],
  ["[198.51.100.7]", undefined],
  ["[10.0.0.8]", refused],
  ["[127.0.0.1]", refused],
  ["[IPv6:::1]", refused],
  ["[IPv6:::ffff:10.0.0.8]", refused],
  ["[IPv6:64:ff9b::a00:8]", refused],
  ["[::1]", refused],
  // the C library reads these as 10.0.0.8
  ["[10.8]", refused],
  ["[167772168]", refused],
  ["[0x0a000008]", refused],
  ["[012.0.0.010]", refused],
  ["0x0a000008", refused],
  ["0xa.8", refused],
  ["10.8", refused],
  ["10.0.0.8", refused],
  ["167772168", refused],
  // a host without its MX records, and what only looks like an address
  ["[secret.svc.cluster.local]", refused],
  ["[IPv6:fe80::1%eth0]", refused],
  ["[8.8.8.8", refused],
  ["[8.8.8.8]:25", refused],
  ["[]", refused],
])("mail to x@%s: %s", (behindAt, answer) => {
  expect(refusalOf(behindAt, may)).toBe(answer);
});

test.each(["mx.example", "1.example", "x0", "0xg", "a.b0"])("%s is a name", (name) => {
  expect(isNumericName(name)).toBe(false);
});
