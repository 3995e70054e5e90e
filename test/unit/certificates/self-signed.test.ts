import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { judgeCertificate } from "../../../src/certificates/judge.ts";
import { makeSelfSigned } from "../../../src/certificates/self-signed.ts";

const now = new Date("2026-11-23T00:00:00Z");
const day = 86_400_000;

/** What OpenSSL, which is not our own reader, makes of it. */
function openssl(pem: string): string {
  const folder = mkdtempSync(join(tmpdir(), "certificate-"));
  try {
    writeFileSync(join(folder, "c.pem"), pem);
    return execFileSync("openssl", ["x509", "-in", join(folder, "c.pem"), "-noout", "-text"], { encoding: "utf8" });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("a self-signed certificate", () => {
  test("names the domain, www and mta-sts, for server and client, for a hundred years, with an EC key", async () => {
    const text = openssl((await makeSelfSigned("_nine.test", now)).certificatePem);
    expect(text).toMatch(/DNS:_nine\.test, DNS:www\._nine\.test, DNS:mta-sts\._nine\.test/);
    expect(text).toMatch(/TLS Web Server Authentication, TLS Web Client Authentication/);
    expect(text).toMatch(/NIST CURVE: P-256/);
    expect(text).toMatch(/Not After : Oct 30 00:00:00 2126 GMT/);
    expect(text).toMatch(/Subject: CN ?= ?_nine\.test$/m);
    expect(text).toMatch(/Basic Constraints: critical\s+CA:FALSE/);
  });

  test("of an address has it as IP address and as text", async () => {
    const text = openssl((await makeSelfSigned("203.0.113.9", now)).certificatePem);
    expect(text).toMatch(/DNS:203\.0\.113\.9, IP Address:203\.0\.113\.9/);
  });

  test("of an IPv6 address has it as IP address alone, and is for it", async () => {
    const { certificatePem, keyPem } = await makeSelfSigned("2001:db8::9", now);
    expect(openssl(certificatePem)).toMatch(/Subject Alternative Name: *\n *IP Address:2001:DB8:0:0:0:0:0:9\n/);
    expect(judgeCertificate({ certificatePem, keyPem, domain: "2001:db8::9", now }).problem).toBeUndefined();
    expect(judgeCertificate({ certificatePem, keyPem, domain: "2001:db8::a", now }).problem).toEqual({
      reason: "CertificateMismatch",
      message: expect.stringContaining("not for 2001:db8::a"),
    });
  });

  test("is another one each time", async () => {
    const [one, other] = await Promise.all([makeSelfSigned("_a.test", now), makeSelfSigned("_a.test", now)]);
    expect(one.keyPem).not.toBe(other.keyPem);
  });
});

describe("judging a certificate", async () => {
  const pair = await makeSelfSigned("_nine.test", now);
  const wild = await makeSelfSigned("*.example.org", now);
  const other = await makeSelfSigned("_nine.test", now);
  const inDays = (days: number) => new Date(now.getTime() + days * day);

  test.each([
    { when: "all is well", domain: "_nine.test", reason: undefined },
    { when: "the domain is www", domain: "www._nine.test", reason: undefined },
    { when: "the domain is another", domain: "_ten.test", reason: "CertificateMismatch" },
    { when: "a wildcard covers it", ...wild, domain: "nine.example.org", reason: undefined },
    { when: "a wildcard is one label short", ...wild, domain: "a.nine.example.org", reason: "CertificateMismatch" },
    { when: "a wildcard is asked for its parent", ...wild, domain: "example.org", reason: "CertificateMismatch" },
    { when: "it has ended this very second", domain: "_nine.test", now: inDays(36_500), reason: "CertificateExpired" },
    {
      when: "it has a second left",
      domain: "_nine.test",
      now: new Date(inDays(36_500).getTime() - 1_000),
      reason: undefined,
    },
    { when: "it has not begun", domain: "_nine.test", now: inDays(-3), reason: "CertificateInvalid" },
    {
      when: "the key is of another certificate",
      domain: "_nine.test",
      keyPem: other.keyPem,
      reason: "CertificateInvalid",
    },
    { when: "the key is no key", domain: "_nine.test", keyPem: "secret", reason: "CertificateInvalid" },
    {
      when: "the certificate is no certificate",
      domain: "_nine.test",
      certificatePem: "hello",
      reason: "CertificateInvalid",
    },
  ])("says $reason when $when", ({ when: _, reason, ...given }) => {
    expect(judgeCertificate({ ...pair, now, ...given }).problem?.reason).toBe(reason);
  });

  test("tells when it ends and what its fingerprint is", () => {
    const { facts } = judgeCertificate({ ...pair, now, domain: "_nine.test" });
    expect(facts?.notAfter.toISOString()).toBe("2126-10-30T00:00:00.000Z");
    expect(facts?.sha256).toMatch(/^[0-9a-f]{64}$/);
  });
});
