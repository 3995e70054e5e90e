/** The filter's and DKIM's pure pieces, each alone, so that inputs reach deep at once. */
import { X509Certificate } from "node:crypto";
import { rootCertificates } from "node:tls";
import { judgeCertificate } from "../../src/certificates/judge.ts";
import { certificatesIn, joinedPem, readPair } from "../../src/certificates/pair.ts";
import { Roots } from "../../src/certificates/roots.ts";
import { makeSelfSigned } from "../../src/certificates/self-signed.ts";
import { bodyHasher, canonicalHeader } from "../../src/dkim/canonical.ts";
import { parseKeyRecord } from "../../src/dkim/key-record.ts";
import { parseSignature, withoutSignatureData } from "../../src/dkim/signature.ts";
import { parseResponse, renderQuery } from "../../src/dns/message.ts";
import { DnsFormatError } from "../../src/dns/wire.ts";
import { inviteTokenIn } from "../../src/mail/invite.ts";
import { DataEnd } from "../../src/relay/deliver/protocol.ts";
import { isInvite, provesInvite } from "../../src/relay/invites/policy.ts";
import { appVersions } from "../../src/relay/metadata/app-versions.ts";
import { maxTokens, metadataKey, parseTokens, withTokens } from "../../src/relay/metadata/policy.ts";
import { ArmorCheck } from "../../src/relay/mime/armor.ts";
import { authorOf } from "../../src/relay/mime/from.ts";
import { parseContentType } from "../../src/relay/mime/headers.ts";
import { PacketWalk } from "../../src/relay/mime/packets.ts";
import type { Sink } from "../../src/relay/mime/sink.ts";
import { DataForm } from "../../src/relay/receive/policy.ts";
import { parseStsPolicy, stsAllows, stsId } from "../../src/relay/route/sts.ts";
import { authorsForOthers } from "../unit/relay/filter/other-readers.ts";
import { isArmored, isEncryptedPackets } from "../unit/relay/filter/reference.ts";
import type { Random } from "../unit/relay/random.ts";
import { Broken, latin1, type Outcome, plainRulesUpTo, repeated, same, split, type Target } from "./target.ts";

/** A target that keeps nothing open. */
function pure(
  rest: Omit<Target, "open" | "seeds"> & { seeds: readonly (string | Buffer)[] },
  check: (input: Buffer, random: Random) => Outcome,
): Target {
  const { seeds, ...more } = rest;
  return {
    ...more,
    seeds: () => seeds.map((seed) => (typeof seed === "string" ? latin1(seed) : seed)),
    open: async () => ({ check, close: async () => {} }),
  };
}

const outcome = (accepted: boolean): Outcome => (accepted ? "accepted" : "refused");

function swallowed(sink: Sink, pieces: readonly Buffer[]): boolean {
  return pieces.every((piece) => sink.write(piece, 0, piece.length)) && sink.end();
}

/** A sink judges the same in any split, and as the plain rule does. */
function judged(make: () => Sink, plain: (bytes: Buffer) => boolean) {
  return (input: Buffer, random: Random): Outcome => {
    const whole = swallowed(make(), [input]);
    same("chunks change the verdict", swallowed(make(), split(input, 70, random)), whole);
    if (whole && input.length <= plainRulesUpTo && !plain(input)) throw new Broken("accepted against the plain rule");
    return outcome(whole);
  };
}

const packet = (type: number, length: number[], size: number) =>
  Buffer.from([0xc0 | type, ...length, ...Array<number>(size).fill(1)]);
const session = packet(1, [20], 20);
const content = packet(18, [100], 100);
const packets = Buffer.concat([session, content]);
const armored = (bytes: Buffer) =>
  `-----BEGIN PGP MESSAGE-----\r\n\r\n${bytes.toString("base64")}\r\n=abcd\r\n-----END PGP MESSAGE-----\r\n`;

export const armor = pure(
  {
    seeds: [armored(packets), armored(content), armored(Buffer.concat([session, content])).replace("=abcd\r\n", "")],
    words: [
      "\r\n",
      "\r",
      "\n",
      "=",
      "==",
      "=abcd",
      "Version: 1\r\n",
      "Comment: x\r\n",
      "-----END PGP MESSAGE-----",
      "-",
      " ",
      "A",
    ],
    heavyBytes: 1 << 20,
    heavy: {
      letters: (bytes) => latin1(armored(packets).replace("\r\n\r\n", `\r\n\r\n${repeated("A", bytes)}`)),
      "line ends": (bytes) => latin1(armored(packets) + repeated("\r\n", bytes)),
      "signs of padding": (bytes) => latin1(armored(packets).replace("=abcd", repeated("=", bytes))),
      dashes: (bytes) => latin1(`-----BEGIN PGP MESSAGE-----\r\n${repeated("-", bytes)}`),
    },
  },
  judged(
    () => new ArmorCheck(),
    (bytes) => isArmored(bytes.toString("latin1")),
  ),
);

export const packetWalk = pure(
  {
    seeds: [
      packets,
      Buffer.concat([packet(3, [4], 4), packet(18, [0xc0, 0x05], 197)]),
      packet(18, [0xff, 0, 0, 0, 9], 9),
      Buffer.concat([packet(18, [0xe3], 8), Buffer.from([0xe1, 1, 1, 2, 1, 1])]),
      Buffer.from([0x84, 1, 1, 0xc8, ...[2, 1, 1]]),
    ],
    words: ["\xd2", "\xc1", "\xc3", "\xff\0\0\0\x01", "\xe0", "\xfe", "\xc0\0", "\xdf\xff", "\0"],
    heavyBytes: 1 << 20,
    heavy: {
      "empty session keys": (bytes) => latin1(repeated("\xc1\0", bytes)),
      "chunks of one byte": (bytes) => latin1(`\xd2${repeated("\xe0x", bytes)}`),
    },
  },
  judged(() => new PacketWalk(), isEncryptedPackets),
);

const manyQuotes = '\\"';
export const addresses = pure(
  {
    seeds: [
      "a@b.example",
      '"a>b" <x@y>',
      "(nested (c@d)) <x@y>",
      "Group: Name <x@y>;, c@d",
      '"j d"@y',
      "x@[192.0.2.1]",
      "=?utf-8?q?a=40b?= <x@y>",
    ],
    words: [
      "a",
      "b@c",
      "<",
      ">",
      '"',
      "\\",
      "(",
      ")",
      ":",
      ";",
      ",",
      " ",
      "\t",
      "@",
      "\xff",
      "\0",
      "\n ",
      "boundary=",
      "multipart/mixed; ",
    ],
    heavy: {
      commas: (bytes) => latin1(repeated(" ,", bytes)),
      comments: (bytes) => latin1(repeated("(", bytes)),
      "empty comments": (bytes) => latin1(repeated("(),", bytes)),
      groups: (bytes) => latin1(repeated("a:", bytes)),
      "escaped quotes": (bytes) => latin1(repeated(manyQuotes, bytes)),
      "quoted texts": (bytes) => latin1(repeated('"a"', bytes)),
      "angles behind": (bytes) => latin1(`<a@b>${repeated("(", bytes)}`),
      "white space": (bytes) => latin1(repeated(" \t", bytes)),
      "a name of @": (bytes) => latin1(`${repeated('"@" ', bytes)}<a@b>`),
      "encoded words": (bytes) => latin1(`${repeated("=?a?q?b=40c?= ", bytes)}<a@b>`),
      "beginnings of encoded words": (bytes) => latin1(`${repeated("=?a?q?", bytes)}<a@b>`),
    },
  },
  (input) => {
    const text = input.toString("latin1");
    parseContentType(text);
    const address = authorOf(text);
    if (address === undefined) return "refused";
    if (!/^[^@\s]+@[^@\s]+$/s.test(address) || address.length > 320) throw new Broken("no address");
    // the text of an address stands in the header, or it was made up
    if (!text.toLowerCase().includes(address)) throw new Broken("an address that is not there");
    if (authorsForOthers(text).join() !== address) throw new Broken("another reader finds another author");
    return "accepted";
  },
);

const naiveBody: Record<"simple" | "relaxed", (text: string) => string> = {
  simple: (text) => `${text.replace(/(?:\r\n)+$/, "")}\r\n`,
  relaxed: (text) => {
    const lines = text.split("\r\n").map((line) => line.replace(/[ \t]+/g, " ").replace(/ $/, ""));
    const joined = lines.join("\r\n").replace(/(?:\r\n)+$/, "");
    return joined === "" ? "" : `${joined}\r\n`;
  },
};

export const dkimBody = pure(
  {
    seeds: ["", "\r\n", "a\r\n", " a  b \r\n\r\n\r\n", "a \t\r\n \r\n", "a\rb\n", "a \r"],
    words: ["\r\n", "\r", "\n", " ", "\t", "a", " \r\n", "\r\n\r\n"],
    heavyBytes: 1 << 20,
    heavy: {
      "empty lines": (bytes) => latin1(`${repeated("\r\n", bytes)}a`),
      "white space": (bytes) => latin1(`${repeated(" \t", bytes)}a`),
      CRs: (bytes) => latin1(repeated("\r", bytes)),
    },
  },
  (input, random) => {
    for (const kind of ["simple", "relaxed"] as const) {
      const hashed = (pieces: readonly Buffer[]) => {
        const hasher = bodyHasher(kind);
        for (const piece of pieces) hasher.write(piece);
        const { hash, length } = hasher.finish();
        return { hash: hash.toString("hex"), length };
      };
      const whole = hashed([input]);
      same(`chunks change the ${kind} body`, hashed(split(input, 20, random)), whole);
      const isPlain = input.length <= plainRulesUpTo && !/\r(?!\n)|(?<!\r)\n/.test(input.toString("latin1"));
      if (isPlain && whole.length !== naiveBody[kind](input.toString("latin1")).length)
        throw new Broken(`${kind} body`);
    }
    return "accepted";
  },
);

const signature = `v=1; a=rsa-sha256; c=relaxed/simple; d=a.example; s=x; t=1; bh=${"A".repeat(43)}=; h=from:to:from; b=AAAA`;
export const dkimTags = pure(
  {
    seeds: [
      signature,
      `v=1; a=ed25519-sha256; d=a.b; s=s; i=@c.a.b; l=10; x=99; q=dns/txt; h=from; bh=${"A".repeat(43)}=; b=AA==`,
      "v=DKIM1; k=rsa; p=MAAA",
      `v=DKIM1; k=ed25519; p=${"A".repeat(43)}=; t=y:s; s=email; h=sha256`,
    ],
    words: [
      ";",
      "=",
      "b=",
      "bh=",
      "h=from:",
      "p=",
      "v=1",
      "v=DKIM1",
      "k=rsa",
      "k=ed25519",
      "\r\n ",
      " ",
      "\t",
      ":",
      "9".repeat(80),
      "\xff",
      "\0",
      '"',
    ],
    heavyBytes: 65_536,
    heavy: {
      semicolons: (bytes) => latin1(repeated(";", bytes)),
      "semicolons and space": (bytes) => latin1(repeated("; ", bytes)),
      "one run of space": (bytes) => latin1(`v=1;${repeated(" ", bytes)}b`),
      "header names": (bytes) => latin1(signature.replace("h=from", `h=from${repeated(":from", bytes - 400)}`)),
      "signs of padding": (bytes) => latin1(`p=${repeated("=", bytes)}A`),
      labels: (bytes) => latin1(signature.replace("a.example", repeated("a.", bytes - 400))),
    },
  },
  (input) => {
    const text = input.toString("latin1");
    const parsed = parseSignature(text);
    const without = withoutSignatureData(text);
    if (without.length > text.length) throw new Broken("a signature grew");
    canonicalHeader("relaxed", "DKIM-Signature", text);
    const key = parseKeyRecord(text);
    if ("signature" in parsed) {
      const { signedHeaders, bodyHash, domain } = parsed.signature;
      if (!signedHeaders.includes("from") || bodyHash.length !== 32 || domain === "")
        throw new Broken("a signature that is none");
    }
    return outcome("signature" in parsed || "key" in key);
  },
);

const name = "s._domainkey.a.example";
const query = renderQuery({ id: 7, name, type: "TXT" }) as Buffer;
function dnsAnswer(records: Buffer, count: number): Buffer {
  const bytes = Buffer.concat([query.subarray(0, query.length - 11), records]);
  bytes.writeUInt16BE(0x8180, 2);
  bytes.writeUInt16BE(count, 6);
  bytes.writeUInt16BE(0, 10);
  return bytes;
}
const record = (type: number, data: Buffer, owner = Buffer.from([0xc0, 12])) => {
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(type, 0);
  fixed.writeUInt16BE(1, 2);
  fixed.writeUInt32BE(300, 4);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([owner, fixed, data]);
};
/** Pointers that lead to pointers, then records of type `kind` that begin at the last one. */
function pointerChain(bytes: number, kind = 1): Buffer {
  const start = query.length - 11;
  const chain = Buffer.alloc(12_000);
  for (let at = 0; at + 1 < chain.length; at += 2)
    chain.writeUInt16BE(0xc000 | (at === 0 ? 12 : start + 12 + at - 2), at);
  const owner = Buffer.alloc(2);
  owner.writeUInt16BE(0xc000 | (start + 12 + chain.length - 2));
  const count = Math.floor((Math.min(bytes, 65_000) - 12_100) / 12);
  return dnsAnswer(
    Buffer.concat([record(999, chain), ...Array<Buffer>(count).fill(record(kind, Buffer.alloc(0), owner))]),
    count + 1,
  );
}
/** As many records as are read, all at the longest name there is. */
function longNames(): Buffer {
  const owner = Buffer.alloc(2);
  owner.writeUInt16BE(0xc000 | (query.length - 11));
  const long = latin1(`${"\x01a".repeat(126)}\0`);
  const texts = Array<Buffer>(499).fill(record(16, latin1("\x01a"), owner));
  return dnsAnswer(Buffer.concat([record(999, Buffer.alloc(0), long), ...texts]), 500);
}

export const dns = pure(
  {
    seeds: [
      dnsAnswer(record(16, latin1("\x08v=DKIM1;")), 1),
      dnsAnswer(
        Buffer.concat([
          record(5, latin1("\x01b\x07example\0")),
          record(16, latin1("\x02hi"), latin1("\x01b\x07example\0")),
        ]),
        2,
      ),
      dnsAnswer(Buffer.alloc(0), 0),
    ],
    words: ["\xc0\x0c", "\xc0\0", "\0\x10\0\x01", "\xff\xff", "\0", "\x3f", "\x01a", "\0\x05\0\x01", "\0\x06\0\x01"],
    heavyBytes: 65_000,
    heavy: {
      "pointers, of another type": (bytes) => pointerChain(bytes),
      "pointers, of the type asked for": (bytes) => pointerChain(bytes, 16),
      "pointers, of aliases": (bytes) => pointerChain(bytes, 5),
      "long names": longNames,
      "empty records": (bytes) =>
        dnsAnswer(
          Buffer.concat(Array<Buffer>(Math.floor(bytes / 12)).fill(record(16, Buffer.alloc(0)))),
          Math.floor(bytes / 12),
        ),
    },
  },
  (input) => {
    try {
      const answer = parseResponse(input, { id: 7, name, type: "TXT" });
      if (answer && "ttlSeconds" in answer && !(answer.ttlSeconds >= 0 && answer.ttlSeconds < 2 ** 32))
        throw new Broken("a TTL that is none");
      return outcome(answer?.kind === "found" || answer?.kind === "none");
    } catch (thrown) {
      if (thrown instanceof DnsFormatError) return "refused";
      throw thrown;
    }
  },
);

/** RFC 8461 §3.2 once more, without regular expressions over whole lines. */
function plainSts(text: string): boolean {
  const pairs = text.split("\n").map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, Math.max(0, colon)).trim(), line.slice(colon + 1).trim()] as const;
  });
  const first = (key: string) => pairs.find(([each]) => each === key)?.[1];
  return (
    first("version") === "STSv1" &&
    ["enforce", "testing", "none"].includes(first("mode") ?? "") &&
    Number(first("max_age")) >= 0
  );
}

export const sts = pure(
  {
    seeds: [
      "version: STSv1\r\nmode: enforce\r\nmx: a.example\r\nmx: *.b.example\r\nmax_age: 604800\r\n",
      "version: STSv1\nmode: none\nmax_age: 0\n",
      "v=STSv1; id=20260101;",
    ],
    words: [
      "\r\n",
      "\n",
      "\r",
      ":",
      " ",
      "\t",
      "mx: *.c.example\r\n",
      "mode: testing\n",
      "max_age: 99999999999",
      "*",
      "*.",
      ";",
      "\xff",
      "\0",
    ],
    heavyBytes: 16_384,
    heavy: {
      "a run of space": (bytes) => latin1(`a:x${repeated(" ", bytes)}x`),
      "a run of space that can't match": (bytes) => latin1(`a:${repeated(" ", bytes)}x\rx`),
      "space before": (bytes) => latin1(`${repeated(" ", bytes)}\r`),
      patterns: (bytes) => latin1(`version: STSv1\nmode: enforce\nmax_age: 1\nmx: ${repeated("a.", bytes)}`),
    },
  },
  (input) => {
    const text = input.toString("latin1");
    stsId([text]);
    const policy = parseStsPolicy(text, "1", 0);
    if (policy && !plainSts(text)) throw new Broken("a policy against the plain rule");
    if (policy) stsAllows(policy, "mx.b.example", 0);
    return outcome(policy !== undefined);
  },
);

const versions = {
  clients: [
    {
      clientId: "a",
      sources: [{ sourceId: "b", versionInteger: 1, versionString: "1", downloadUrl: "https://download.delta.chat/x" }],
    },
  ],
};
export const json = pure(
  {
    seeds: [
      JSON.stringify(versions),
      '{"devicetoken":{"a":1,"b":2}}',
      '{"devicetoken":["a","__proto__"]}',
      "null",
      "[]",
    ],
    words: [
      "[",
      "]",
      "{",
      "}",
      '"',
      ",",
      ":",
      "null",
      "1e999",
      "-1",
      '"__proto__"',
      '"clients"',
      '"devicetoken"',
      "\\u0000",
      "\xff",
      '"a":1,',
    ],
    heavy: {
      "lists in lists": (bytes) => latin1(`{"clients":[],"x":${"[".repeat(bytes / 2)}${"]".repeat(bytes / 2)}}`),
      "tokens in lists": (bytes) => latin1(`{"devicetoken":[${"[".repeat(bytes / 2)}${"]".repeat(bytes / 2)}]}`),
      entries: (bytes) => latin1(`{"clients":[${repeated("{},", bytes)}{}]}`),
    },
  },
  (input) => {
    const text = input.toString("latin1");
    const answer = appVersions(text);
    if ("line" in answer && (answer.line.includes("\n") || Buffer.byteLength(answer.line) > 32_768))
      throw new Broken("more than a line");
    const tokens = parseTokens(text, 100);
    if (tokens) {
      const after = withTokens(tokens, ["x"], 100);
      if (Object.keys(after).length > maxTokens || after.x === undefined) throw new Broken("a token is lost");
    }
    return outcome("line" in answer || tokens !== undefined);
  },
);

const guid = "0123456789abcdef".repeat(2);
export const names = pure(
  {
    seeds: [
      `priv/${guid}/devicetoken`,
      `shared/${guid}/vendor/vendor.dovecot/pvt/server/vendor/deltachat/turn`,
      "https://a.example/i/abcdefgh",
      "abcdefghijklmnop",
    ],
    words: ["/", "=", "..", "\0", "\n", " ", "priv/", "shared/", guid, "\xff"],
    heavy: {
      slashes: (bytes) => latin1(`${repeated("/", bytes)} `),
      spaces: (bytes) => latin1(`${repeated(" ", bytes)}/`),
    },
  },
  (input) => {
    const text = input.toString("latin1");
    const token = inviteTokenIn(text);
    if (token !== undefined && (!/^[\w-]{8,128}$/.test(token) || !text.includes(token))) throw new Broken("no token");
    if (isInvite(text, ["another"]) !== (text === "another")) throw new Broken("an invite that is none");
    if (provesInvite(text, "a@b", ["another"])) throw new Broken("a proof out of nothing");
    return outcome(token !== undefined || metadataKey(text).kind !== "other");
  },
);

/** What SMTP's DATA and `/mxdeliv` take as a message, and where it ends. */
export const data = pure(
  {
    seeds: ["a\r\n", "a\r\n.\r\n", ".\r\n", "..\r\nb\r\n.\r\nQUIT\r\n", "a\rb\r\n", "a\nb\r\n"],
    words: ["\r\n", "\r", "\n", ".", "\r\n.\r\n", ".\r\n", "\n.\n", "\r.\r"],
    heavyBytes: 1 << 20,
    heavy: {
      dots: (bytes) => latin1(repeated("\r\n.", bytes)),
      CRs: (bytes) => latin1(repeated("\r", bytes)),
      "line ends": (bytes) => latin1(repeated("\r\n", bytes)),
    },
  },
  (input, random) => {
    const text = input.toString("latin1");
    const form = (pieces: readonly Buffer[]) => {
      const check = new DataForm();
      return pieces.every((piece) => check.push(piece)) && check.finish();
    };
    const right = form([input]);
    same("chunks change the form", form(split(input, 5, random)), right);
    if (input.length > plainRulesUpTo) return outcome(right);
    const plain = text.endsWith("\r\n") && !/\r(?!\n)|(?<!\r)\n/.test(text) && !`\r\n${text}`.includes("\r\n.\r\n");
    same("the form against the plain rule", right, plain);
    const ended = (pieces: readonly Buffer[]) => {
      const scanner = new DataEnd();
      let seen = "";
      for (const [index, piece] of pieces.entries()) {
        const { data, rest } = scanner.push(piece);
        seen += data.toString("latin1");
        if (rest) return { seen, rest: Buffer.concat([rest, ...pieces.slice(index + 1)]).toString("latin1") };
      }
      return undefined;
    };
    const at = `\r\n${text}`.indexOf("\r\n.\r\n");
    const expected = at < 0 ? undefined : { seen: text.slice(0, at), rest: text.slice(at + 3) };
    same("the end against the plain rule", ended([input]), expected);
    same("chunks change the end", ended(split(input, 5, random)), expected);
    return outcome(right);
  },
);

const ownPair = await makeSelfSigned("_fuzz.test", new Date("2026-11-01T00:00:00Z"));
const someRoots = rootCertificates.slice(0, 3);
const trusted = new Roots(someRoots.map((pem) => new X509Certificate(pem)));

/** What somebody puts into a Secret or a ConfigMap: certificates and a key, in one text here. */
export const pem = pure(
  {
    seeds: [
      ownPair.certificatePem + ownPair.keyPem,
      `remark\r\n${ownPair.keyPem}${ownPair.certificatePem}${someRoots.join("\n")}\n`,
      ownPair.certificatePem.replaceAll("CERTIFICATE", "TRUSTED CERTIFICATE"),
    ],
    words: [
      "-----BEGIN CERTIFICATE-----",
      "-----END CERTIFICATE-----",
      "-----BEGIN PRIVATE KEY-----",
      "-----BEGIN EC PARAMETERS-----",
      "-----",
      "----",
      "\n",
      "=",
      "Proc-Type: 4,ENCRYPTED",
    ],
    heavyBytes: 1 << 20,
    heavy: {
      beginnings: (bytes) => latin1(repeated("-----BEGIN CERTIFICATE-----\n", bytes)),
      "dashes within": (bytes) => latin1(`-----BEGIN CERTIFICATE-----${repeated("-a", bytes)}`),
      dashes: (bytes) => latin1(`-----BEGIN CERTIFICATE-----${repeated("-", bytes)}`),
      certificates: (bytes) => latin1(repeated(someRoots[0] ?? "", bytes)),
      "many labels": (bytes) => latin1(`-----BEGIN ${repeated("A ", bytes)}-----`),
      "one long block": (bytes) =>
        latin1(`-----BEGIN CERTIFICATE-----${repeated("MIIB", bytes)}-----END CERTIFICATE-----`),
    },
  },
  (input) => {
    const text = input.toString("latin1");
    const given = { certificatePem: text, keyPem: text };
    const read = readPair(given);
    const { facts, problem } = judgeCertificate({ ...given, domain: "_fuzz.test", now: new Date(), roots: trusted });
    if ("problem" in read) {
      if (facts || problem?.reason !== "CertificateInvalid") throw new Broken("judged without being read");
      return outcome(!("problem" in certificatesIn(text, "bundle")));
    }
    // what is served is read again as the same
    const served = joinedPem(read);
    const again = readPair({ certificatePem: served, keyPem: served });
    if ("problem" in again || joinedPem(again) !== served) throw new Broken("served otherwise than it was read");
    return "accepted";
  },
);
