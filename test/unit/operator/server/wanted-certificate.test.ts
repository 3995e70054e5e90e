/** When a certificate may be ordered, and for which names. */
import { expect, test } from "vitest";
import type { VerifiedSet } from "../../../../src/dns/verify.ts";
import { wantedCertificate } from "../../../../src/operator/server/observe-acme.ts";
import type { Seen } from "../../../../src/operator/server/seen.ts";
import { renewalNote } from "../../../../src/operator/server/verdicts/order.ts";
import { planFile } from "../../../../src/pod/layout.ts";
import { planHash } from "../../../../src/pod/plan-files.ts";
import { aServer, type SpecInput } from "../../../helpers/a-server.ts";
import { facts, present } from "../../../helpers/identities.ts";

const domain = "nine.example.org";
const plan = '{"acmeThumbprint": "thumb"}';
const rfc2136 = { servers: ["192.0.2.53"], tsig: { keyName: "chatmail", secretRef: { name: "tsig" } } };
const sets = [
  { name: `${domain}.`, type: "A" },
  { name: `www.${domain}.`, type: "CNAME" },
  { name: `mta-sts.${domain}.`, type: "CNAME" },
] as const;

const verified = (states: Partial<Record<"A" | "www" | "mta-sts", VerifiedSet["state"]>> = {}): Seen["dns"] => ({
  status: {
    verification: {
      zone: "example.org",
      nameServers: [],
      dnssec: "Insecure",
      faults: [],
      reverse: [],
      records: sets.map(({ name, type }) => {
        const label = type === "A" ? "A" : name.startsWith("www") ? "www" : "mta-sts";
        return { name, type, state: states[label] ?? "Published", seen: [], at: [] };
      }),
    },
    notOurs: [],
    of: { domain, sets: [], reverse: [] },
  },
});
const account = { directoryUrl: "https://acme.example/dir", keyPem: "key" };
const acme = { missing: false, thumbprint: "thumb", account, status: undefined };
const answering: Partial<Seen> = {
  configMap: { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "x" }, data: { [planFile]: plan } },
  relay: { report: { acceptingAccounts: {}, plan: { used: planHash(plan) } } },
};
const ordered = (seen: Partial<Seen>, spec: SpecInput = {}, challenge: object = {}) =>
  wantedCertificate(
    aServer({
      domain,
      ...spec,
      certificate: { source: "ACME", acme: { email: "a@b.example", ...challenge } },
    }),
    {
      identity: {},
      jobs: [],
      certificate: { source: "ACME", secretName: "nine-tls", facts, acme },
      dns: verified(),
      ...answering,
      ...seen,
    },
  );

test("all is there: all names, by port 80", () => {
  expect(ordered({})).toEqual({
    secret: { namespace: "chatmail", name: "nine-tls" },
    sha256: "ab",
    domain,
    optional: [`www.${domain}`, `mta-sts.${domain}`],
    account,
    challenge: "http-01",
  });
});

test.each<{
  when: string;
  seen?: Partial<Seen>;
  spec?: SpecInput;
  challenge?: string;
  reason: string | undefined;
  says?: RegExp;
}>([
  {
    when: "the domain leads nowhere",
    seen: { dns: verified({ A: "Missing" }) },
    reason: "CertificateWaits",
    says: /^the authority would not find the relay: A nine\.example\.org\. must/,
  },
  {
    when: "the operator is about to publish the address",
    seen: { dns: verified({ A: "Different" }) },
    spec: { dns: { mode: "RFC2136", rfc2136 } },
    reason: "CertificatePending",
  },
  { when: "no name server answers now", seen: { dns: verified({ A: "Unknown" }) }, reason: undefined },
  { when: "nobody has looked at the records yet", seen: { dns: { status: undefined } }, reason: "CertificatePending" },
  {
    when: "nobody looks after the records",
    seen: { dns: undefined },
    spec: { dns: { mode: "None" } },
    reason: undefined,
  },
  { when: "the pod has not reported", seen: { relay: undefined }, reason: "CertificatePending", says: /port 80/ },
  {
    when: "the pod goes by an earlier plan",
    seen: { relay: { report: { acceptingAccounts: {}, plan: { used: "earlier" } } } },
    reason: "CertificatePending",
  },
  {
    when: "the plan names another account",
    seen: { certificate: { source: "ACME", secretName: "x", facts, acme: { ...acme, thumbprint: "other" } } },
    reason: "CertificatePending",
  },
  {
    when: "records are to verify the domain, and the operator may not write any",
    challenge: "DNS01",
    reason: "CertificateSourceMissing",
    says: /needs dns\.mode RFC2136/,
  },
  {
    when: "records verify the domain, and there is neither pod nor address",
    seen: {
      relay: undefined,
      dns: {
        ...verified({ A: "Missing" }),
        tsig: { name: "chatmail", algorithm: "hmac-sha256", secret: Buffer.from("x") },
      } as Seen["dns"],
      identity: {
        dkim: present({ rsaKeyPem: "x", published: [{ selector: "chatmail", key: { type: "rsa", base64: "AAAA" } }] }),
      },
    },
    spec: { dns: { mode: "RFC2136", rfc2136 } },
    challenge: "DNS01",
    reason: undefined,
  },
])("it waits for $reason when $when", ({ seen = {}, spec, challenge, reason, says = /./ }) => {
  const waits = ordered(seen, spec, challenge ? { challenge } : {})?.waits;
  expect(waits?.reason).toBe(reason);
  if (waits) expect(waits.message).toMatch(says);
});

test.each([
  { when: "www has no record", seen: { dns: verified({ www: "Missing" }) }, names: [`mta-sts.${domain}`] },
  { when: "neither has", seen: { dns: verified({ www: "Missing", "mta-sts": "Different" }) }, names: [] },
])("names that lead elsewhere are not ordered: $when", ({ seen, names }) => {
  expect(ordered(seen)?.optional).toEqual(names);
});

test("nothing is ordered without an account, or while there is no Secret to put it", () => {
  const { account: _, ...without } = acme;
  const certificate = { source: "ACME", secretName: "nine-tls" } as const;
  expect(ordered({ certificate: { ...certificate, facts, acme: without } })).toBeUndefined();
  expect(ordered({ certificate: { ...certificate, acme } })).toBeUndefined();
});

test("a certificate that is good for now says what became of its renewal and of its names", () => {
  const problem = { reason: "CertificateOrderFailed", message: "rate limited" } as const;
  const status = { isOrdering: false, problem, left: { [`www.${domain}`]: "404" } };
  const seen = { certificate: { source: "ACME", secretName: "x", acme: { ...acme, status } } } as const;
  expect(renewalNote(seen)).toBe(`; not renewed: rate limited; the authority refused www.${domain}: 404`);
  expect(renewalNote({ certificate: { source: "SelfSigned", secretName: "x" } })).toBe("");
});
