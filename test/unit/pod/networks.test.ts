/**
 * Which addresses a relay may connect to: every special range with its edges and spellings, and the
 * rule against plain arithmetic.
 */
import { expect, test } from "vitest";
import { nat64, peerRule, specialNetworks } from "../../../src/pod/networks.ts";
import { deniedPeers } from "../../../src/pod/turn.ts";
import { seededRandom } from "../../helpers/seeded-random.ts";

const may = peerRule();

test.each([
  "8.8.8.8",
  "9.255.255.255",
  "11.0.0.0",
  "100.63.255.255",
  "100.128.0.0",
  "126.255.255.255",
  "128.0.0.1",
  "169.253.255.255",
  "172.15.255.255",
  "172.32.0.0",
  "192.0.1.0",
  "192.167.255.255",
  "198.17.255.255",
  "198.20.0.0",
  "223.255.255.255",
  "2606:4700::1111",
  "2001:4860:4860::8888",
  "2001:200::1",
  "2003::1",
  "3ffe::1",
  "64:ff9b::8.8.8.8",
  "64:ff9b::808:808",
])("%s may be connected to", (address) => {
  expect(may(address)).toBe(true);
});

test.each([
  ["this host", "0.0.0.0"],
  ["this network", "0.1.2.3"],
  ["private", "10.0.0.8"],
  ["private", "172.31.255.255"],
  ["private", "192.168.1.1"],
  ["shared", "100.64.0.1"],
  ["loopback", "127.0.0.1"],
  ["loopback", "127.255.255.254"],
  ["cloud metadata", "169.254.169.254"],
  ["documentation", "192.0.2.1"],
  ["documentation", "198.51.100.7"],
  ["documentation", "203.0.113.9"],
  ["multicast", "224.0.0.1"],
  ["reserved", "240.0.0.1"],
  ["broadcast", "255.255.255.255"],
  ["unspecified", "::"],
  ["loopback", "::1"],
  ["compatible", "::10.0.0.8"],
  ["compatible, of a global address", "::8.8.8.8"],
  ["mapped", "::ffff:10.0.0.8"],
  ["mapped, in hexadecimal", "::ffff:a00:8"],
  ["mapped, of a global address", "::ffff:8.8.8.8"],
  ["NAT64 of a private address", "64:ff9b::10.0.0.8"],
  ["NAT64 of a loopback address, in hexadecimal", "64:ff9b::7f00:1"],
  ["NAT64 of one's own", "64:ff9b:1::808:808"],
  ["discard-only", "100::1"],
  ["Teredo", "2001:0:4136:e378:8000:63bf:3fff:fdd2"],
  ["ORCHIDv2", "2001:20::1"],
  ["documentation", "2001:db8::1"],
  ["documentation", "3fff::1"],
  ["6to4 of a private address", "2002:a00:8::1"],
  ["6to4", "2002:808:808::1"],
  ["segment routing", "5f00::1"],
  ["unique local", "fd12:3456::1"],
  ["link-local", "fe80::1"],
  ["site-local", "fec0::1"],
  ["multicast", "ff02::1"],
])("%s: %s may not", (_, address) => {
  expect(may(address)).toBe(false);
});

test.each([
  "10.8",
  "134744072",
  "0x08080808",
  "010.8.8.8",
  "08.8.8.8",
  "8.8.8.8.",
  " 8.8.8.8",
  "fe80::1%eth0",
  "2606:4700::1%1",
  "",
  "a.example",
])("%j is not an address and may not", (text) => {
  expect(may(text)).toBe(false);
});

test("what is listed as allowed may be connected to, in its own spelling alone; what is refused may not", () => {
  const rule = peerRule({
    allowed: ["198.51.100.0/24", "fd00:1::/64"],
    refused: ["8.8.0.0/16", "2606:4700::1", "198.51.0.0/16"],
  });
  expect(["198.51.100.7", "fd00:1::9", "64:ff9b::198.51.100.7", "9.9.9.9"].filter((each) => !rule(each))).toEqual([]);
  const refused = [
    "198.51.101.7",
    "fd00:1:0:1::9",
    "::ffff:198.51.100.7",
    "8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2606:4700::1",
  ];
  expect(refused.filter(rule)).toEqual([]);
});

test("a range that is not one is a mistake", () => {
  expect(() => peerRule({ allowed: ["10.0.0.0/33"] })).toThrow();
});

/** An address as a number, without the library. */
function numberOf(address: string): bigint {
  if (!address.includes(":")) return address.split(".").reduce((sum, each) => sum * 256n + BigInt(each), 0n);
  const [head = "", tail] = address.split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":"));
  const right = groups(tail ?? "");
  const left = groups(head);
  const middle = tail === undefined ? [] : Array<string>(8 - left.length - right.length).fill("0");
  return [...left, ...middle, ...right].reduce((sum, each) => sum * 65_536n + BigInt(`0x${each}`), 0n);
}

function bounds(range: string): [bigint, bigint] {
  const [network = "", bits = ""] = range.split("/");
  const size = 1n << BigInt((network.includes(":") ? 128 : 32) - Number(bits));
  const first = (numberOf(network) / size) * size;
  return [first, first + size - 1n];
}

const text4 = (value: bigint) => [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join(".");
const text6 = (value: bigint) =>
  Array.from({ length: 8 }, (_, at) => ((value >> BigInt(112 - at * 16)) & 65_535n).toString(16)).join(":");

test("the rule is the one of plain arithmetic, at the edges of each range and anywhere", () => {
  const seed = Date.now() % 1_000_000;
  const random = seededRandom(seed);
  const anywhere = (bits: number) => {
    let value = 0n;
    for (let at = 0; at < bits; at += 16) value = (value << 16n) | BigInt(Math.floor(random() * 65_536));
    return value;
  };
  const v4 = specialNetworks.ipv4.map(bounds);
  const v6 = specialNetworks.ipv6.map(bounds);
  const translated = bounds(nat64);
  const isIn = (value: bigint, ranges: readonly (readonly [bigint, bigint])[]) =>
    ranges.some(([first, last]) => value >= first && value <= last);
  const edges = (ranges: [bigint, bigint][]) => ranges.flatMap(([first, last]) => [first - 1n, first, last, last + 1n]);
  const within = (value: bigint, bits: bigint) => value >= 0n && value < 1n << bits;
  for (const value of [...edges(v4), ...Array.from({ length: 3000 }, () => anywhere(32))].filter((v) =>
    within(v, 32n),
  )) {
    expect(may(text4(value)), `${text4(value)} seed ${seed}`).toBe(!isIn(value, v4));
    const inside = translated[0] + value;
    expect(may(text6(inside)), `${text6(inside)} seed ${seed}`).toBe(!isIn(value, v4));
  }
  for (const value of [...edges(v6), ...Array.from({ length: 3000 }, () => anywhere(128))].filter((v) =>
    within(v, 128n),
  )) {
    if (isIn(value, [translated])) continue;
    expect(may(text6(value)), `${text6(value)} seed ${seed}`).toBe(!isIn(value, v6));
  }
});

test("what mail may not reach, calls may not either, except documentation's addresses", () => {
  const denied = deniedPeers.map((range) => range.split("-").map(numberOf) as [bigint, bigint]);
  const documentation = ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "3fff::/20"];
  const is6 = (text: string) => text.includes(":");
  for (const range of [...specialNetworks.ipv4, ...specialNetworks.ipv6].filter(
    (each) => !documentation.includes(each),
  )) {
    const [first, last] = bounds(range);
    const ofKind = deniedPeers.flatMap((each, at) =>
      is6(each) === is6(range) ? [denied[at] as [bigint, bigint]] : [],
    );
    // coturn refuses :: by a rule of its own, and 2001:db8::/32 is documentation's as well
    for (const value of [first === 0n && is6(range) ? 1n : first, last]) {
      if (range === "2001:db8::/32") continue;
      expect(
        ofKind.some(([from, to]) => value >= from && value <= to),
        `${range} ${value}`,
      ).toBe(true);
    }
  }
});
