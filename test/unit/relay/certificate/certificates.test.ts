/** What of the Secret's folder comes to be served, and what a restart of the daemon makes of it. */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { type KeyPair, makeSelfSigned } from "../../../../src/certificates/self-signed.ts";
import { Certificates } from "../../../../src/relay/certificate/certificates.ts";
import { collectingLog } from "../settings.ts";

let tlsFolder: string;
let runFolder: string;
let served: string[];
beforeEach(() => {
  const folder = mkdtempSync(join(tmpdir(), "relay-certificate-"));
  tlsFolder = join(folder, "tls");
  runFolder = join(folder, "run");
  for (const each of [tlsFolder, runFolder]) mkdirSync(each);
  served = ["_pair.test"];
});

const newPair = (domain = "_pair.test") => makeSelfSigned(domain, new Date());
const give = (pair: Partial<KeyPair>, domain = "_pair.test") => {
  mkdirSync(join(tlsFolder, domain), { recursive: true });
  if (pair.certificatePem) writeFileSync(join(tlsFolder, domain, "tls.crt"), pair.certificatePem);
  if (pair.keyPem) writeFileSync(join(tlsFolder, domain, "tls.key"), pair.keyPem);
};
const servedFile = (domain = "_pair.test") => join(runFolder, "tls", domain);

/** One daemon's life, up to its first look. */
async function look() {
  const { log, lines } = collectingLog();
  const certificates = new Certificates({ tlsFolder, runFolder, domains: () => served, log });
  await certificates.start();
  certificates.stop();
  return { problem: certificates.problems()["_pair.test"], problems: certificates.problems(), said: lines.join("") };
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

/** What the operator has kept. */
const giveLast = ({ certificatePem, keyPem }: KeyPair, domain = "_pair.test") => {
  const folder = join(tlsFolder, domain, "last");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "tls.crt"), certificatePem);
  writeFileSync(join(folder, "tls.key"), keyPem);
};

test.each([
  { when: "is gone", given: async () => ({}) },
  { when: "is broken", given: async () => ({ ...(await newPair()), keyPem: (await newPair()).keyPem }) },
  { when: "has a certificate alone", given: async () => ({ certificatePem: (await newPair()).certificatePem }) },
])("when the Secret $when, a pod that starts serves the last pair, until there is another", async ({ given }) => {
  const [last, next] = [await newPair(), await newPair()];
  give(await given());
  giveLast(last);
  const { problem, said } = await look();
  expect(problem).toBeUndefined();
  expect(said).toContain("certificate rejected, not served");
  expect(readFileSync(servedFile(), "utf8")).toBe(last.keyPem + last.certificatePem);
  give(next);
  await look();
  expect(readFileSync(servedFile(), "utf8")).toBe(next.keyPem + next.certificatePem);
});

test("the last pair takes the place of nothing that is served, and a broken one is not served", async () => {
  const [pair, last] = [await newPair(), await newPair()];
  give(pair);
  giveLast(last);
  await look();
  rmSync(join(tlsFolder, "_pair.test", "tls.key"));
  expect((await look()).problem).toBeUndefined();
  expect(readFileSync(servedFile(), "utf8")).toBe(pair.keyPem + pair.certificatePem);
  rmSync(servedFile());
  giveLast({ ...last, keyPem: pair.keyPem });
  expect((await look()).problem).toContain("ENOENT");
  expect(existsSync(servedFile())).toBe(false);
});

test("without a folder nothing is missed", async () => {
  const certificates = new Certificates({ runFolder, domains: () => served, log: collectingLog().log });
  await certificates.start();
  expect(certificates.problems()).toEqual({});
});

describe("of several domains", () => {
  beforeEach(() => {
    served = ["_pair.test", "nine.example", "192.0.2.7"];
  });

  test("each has its own file; one without a certificate has that of another, and a problem, until it has one", async () => {
    const [nine, literal] = [await newPair("nine.example"), await newPair("192.0.2.7")];
    give(nine, "nine.example");
    give(literal, "192.0.2.7");
    expect((await look()).problems).toEqual({ "_pair.test": expect.stringContaining("ENOENT") });
    expect(readFileSync(servedFile("nine.example"), "utf8")).toBe(nine.keyPem + nine.certificatePem);
    expect(readFileSync(servedFile("192.0.2.7"), "utf8")).toBe(literal.keyPem + literal.certificatePem);
    expect(readFileSync(servedFile(), "utf8")).toBe(nine.keyPem + nine.certificatePem);
    // a daemon that starts again does not take it for its own
    expect((await look()).problems).toHaveProperty("_pair.test");
    const own = await newPair();
    give(own);
    expect((await look()).problems).toEqual({});
    expect(lstatSync(servedFile()).isSymbolicLink()).toBe(false);
    expect(readFileSync(servedFile(), "utf8")).toBe(own.keyPem + own.certificatePem);
    expect(readFileSync(servedFile("nine.example"), "utf8")).toBe(nine.keyPem + nine.certificatePem);
  });

  test("a renewed one changes its own file alone", async () => {
    for (const domain of served) give(await newPair(domain), domain);
    await look();
    const inode = (domain: string) => statSync(servedFile(domain)).ino;
    const before = served.map(inode);
    give(await newPair("nine.example"), "nine.example");
    expect((await look()).said.match(/certificate served/g)).toHaveLength(1);
    expect(served.map((domain, nth) => inode(domain) === before[nth])).toEqual([true, false, true]);
  });

  test("what belongs to a domain that has left goes once it is told; who lived on it gets another", async () => {
    for (const domain of ["nine.example", "192.0.2.7"]) give(await newPair(domain), domain);
    const certificates = new Certificates({ tlsFolder, runFolder, domains: () => served, log: collectingLog().log });
    await certificates.start();
    certificates.stop();
    served = ["_pair.test", "192.0.2.7"];
    await certificates.prepare();
    expect(existsSync(servedFile("nine.example"))).toBe(true);
    await certificates.forgetOthers();
    expect(readdirSync(join(runFolder, "tls")).sort()).toEqual(["192.0.2.7", "_pair.test"]);
    expect(readFileSync(servedFile(), "utf8")).toBe(readFileSync(servedFile("192.0.2.7"), "utf8"));
  });

  test("that of an IPv6 address has file names without colons", async () => {
    served = ["2001:db8::9", "nine.example"];
    const literal = await newPair("2001:db8::9");
    give(literal, "2001-db8--9");
    give(await newPair("nine.example"), "nine.example");
    const certificates = new Certificates({ tlsFolder, runFolder, domains: () => served, log: collectingLog().log });
    await certificates.start();
    certificates.stop();
    expect(certificates.problems()).toEqual({});
    served = ["2001:db8::9"];
    await certificates.forgetOthers();
    expect(readdirSync(join(runFolder, "tls"))).toEqual(["2001-db8--9"]);
    expect(readFileSync(servedFile("2001-db8--9"), "utf8")).toBe(literal.keyPem + literal.certificatePem);
    expect(Object.keys(certificates.served())).toEqual(["2001:db8::9"]);
  });

  test("a Secret as the kubelet mounts it is read again when its link has been swapped", async () => {
    served = ["nine.example"];
    const folder = join(tlsFolder, "nine.example");
    const swap = async (name: string) => {
      const pair = await newPair("nine.example");
      mkdirSync(join(folder, name), { recursive: true });
      writeFileSync(join(folder, name, "tls.crt"), pair.certificatePem);
      writeFileSync(join(folder, name, "tls.key"), pair.keyPem);
      rmSync(join(folder, "..data"), { force: true });
      symlinkSync(name, join(folder, "..data"));
      return pair.keyPem + pair.certificatePem;
    };
    const first = await swap("..one");
    const certificates = new Certificates({ tlsFolder, runFolder, domains: () => served, log: collectingLog().log });
    await certificates.start();
    certificates.stop();
    expect(readFileSync(servedFile("nine.example"), "utf8")).toBe(first);
    const second = await swap("..two");
    await certificates.prepare();
    expect(readFileSync(servedFile("nine.example"), "utf8")).toBe(second);
  });

  test("one that is about to be served is prepared", async () => {
    for (const domain of [...served, "ten.example"]) give(await newPair(domain), domain);
    const certificates = new Certificates({ tlsFolder, runFolder, domains: () => served, log: collectingLog().log });
    await certificates.start();
    certificates.stop();
    expect(existsSync(servedFile("ten.example"))).toBe(false);
    await certificates.prepare(["ten.example"]);
    expect(lstatSync(servedFile("ten.example")).isFile()).toBe(true);
  });
});
