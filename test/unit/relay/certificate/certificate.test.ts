/** What of the Secret's folder comes to be served, and what a restart of the daemon makes of it. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { type KeyPair, makeSelfSigned } from "../../../../src/certificates/self-signed.ts";
import { Certificate } from "../../../../src/relay/certificate/certificate.ts";
import { collectingLog } from "../settings.ts";

let tlsFolder: string;
let runFolder: string;
beforeEach(() => {
  const folder = mkdtempSync(join(tmpdir(), "relay-certificate-"));
  tlsFolder = join(folder, "tls");
  runFolder = join(folder, "run");
  for (const each of [tlsFolder, runFolder]) mkdirSync(each);
});

const newPair = () => makeSelfSigned("_pair.test", new Date());
const give = (pair: Partial<KeyPair>) => {
  if (pair.certificatePem) writeFileSync(join(tlsFolder, "tls.crt"), pair.certificatePem);
  if (pair.keyPem) writeFileSync(join(tlsFolder, "tls.key"), pair.keyPem);
};
const servedFile = () => join(runFolder, "tls.pem");

/** One daemon's life, up to its first look. */
async function look() {
  const { log, lines } = collectingLog();
  const certificate = new Certificate({ tlsFolder, runFolder, log });
  await certificate.start();
  certificate.stop();
  return { problem: certificate.problem(), said: lines.join("") };
}

test("a sound pair is served, and its file is its owner's alone", async () => {
  const pair = await newPair();
  give(pair);
  const { problem, said } = await look();
  expect(problem).toBeUndefined();
  expect(said).toContain('"msg":"certificate served"');
  expect(said).not.toContain("PRIVATE");
  expect(readFileSync(servedFile(), "utf8")).toBe(pair.keyPem + pair.certificatePem);
  expect(statSync(servedFile()).mode & 0o777).toBe(0o600);
});

test("a second daemon that finds it served already changes nothing and tells nobody", async () => {
  give(await newPair());
  await look();
  const before = statSync(servedFile()).ino;
  expect((await look()).said).toBe("");
  expect(statSync(servedFile()).ino).toBe(before);
});

test.each([
  {
    when: "the key is missing",
    broken: async () => ({ certificatePem: (await newPair()).certificatePem }),
    why: "ENOENT",
  },
  {
    when: "the key is another's",
    broken: async () => ({ ...(await newPair()), keyPem: (await newPair()).keyPem }),
    why: "tls.key is not the key",
  },
])("when $when nothing is served, and readiness says why", async ({ broken, why }) => {
  give(await broken());
  const { problem, said } = await look();
  expect(problem).toContain(why);
  expect(said).toContain('"msg":"certificate rejected, not served"');
  expect(existsSync(servedFile())).toBe(false);
});

test("a broken pair leaves the one that is served, and the daemon ready", async () => {
  const pair = await newPair();
  give(pair);
  await look();
  give({ keyPem: (await newPair()).keyPem });
  const { problem, said } = await look();
  expect(problem).toBeUndefined();
  expect(said).toContain("certificate rejected, not served");
  expect(readFileSync(servedFile(), "utf8")).toBe(pair.keyPem + pair.certificatePem);
});

test("without a folder nothing is missed", async () => {
  const certificate = new Certificate({ runFolder, log: collectingLog().log });
  await certificate.start();
  expect(certificate.problem()).toBeUndefined();
});
