import { expect, test } from "vitest";
import { dnsChildren } from "../../../../src/operator/server/desired.ts";
import type { Seen } from "../../../../src/operator/server/seen.ts";
import { aServer } from "../../../helpers/a-server.ts";
import { facts, present } from "../../../helpers/identities.ts";

const key = { type: "ed25519", base64: "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=" } as const;
const seen: Seen = {
  certificate: { source: "SelfSigned", secretName: "nine-tls", facts },
  identity: { dkim: present({ rsaKeyPem: "private", published: [{ selector: "chatmail", key }] }) },
  jobs: [],
};
const network = { addresses: ["203.0.113.9"] };
const endpointOf = (dns: object, more: object = { network }) =>
  dnsChildren(aServer({ ...more, dns }), seen).find(({ object }) => object.kind === "DNSEndpoint")?.object as
    | { metadata: { labels: object; annotations?: object; ownerReferences?: object[] }; spec: { endpoints: object[] } }
    | undefined;

test("there is one where external-dns publishes, and the relay has an address", () => {
  expect(endpointOf({ mode: "Manual" })).toBeUndefined();
  // records that are published stay as they are
  expect(endpointOf({ mode: "ExternalDNS" }, {})).toBeUndefined();
  const types = endpointOf({ mode: "ExternalDNS" })?.spec.endpoints.map(
    (each) => (each as { recordType: string }).recordType,
  );
  expect(new Set(types)).toEqual(new Set(["A", "MX", "TXT", "CNAME", "SRV"]));
});

test("it has the labels and annotations by which external-dns is told apart", () => {
  const externalDNS = { labels: { zone: "public", "chatmail.dev/server": "x" }, annotations: { by: "one" } };
  const metadata = endpointOf({ mode: "ExternalDNS", externalDNS })?.metadata;
  expect(metadata?.labels).toMatchObject({ zone: "public", "chatmail.dev/server": "nine" });
  expect(metadata?.annotations).toEqual({ by: "one" });
});

test("it goes with the server, unless the records are to stay", () => {
  expect(endpointOf({ mode: "ExternalDNS" })?.metadata.ownerReferences).toHaveLength(1);
  expect(endpointOf({ mode: "ExternalDNS", onDelete: "Keep" })?.metadata.ownerReferences).toBeUndefined();
});

test("only what is required, where that is asked for", () => {
  const all = endpointOf({ mode: "ExternalDNS" })?.spec.endpoints.length ?? 0;
  const required = endpointOf({ mode: "ExternalDNS", records: "Required" })?.spec.endpoints.length ?? 0;
  expect([required, all]).toEqual([3, 11]);
});
