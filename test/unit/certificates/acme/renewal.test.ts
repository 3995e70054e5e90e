import { X509Certificate } from "node:crypto";
import { expect, test } from "vitest";
import { certificateId, firstCertificate, renewalTime } from "../../../../src/certificates/acme/renewal.ts";
import { makeAuthority } from "../../../helpers/authorities.ts";

test("a certificate is renewed about two thirds into its life, each at a moment of its own that stays", async () => {
  const authority = await makeAuthority("An authority");
  const times = await Promise.all(
    ["a.test", "b.test", "c.test"].map(async (name) => {
      const certificate = new X509Certificate((await authority.issue([name])).certificatePem);
      const begins = Date.parse(certificate.validFrom);
      const share =
        (renewalTime(certificate, undefined).getTime() - begins) / (Date.parse(certificate.validTo) - begins);
      expect(renewalTime(certificate, undefined)).toEqual(renewalTime(certificate, undefined));
      return share;
    }),
  );
  for (const share of times) {
    expect(share).toBeGreaterThanOrEqual(0.6);
    expect(share).toBeLessThan(2 / 3);
  }
  expect(new Set(times).size).toBe(3);
});

test("where the authority suggests a window, the moment is within it, also where it is over", async () => {
  const authority = await makeAuthority("An authority");
  const certificate = new X509Certificate((await authority.issue(["a.test"])).certificatePem);
  const window = { start: new Date("2020-01-01T00:00:00Z"), end: new Date("2020-01-02T00:00:00Z") };
  const time = renewalTime(certificate, window);
  expect(time >= window.start && time < window.end).toBe(true);
});

test("text that is no certificate has none, and one that nobody signed has no name with an authority", async () => {
  expect(firstCertificate("none")).toBeUndefined();
  const { makeSelfSigned } = await import("../../../../src/certificates/self-signed.ts");
  const { certificatePem } = await makeSelfSigned("a.test", new Date());
  expect(certificateId(new X509Certificate(certificatePem))).toBeUndefined();
});
