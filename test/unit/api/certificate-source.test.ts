import { expect, test } from "vitest";
import { certificateSource } from "../../../src/api/certificate-source.ts";
import type { WrittenSpec } from "../../../src/api/chatmail-server.ts";
import { resolveServer, type ServerDefaults } from "../../../src/operator/server/spec.ts";

const issuer = { certManager: { issuerRef: { name: "letsencrypt" } } };
const account = { acme: { email: "admin@nine.example.org" } };
const agreed = { acme: { termsOfServiceAgreed: true } };
const ordinary = "nine.example.org";

function sourceOf(options: {
  domain: string;
  spec?: WrittenSpec["certificate"];
  fleet?: WrittenSpec["certificate"];
  operator?: WrittenSpec["certificate"];
}) {
  const { domain, spec, fleet, operator } = options;
  const layer = (certificate: WrittenSpec["certificate"]): ServerDefaults => (certificate ? { certificate } : {});
  const written = { domain, ...(spec && { certificate: spec }) };
  const resolved = resolveServer({ spec: written, metadata: {} }, layer(operator), {
    name: "community",
    defaults: layer(fleet),
  });
  if (!("spec" in resolved)) throw new Error(resolved.problem.message);
  return certificateSource(resolved.spec);
}

test.each([
  { when: "a name begins with _", domain: "_nine.test", source: "SelfSigned" },
  { when: "the domain is an address", domain: "192.0.2.9", source: "SelfSigned" },
  { when: "there is an issuer", domain: ordinary, spec: issuer, source: "CertManager" },
  { when: "the operator has an issuer", domain: ordinary, operator: issuer, source: "CertManager" },
  {
    when: "there are an issuer and an account",
    domain: ordinary,
    spec: { ...issuer, ...account },
    source: "CertManager",
  },
  { when: "there is an account", domain: ordinary, spec: account, source: "ACME" },
  { when: "the fleet has an account", domain: ordinary, fleet: account, source: "ACME" },
  { when: "the terms are agreed to", domain: ordinary, operator: agreed, source: "ACME" },
  {
    when: "the operator says so, whatever issuer there is",
    domain: ordinary,
    operator: { source: "ACME", ...account },
    fleet: {},
    source: "ACME",
  },
  {
    when: "the spec says Auto and the operator ACME",
    domain: ordinary,
    spec: { source: "Auto" },
    operator: { source: "ACME", ...account },
    source: "ACME",
  },
  {
    when: "the fleet says Auto and the operator SelfSigned",
    domain: ordinary,
    spec: { source: "Auto" },
    fleet: { source: "Auto" },
    operator: { source: "SelfSigned" },
    source: "SelfSigned",
  },
  {
    when: "the operator says ACME, and a name begins with _",
    domain: "_nine.test",
    operator: { source: "ACME", ...account },
    source: "SelfSigned",
  },
  {
    when: "the fleet says CertManager, and the domain is an address",
    domain: "192.0.2.9",
    fleet: { source: "CertManager", ...issuer },
    source: "SelfSigned",
  },
  {
    when: "the spec asks for a certificate of an address",
    domain: "192.0.2.9",
    spec: { source: "ACME", ...account },
    source: "ACME",
  },
  {
    when: "the spec says SelfSigned and the operator ACME",
    domain: ordinary,
    spec: { source: "SelfSigned" },
    operator: { source: "ACME", ...account },
    source: "SelfSigned",
  },
  {
    when: "the spec names a Secret and the operator an issuer",
    domain: ordinary,
    spec: { source: "Secret", secret: { name: "mine" } },
    operator: issuer,
    source: "Secret",
  },
] as const)("the source is $source when $when", (options) => {
  expect(sourceOf(options)).toEqual({ source: options.source });
});

test.each([
  { when: "nobody says anything", domain: ordinary, says: /nothing says where .*nine\.example\.org.*acme\.email/ },
  {
    when: "the terms are not agreed to",
    domain: ordinary,
    spec: { acme: { termsOfServiceAgreed: false } },
    says: /nothing says where/,
  },
  {
    when: "ACME has no account",
    domain: ordinary,
    spec: { source: "ACME" },
    says: /source is ACME: set certificate\.acme\.email/,
  },
  {
    when: "CertManager has no issuer",
    domain: ordinary,
    spec: { source: "CertManager" },
    says: /source is CertManager: set certificate\.certManager\.issuerRef/,
  },
  {
    when: "no authority signs the name",
    domain: "_nine.test",
    spec: { source: "ACME", ...account },
    says: /no authority signs a certificate for _nine\.test/,
  },
] as const)("it is said what to set when $when", ({ says, ...options }) => {
  expect(sourceOf(options)).toEqual({ source: "None", missing: expect.stringMatching(says) });
});
