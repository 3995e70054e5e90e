import { describe, expect, test } from "vitest";
import { ApiError } from "../../../../src/kube/api-error.ts";
import { type CertCondition, CertManager } from "../../../../src/operator/cert-manager.ts";
import { askIssuerAgainMs, withCertManager } from "../../../../src/operator/server/observe-cert-manager.ts";
import { certManagerCertificate } from "../../../../src/operator/server/resources/certificate.ts";
import type { SeenCertificate } from "../../../../src/operator/server/seen.ts";
import type { World } from "../../../../src/operator/server/world.ts";
import { aServer } from "../../../helpers/a-server.ts";

const issuerRef = { name: "letsencrypt", kind: "ClusterIssuer", group: "cert-manager.io" };
const server = aServer({ certificate: { source: "CertManager", certManager: { issuerRef } } });
const signal = new AbortController().signal;
const now = new Date("2026-11-29T12:00:00Z");
const facts = { notAfter: now, changesAt: now, sha256: "ab", keySha256: "cd", missingNames: [] };
const refusal = (status: number) => new ApiError({ status, reason: "", message: `refused with ${status}` });

/** An API server that has this; null: it has none; an error: it says so. */
interface Has {
  kinds?: ApiError;
  issuer?: object | null | ApiError;
  certificate?: readonly CertCondition[] | null;
}
function clientOf({ kinds, issuer = {}, certificate = null }: Has) {
  const calls = { list: 0, get: 0 };
  const answer = (value: unknown) => {
    if (value instanceof ApiError) throw value;
    return value ?? undefined;
  };
  const client = {
    calls,
    listPage: async () => {
      calls.list++;
      return answer(kinds ?? {});
    },
    get: async ({ plural }: { plural: string }) => {
      calls.get++;
      if (plural !== "certificates") return answer(issuer);
      return certificate ? { metadata: { name: "nine-tls" }, status: { conditions: certificate } } : undefined;
    },
  };
  return client as unknown as ConstructorParameters<typeof CertManager>[0] & { calls: typeof calls };
}
const seenWith = async (has: Has, given: Partial<SeenCertificate> = {}, of = server) => {
  const client = clientOf(has);
  const world = { client, certManager: new CertManager(client) } as unknown as World;
  const missing = { reason: "CertificateMissing", message: "there is no Secret" } as const;
  const secret: SeenCertificate = { source: "CertManager", secretName: "nine-tls-issued", problem: missing, ...given };
  return withCertManager(of, secret, world, signal);
};
const condition = (type: string, status: string, message: string, reason = "Failed"): CertCondition => ({
  type,
  status,
  message,
  reason,
});
const isReady = { status: { conditions: [condition("Ready", "True", "")] } };
const isNotReady = { status: { conditions: [condition("Ready", "False", "wrong directory")] } };
const asking = "cert-manager has not issued a certificate into Secret nine-tls-issued:";

describe("why there is no certificate", () => {
  test.each([
    {
      when: "the cluster has no cert-manager",
      has: { kinds: refusal(404) },
      says: "CertManagerMissing the cluster has no cert-manager (cert-manager.io/v1): install it, or let the certificate come from another source (certificate.source)",
    },
    {
      when: "the operator lacks the rights",
      has: { kinds: refusal(403) },
      says: "CertManagerMissing the operator may not use Certificates of cert-manager in namespace chatmail: give it the rights of its chart (refused with 403)",
    },
    {
      when: "nothing was asked yet",
      has: { issuer: isReady },
      says: `CertificateMissing ${asking} it has not been asked yet`,
    },
    {
      when: "there is no such issuer",
      has: { issuer: null },
      says: `CertificateMissing ${asking} there is no ClusterIssuer letsencrypt`,
    },
    {
      when: "the issuer is not ready",
      has: { issuer: isNotReady },
      says: `CertificateMissing ${asking} ClusterIssuer letsencrypt is not ready: wrong directory`,
    },
    {
      when: "the issuer may not be read",
      has: { issuer: refusal(403), certificate: [condition("Issuing", "True", "in the works")] },
      says: `CertificateMissing ${asking} in the works`,
    },
    {
      when: "the authority has refused",
      has: {
        issuer: isReady,
        certificate: [condition("Ready", "False", "x"), condition("Issuing", "False", "CAA forbids")],
      },
      says: `CertificateMissing ${asking} CAA forbids`,
    },
    {
      when: "it has not answered",
      has: { issuer: isReady, certificate: [] },
      says: `CertificateMissing ${asking} it has not answered to Certificate nine-tls yet`,
    },
  ] satisfies { when: string; has: Has; says: string }[])("$when", async ({ has, says }) => {
    const { problem } = await seenWith(has);
    expect(`${problem?.reason} ${problem?.message}`).toBe(says);
  });

  test("a Secret that is there and wrong says more than cert-manager does", async () => {
    const problem = { reason: "CertificateInvalid", message: "no pair" } as const;
    expect((await seenWith({ issuer: isReady }, { problem })).problem).toEqual(problem);
  });
});

describe("a certificate that is there is served, whatever keeps the next one away", () => {
  const given = { facts, problem: undefined };
  test.each([
    { when: "all is well", has: { issuer: isReady }, note: undefined },
    {
      when: "it was issued",
      has: { issuer: isReady, certificate: [condition("Issuing", "False", "success", "Issued")] },
      note: undefined,
    },
    {
      when: "a renewal has failed",
      has: { issuer: isReady, certificate: [condition("Issuing", "False", "CAA forbids")] },
      note: "cert-manager can't renew it: CAA forbids",
    },
    {
      when: "the issuer is gone",
      has: { issuer: null },
      note: "cert-manager can't renew it: there is no ClusterIssuer letsencrypt",
    },
    {
      when: "cert-manager is gone",
      has: { kinds: refusal(404) },
      note: expect.stringContaining("it is not renewed: the cluster has no"),
    },
  ] satisfies { when: string; has: Has; note: unknown }[])("$when", async ({ has, note }) => {
    const seen = await seenWith(has, given);
    expect(seen).toMatchObject({ facts, problem: undefined });
    expect(seen.note).toEqual(note);
  });

  const account = { acme: { uri: "https://acme-v02.api.letsencrypt.org/acme/acct/1" } };
  const acme = (host: string) => ({
    spec: { acme: { server: `https://${host}/directory` } },
    status: { ...isReady.status, ...account },
  });
  test("the account of an issuer that can be read is for CAA records, where its authority is known", async () => {
    expect((await seenWith({ issuer: acme("acme-v02.api.letsencrypt.org") }, given)).issuer).toEqual({
      domain: "letsencrypt.org",
      accountURI: account.acme.uri,
    });
    for (const issuer of [acme("acme.own.example"), isReady, null, refusal(403)])
      expect((await seenWith({ issuer }, given)).issuer).toBeUndefined();
  });

  test("its key is one that stays, unless each certificate has another", async () => {
    const always = { issuerRef, privateKey: { rotationPolicy: "Always" } };
    const rotating = aServer({ certificate: { source: "CertManager", certManager: always } });
    expect((await seenWith({ issuer: isReady }, given)).keptKeys).toEqual(["cd"]);
    expect((await seenWith({ issuer: isReady }, given, rotating)).keptKeys).toBeUndefined();
  });

  test("nothing is asked of a cluster that has no cert-manager", async () => {
    expect((await seenWith({ kinds: refusal(404) })).issuerRef).toBeUndefined();
    expect((await seenWith({ issuer: isReady })).issuerRef).toEqual(issuerRef);
  });
});

test("a thousand servers ask twice a minute whether cert-manager is there now, and then no more", async () => {
  let nowMs = 0;
  const has: Has = { kinds: refusal(404) };
  const client = clientOf(has);
  const certManager = new CertManager(client, () => nowMs);
  const ask = () => Promise.all(Array.from({ length: 1_000 }, () => certManager.missing("chatmail", signal)));
  await ask();
  await ask();
  expect(client.calls.list).toBe(1);
  nowMs += 31_000;
  expect((await ask())[0]?.reason).toBe("CertManagerMissing");
  expect(client.calls.list).toBe(2);
});

test("an error of the server is nobody's absence, and is not remembered", async () => {
  const client = clientOf({ kinds: refusal(503) });
  const certManager = new CertManager(client);
  await expect(certManager.missing("chatmail", signal)).rejects.toThrow("503");
  await expect(certManager.missing("chatmail", signal)).rejects.toThrow("503");
  expect(client.calls.list).toBe(2);
});

test("issuers of other groups are passed on and not read", async () => {
  const client = clientOf({});
  const certManager = new CertManager(client);
  expect(await certManager.issuer({ ...issuerRef, group: "awspca.cert-manager.io" }, "chatmail", signal)).toEqual({});
  expect(client.calls.get).toBe(0);
});

describe("what is asked for", () => {
  const specOf = (domain: string, certManager: object = {}) =>
    certManagerCertificate(
      aServer({ domain, certificate: { source: "CertManager", certManager: { issuerRef, ...certManager } } }),
      issuerRef,
    ).spec;
  test("the names of the domain, and a key that stays", () => {
    expect(specOf("nine.example")).toEqual({
      secretName: "nine-tls-issued",
      dnsNames: ["nine.example", "www.nine.example", "mta-sts.nine.example"],
      issuerRef,
      usages: ["digital signature", "key encipherment", "server auth"],
      privateKey: { algorithm: "ECDSA", size: 256, rotationPolicy: "Never" },
    });
  });
  test("an address as an address, and another key where the spec says so", () => {
    const spec = specOf("192.0.2.7", { privateKey: { algorithm: "RSA", rotationPolicy: "Always" } });
    expect(spec).toMatchObject({
      ipAddresses: ["192.0.2.7"],
      privateKey: { algorithm: "RSA", size: 2048, rotationPolicy: "Always" },
    });
    expect(spec.dnsNames).toBeUndefined();
  });
});

test("while nothing is issued it is asked again, ever less often; else the Secret tells", () => {
  const at = (certificate: Partial<SeenCertificate>, minutes: number) =>
    askIssuerAgainMs(
      { certificate: { source: "CertManager", secretName: "x", ...certificate } },
      new Date(now.getTime() - minutes * 60_000),
      now,
    );
  expect([0, 4, 20, 600].map((minutes) => at({}, minutes))).toEqual([15_000, 60_000, 300_000, 600_000]);
  expect(at({ facts }, 4)).toBeUndefined();
  expect(at({ facts, note: "not renewed" }, 4)).toBe(60_000);
  expect(at({ source: "Secret" }, 4)).toBeUndefined();
  expect(at({ problem: { reason: "CertManagerMissing", message: "" } }, 600)).toBe(60_000);
});
