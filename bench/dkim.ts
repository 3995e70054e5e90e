/**
 * DKIM signatures and verifications a second with mails of 5.6 kB, RSA-2048 and Ed25519; the bare
 * RSA operations on this thread and on the library's thread pool; the rate at which large bodies
 * are hashed, and the memory that takes.
 */
import { createHash, generateKeyPairSync, type KeyObject, sign, verify } from "node:crypto";
import { promisify } from "node:util";
import { readOptions } from "../scripts/options.ts";
import { createKeyCache } from "../src/dkim/keys.ts";
import { createSigner, type SigningKey } from "../src/dkim/sign.ts";
import { createVerifier } from "../src/dkim/verify.ts";
import { printTable, writeJson } from "./machine.ts";

const { values } = readOptions("npm run bench -- dkim [--json FILE]", { options: { json: { type: "string" } } });
const domain = "nine.example";
const headers: [string, string][] = [
  ["Subject", " [...]"],
  ["From", " <someone@nine.example>"],
  ["To", " <another@two.example>"],
  ["Date", " Mon, 23 Nov 2026 05:20:43 +0000"],
  ["Message-ID", " <01234567-89ab-cdef-0123-456789abcdef@localhost>"],
  ["Chat-Version", " 1.0"],
  ["MIME-Version", " 1.0"],
  [
    "Autocrypt",
    ` addr=someone@nine.example; prefer-encrypt=mutual; keydata=${"xjMEZ".repeat(120).replace(/.{70}/g, "$&\n ")}`,
  ],
  ["Content-Type", ' multipart/encrypted; protocol="application/pgp-encrypted";\n\tboundary="b"'],
];
const line = `${"wV4DhF5s0tQ9eZYSAQdA".repeat(4).slice(0, 76)}\r\n`;
const headerBytes = headers.reduce((sum, [name, value]) => sum + name.length + value.length + 3, 0);
const body = Buffer.from(line.repeat(Math.ceil((5600 - headerBytes) / line.length)));
const now = () => Date.now();

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ed = generateKeyPairSync("ed25519");
const signingKey = (key: KeyObject, selector: string): SigningKey => ({ domain, selector, key });
const spki = (key: KeyObject) => key.export({ type: "spki", format: "der" });
const records: Record<string, string> = {
  [`rsa._domainkey.${domain}`]: `v=DKIM1;k=rsa;p=${spki(rsa.publicKey).toString("base64")};s=email;t=s`,
  [`ed._domainkey.${domain}`]: `v=DKIM1;k=ed25519;p=${spki(ed.publicKey).subarray(-32).toString("base64")};s=email;t=s`,
};
const lookup = async (name: string) => ({ kind: "found", records: [records[name] ?? ""], ttlSeconds: 3600 }) as const;
const verifier = createVerifier({ keys: createKeyCache({ lookup, now }), now });

async function signMail(keys: readonly SigningKey[]) {
  const signing = createSigner({ keys, now }).begin();
  for (const [name, value] of headers) signing.header(name, value);
  signing.body(body);
  return signing.end(domain);
}

async function verifyMail(signatures: readonly { name: string; value: string }[]) {
  const verifying = verifier.begin();
  for (const { name, value } of signatures) verifying.header(name, value);
  for (const [name, value] of headers) verifying.header(name, value);
  verifying.endOfHeaders(domain);
  verifying.body(body);
  const { results } = await verifying.end();
  if (results[0]?.outcome !== "pass") throw new Error(`not valid: ${results[0]?.why}`);
}

const seconds = 2;

/** How often a second, with so many at once. */
async function rate(atOnce: number, work: () => unknown): Promise<number> {
  let done = 0;
  const run = async (untilMs: number) => {
    while (performance.now() < untilMs) {
      await work();
      done++;
    }
  };
  const all = (ms: number) => Promise.all(Array.from({ length: atOnce }, () => run(performance.now() + ms)));
  await all(300);
  done = 0;
  const started = performance.now();
  await all(seconds * 1000);
  return Math.round((done * 1000) / (performance.now() - started));
}

/**
 * Milliseconds and additional MiB to sign and verify a large body, which comes in chunks as from a
 * milter.
 */
async function large(canonicalization: "simple" | "relaxed", text: Buffer, bytes: number) {
  const chunk = Buffer.concat(Array.from({ length: Math.ceil(65_535 / text.length) }, () => text)).subarray(0, 65_535);
  const verifying = verifier.begin();
  const bodyHash = createHash("sha256").update("").digest("base64");
  const tags = `v=1; a=rsa-sha256; c=simple/${canonicalization}; d=${domain}; s=rsa; h=from; bh=${bodyHash}; b=YWJj`;
  verifying.header("DKIM-Signature", ` ${tags}`);
  for (const [name, value] of headers) verifying.header(name, value);
  const before = process.memoryUsage().rss;
  const started = performance.now();
  for (let left = bytes; left > 0; left -= chunk.length) verifying.body(chunk);
  await verifying.end();
  return { ms: performance.now() - started, mib: (process.memoryUsage().rss - before) / 2 ** 20 };
}

const data = Buffer.alloc(1500, "a");
const made = sign("sha256", data, rsa.privateKey);
const aside = { sign: promisify(sign), verify: promisify(verify) };
const rsaSigned = await signMail([signingKey(rsa.privateKey, "rsa")]);
const edSigned = await signMail([signingKey(ed.privateKey, "ed")]);
const both = [signingKey(rsa.privateKey, "rsa"), signingKey(ed.privateKey, "ed")];

const figures: Record<string, number> = {};
const measure = async (what: string, atOnce: number, work: () => unknown) => {
  figures[what] = await rate(atOnce, work);
};
await measure("bare RSA-2048 signature, this thread", 1, () => sign("sha256", data, rsa.privateKey));
await measure("bare RSA-2048 signature, thread pool, 1 at once", 1, () => aside.sign("sha256", data, rsa.privateKey));
await measure("bare RSA-2048 signature, thread pool, 10 at once", 10, () => aside.sign("sha256", data, rsa.privateKey));
await measure("bare RSA-2048 verification, this thread", 1, () => verify("sha256", data, rsa.publicKey, made));
await measure("bare RSA-2048 verification, thread pool, 1 at once", 1, () =>
  aside.verify("sha256", data, rsa.publicKey, made),
);
await measure("bare RSA-2048 verification, thread pool, 10 at once", 10, () =>
  aside.verify("sha256", data, rsa.publicKey, made),
);
await measure("mail signed, RSA, 1 at once", 1, () => signMail([signingKey(rsa.privateKey, "rsa")]));
await measure("mail signed, RSA, 10 at once", 10, () => signMail([signingKey(rsa.privateKey, "rsa")]));
await measure("mail signed, RSA and Ed25519, 10 at once", 10, () => signMail(both));
await measure("mail verified, RSA", 1, () => verifyMail(rsaSigned));
await measure("mail verified, Ed25519", 1, () => verifyMail(edSigned));

const rows = Object.entries(figures).map(([what, figure]): [string, string] => [what, `${figure}/s`]);
const bytes = 30 * 2 ** 20;
for (const canonicalization of ["simple", "relaxed"] as const) {
  for (const [what, text] of [
    ["in lines", Buffer.from(line)],
    ["in one line", Buffer.alloc(65_535, "A")],
  ] as const) {
    const { ms, mib } = await large(canonicalization, text, bytes);
    figures[`30 MiB ${what}, ${canonicalization}, ms`] = Math.round(ms);
    rows.push([`30 MiB ${what}, ${canonicalization}`, `${Math.round(ms)} ms, ${mib.toFixed(1)} MiB more resident`]);
  }
}
printTable(rows);
await writeJson(values.json, figures);
