/**
 * What a strict TLS client would say of a given certificate. Each chain is also shown to OpenSSL,
 * which is not our own reader.
 */
import { execFileSync } from "node:child_process";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { judgeCertificate } from "../../../src/certificates/judge.ts";
import { certificatesIn, joinedPem, readPair } from "../../../src/certificates/pair.ts";
import { publicRoots, Roots } from "../../../src/certificates/roots.ts";
import { type KeyPair, makeSelfSigned } from "../../../src/certificates/self-signed.ts";
import { type Authority, type Issued, type keyKinds, makeAuthority } from "../../helpers/authorities.ts";

const domain = "nine.example.org";
const names = [domain, `www.${domain}`, `mta-sts.${domain}`];

let root: Authority;
let middle: Authority;
let lower: Authority;
let stranger: Authority;
let roots: Roots;

const rootsOf = (...pems: string[]) => {
  const found = certificatesIn(pems.join(""), "roots");
  if ("problem" in found) throw new Error(found.problem);
  return new Roots(found.read);
};

beforeAll(async () => {
  root = await makeAuthority("Test Root", { days: [-1000, 1000] });
  middle = await root.below("Middle");
  lower = await middle.below("Lower", { pathLength: 0 });
  stranger = await makeAuthority("Stranger");
  roots = rootsOf(root.pem);
});

const judge = (pair: KeyPair, more: { domain?: string; roots?: Roots | undefined; now?: Date } = {}) =>
  judgeCertificate({ ...pair, domain, now: new Date(), roots, ...more });

/**
 * Whether OpenSSL's verification, purpose and name included, takes the chain that a server would
 * send.
 */
function opensslTakes(certificatePem: string, trusted: string): boolean {
  const folder = mkdtempSync(join(tmpdir(), "chain-"));
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  try {
    const blocks = certificatePem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g) ?? [];
    const [leaf = "", ...chain] = blocks;
    const untrusted = chain.length > 0 ? ["-untrusted", file("chain.pem", chain.join(""))] : [];
    const checks = ["-purpose", "sslserver", "-x509_strict", "-auth_level", "2", "-verify_hostname", domain];
    const args = ["verify", "-no-CApath", "-no-CAstore", "-CAfile", file("root.pem", trusted), ...checks, ...untrusted];
    execFileSync("openssl", [...args, file("leaf.pem", leaf)], { stdio: "pipe" });
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface Case {
  when: string;
  /** Texts of the certificates after the leaf. */
  chain: () => Promise<string[]> | string[];
  leaf?: Issued;
  from?: () => Promise<Authority> | Authority;
  reason: string | undefined;
  says?: RegExp;
}

const cases: Case[] = [
  { when: "one intermediate", chain: () => [middle.pem], from: () => middle, reason: undefined },
  { when: "two intermediates", chain: () => [lower.pem, middle.pem], reason: undefined },
  { when: "the root comes with it", chain: () => [lower.pem, middle.pem, root.pem], reason: undefined },
  { when: "it is the root's own", chain: () => [], from: () => root, reason: undefined },
  {
    when: "the root is no certificate of an authority below",
    chain: () => [root.pem],
    from: () => root,
    reason: undefined,
  },
  {
    when: "the leaf is alone",
    chain: () => [],
    reason: "CertificateChainIncomplete",
    says: /^tls\.crt lacks the certificate of "Lower", which signed "nine\.example\.org"/,
  },
  {
    when: "the second intermediate is missing",
    chain: () => [lower.pem],
    reason: "CertificateChainIncomplete",
    says: /^tls\.crt lacks the certificate of "Middle", which signed "Lower"/,
  },
  {
    when: "the intermediates are in the wrong order",
    chain: () => [middle.pem, lower.pem],
    reason: "CertificateChainIncomplete",
    says: /not in order: "Lower" must come right after "nine\.example\.org"/,
  },
  {
    when: "another's certificate is between",
    chain: () => [stranger.pem, lower.pem, middle.pem],
    reason: "CertificateChainIncomplete",
    says: /not in order/,
  },
  {
    when: "its authority is unknown and comes with it",
    chain: () => [stranger.pem],
    from: () => stranger,
    reason: "CertificateUntrusted",
    says: /^"Stranger" is self-signed and not a root certificate that clients trust/,
  },
  {
    when: "its authority has the name of a known one",
    chain: async () => [],
    from: () => makeAuthority("Test Root"),
    reason: "CertificateChainIncomplete",
  },
  {
    when: "an intermediate has ended",
    chain: async () => [expired.pem],
    from: () => expired,
    reason: "CertificateExpired",
    says: /^"Expired" in tls\.crt expired at /,
  },
  {
    when: "an intermediate has not begun",
    chain: () => [early.pem],
    from: () => early,
    reason: "CertificateInvalid",
    says: /^"Early" is not valid before /,
  },
  {
    when: "an intermediate is no authority",
    chain: () => [noAuthority.pem],
    from: () => noAuthority,
    reason: "CertificateChainIncomplete",
  },
  {
    when: "an intermediate may have none below it",
    chain: () => [belowLower.pem, lower.pem, middle.pem],
    from: () => belowLower,
    reason: "CertificateInvalid",
    says: /^"Lower" allows fewer certificates below it/,
  },
  {
    when: "an intermediate is for clients alone",
    chain: () => [forClients.pem],
    from: () => forClients,
    reason: "CertificateInvalid",
    says: /may not sign server certificates/,
  },
  {
    when: "it is for clients alone",
    chain: () => [lower.pem, middle.pem],
    leaf: { usage: ["client"] },
    reason: "CertificateInvalid",
    says: /is not for servers/,
  },
  {
    when: "it has ended",
    chain: () => [lower.pem, middle.pem],
    leaf: { days: [-9, -1] },
    reason: "CertificateExpired",
  },
  {
    when: "it has not begun",
    chain: () => [lower.pem, middle.pem],
    leaf: { days: [1, 9] },
    reason: "CertificateInvalid",
  },
  {
    when: "it is an authority's",
    chain: () => [middle.pem],
    from: () => middle,
    leaf: { authority: true },
    reason: "CertificateInvalid",
    says: /is a CA certificate/,
  },
];

let expired: Authority;
let early: Authority;
let noAuthority: Authority;
let belowLower: Authority;
let forClients: Authority;
beforeAll(async () => {
  expired = await root.below("Expired", { days: [-90, -1] });
  early = await root.below("Early", { days: [5, 90] });
  noAuthority = await root.below("No authority", { noAuthority: true });
  belowLower = await lower.below("Below lower");
  forClients = await root.below("For clients", { usage: ["client"] });
});

describe("a certificate for a name that everybody must be able to verify", () => {
  test.each(cases)("$reason when $when", async ({ chain, leaf, from = () => lower, reason, says }) => {
    const { certificatePem, keyPem } = await (await from()).issue(names, leaf);
    const pair = { certificatePem: certificatePem + (await chain()).join(""), keyPem };
    const { problem } = judge(pair);
    expect(problem?.reason, problem?.message).toBe(reason);
    if (says) expect(problem?.message).toMatch(says);
    // what we take, OpenSSL takes; only order is a matter of who looks (RFC 8446 lets clients put
    // it right)
    if (reason === undefined) expect(opensslTakes(pair.certificatePem, root.pem)).toBe(true);
    else if (!/not in order|is a CA certificate/.test(problem?.message ?? ""))
      expect(opensslTakes(pair.certificatePem, root.pem)).toBe(false);
  });

  test("a key that does not sign", async () => {
    const { certificatePem, keyPem } = await lower.issue(names, { onlyEncrypts: true });
    const { problem } = judge({ certificatePem: certificatePem + lower.pem + middle.pem, keyPem });
    expect(problem).toMatchObject({ reason: "CertificateInvalid", message: expect.stringMatching(/digitalSignature/) });
  });

  test("the verdict holds until the first of the chain ends, or one begins", async () => {
    const short = await root.below("Short", { days: [-90, 3] });
    const { certificatePem, keyPem } = await short.issue(names);
    const { facts } = judge({ certificatePem: certificatePem + short.pem, keyPem });
    expect(facts?.changesAt).toEqual(new Date(new X509Certificate(short.pem).validTo));
    expect(facts?.notAfter).toEqual(new Date(new X509Certificate(certificatePem).validTo));
    const later = await early.issue(names);
    const waits = judge({ ...later, certificatePem: later.certificatePem + early.pem });
    expect(waits.facts?.changesAt).toEqual(new Date(new X509Certificate(early.pem).validFrom));
  });

  test("a self-signed one is refused for such a name, and taken where clients accept it", async () => {
    const pair = await makeSelfSigned(domain, new Date());
    expect(judge(pair).problem?.reason).toBe("CertificateUntrusted");
    expect(judge(pair, { roots: undefined }).problem).toBeUndefined();
  });

  test("authorities of the spec count beside those that everybody knows", async () => {
    const { certificatePem, keyPem } = await stranger.issue(names);
    const both = new Roots([new X509Certificate(stranger.pem)], roots);
    expect(judge({ certificatePem, keyPem }, { roots: both }).problem).toBeUndefined();
    const other = await root.issue(names);
    expect(judge(other, { roots: both }).problem).toBeUndefined();
    expect(judge(other, { roots: new Roots([new X509Certificate(stranger.pem)]) }).problem).toBeDefined();
  });

  test("of www and mta-sts those that are missing are named", async () => {
    const { certificatePem, keyPem } = await root.issue([domain, `www.${domain}`]);
    expect(judge({ certificatePem, keyPem })).toEqual({
      facts: expect.objectContaining({ missingNames: [`mta-sts.${domain}`] }),
    });
    const wild = await root.issue([`*.${domain}`, domain]);
    expect(judge(wild).facts?.missingNames).toEqual([]);
    expect(judge(await root.issue([`*.${domain}`])).problem?.reason).toBe("CertificateMismatch");
  });

  test("the roots that everybody knows are there, and ours is none of them", () => {
    const known = new X509Certificate(root.pem);
    expect(publicRoots().above(known)).toEqual([]);
    expect(judge({ certificatePem: root.pem, keyPem: "" }).problem?.reason).toBe("CertificateInvalid");
  });
});

describe("what programs can't serve", () => {
  test.each(["TRUSTED CERTIFICATE", "X509 CERTIFICATE", "PKCS7"])("BEGIN %s", async (label) => {
    const { certificatePem, keyPem } = await root.issue(names);
    const { problem } = judge({ certificatePem: certificatePem.replaceAll("CERTIFICATE", label), keyPem });
    expect(problem).toMatchObject({
      reason: "CertificateInvalid",
      message: `tls.crt is not a certificate that servers can use: it has BEGIN ${label}, not BEGIN CERTIFICATE`,
    });
  });

  test("a TRUSTED CERTIFICATE after a good one", async () => {
    const { certificatePem, keyPem } = await lower.issue(names);
    const chain = lower.pem.replaceAll("CERTIFICATE", "TRUSTED CERTIFICATE");
    expect(judge({ certificatePem: certificatePem + chain + middle.pem, keyPem }).problem?.reason).toBe(
      "CertificateInvalid",
    );
  });

  test.each([
    { kind: "p256", says: undefined },
    { kind: "p384", says: undefined },
    { kind: "rsa2048", says: undefined },
    { kind: "rsa4096", says: undefined },
    { kind: "p521", says: /curve secp521r1/ },
    { kind: "rsa1024", says: /RSA with 1024 bits/ },
    { kind: "ed25519", says: /type ed25519/ },
  ] as const satisfies { kind: keyof typeof keyKinds; says: RegExp | undefined }[])(
    "a key of $kind: $says",
    async ({ kind, says }) => {
      const { problem } = judge(await root.issue(names, { key: kind }));
      expect(problem?.reason).toBe(says && "CertificateInvalid");
      if (says) expect(problem?.message).toMatch(says);
    },
  );

  test("a key that belongs to the second certificate, and its cure", async () => {
    const { certificatePem, keyPem } = await root.issue(names);
    const { problem } = judge({ certificatePem: middle.pem + certificatePem, keyPem });
    expect(problem?.message).toMatch(/it is that of certificate 2, which has to come first/);
  });

  test("a block without an end, a second key, a key with a password", async () => {
    const { certificatePem, keyPem } = await root.issue(names);
    const cut = `${certificatePem}-----BEGIN CERTIFICATE-----\nMII`;
    expect(readPair({ certificatePem: cut, keyPem })).toEqual({ problem: expect.stringMatching(/a block has no end/) });
    expect(readPair({ certificatePem, keyPem: keyPem + keyPem })).toEqual({
      problem: expect.stringMatching(/more than one key/),
    });
    const locked = createPrivateKey(keyPem).export({
      type: "pkcs8",
      format: "pem",
      cipher: "aes-256-cbc",
      passphrase: "x",
    });
    expect(readPair({ certificatePem, keyPem: String(locked) })).toEqual({
      problem: expect.stringMatching(/without a password/),
    });
  });

  test("more certificates than clients take", async () => {
    const { certificatePem, keyPem } = await root.issue(names);
    const { problem } = judge({ certificatePem: certificatePem + middle.pem.repeat(10), keyPem });
    expect(problem?.message).toBe("tls.crt has 11 certificates, more than 10");
    expect(certificatesIn(root.pem.repeat(501), "bundle")).toEqual({
      problem: "bundle has 501 certificates, more than 500",
    });
  });

  test("old forms of keys are served in the new form, whatever line ends they have", async () => {
    const { certificatePem, keyPem } = await root.issue(names);
    const sec1 = createPrivateKey(keyPem).export({ type: "sec1", format: "pem" }).toString();
    const pair = readPair({
      certificatePem: certificatePem.replaceAll("\n", "\r\n"),
      keyPem: sec1.replaceAll("\n", "\r\n"),
    });
    if ("problem" in pair) throw new Error(pair.problem);
    expect(joinedPem(pair)).toMatch(/^-----BEGIN PRIVATE KEY-----\n[^\r]+$/);
  });
});
