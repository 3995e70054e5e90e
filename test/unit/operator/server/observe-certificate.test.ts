/** A self-signed certificate is made once and kept: clients remember its key. */
import { describe, expect, test } from "vitest";
import { type KeyPair, makeSelfSigned } from "../../../../src/certificates/self-signed.ts";
import { observe } from "../../../../src/operator/server/observe.ts";
import { aServer } from "../../../helpers/a-server.ts";

const signal = new AbortController().signal;
const server = aServer({ domain: "_nine.test" });
const now = new Date("2026-11-23T00:00:00Z");
const nothing = { get: () => undefined };

/** The API server has this Secret, and no watch has told of it yet. */
async function observed(pair?: Partial<KeyPair>) {
  const base64 = (text = "") => Buffer.from(text).toString("base64");
  const secret = pair && { data: { "tls.crt": base64(pair.certificatePem), "tls.key": base64(pair.keyPem) } };
  const world = {
    now: () => now,
    stores: new Proxy({}, { get: () => nothing }),
    otherSecrets: nothing,
    jobsByServer: nothing,
    client: { get: async (_: unknown, { name }: { name: string }) => (name.endsWith("-tls") ? secret : undefined) },
  } as unknown as Parameters<typeof observe>[1];
  return (await observe(server, world, signal)).certificate;
}

test("made where there is none", async () => {
  const made = await observed();
  expect(made).toMatchObject({ source: "SelfSigned", absent: true });
  expect(made.problem).toBeUndefined();
  expect(made.pair?.certificatePem).toContain("BEGIN CERTIFICATE");
});

test("the one that is there stays, also while the watch is behind", async () => {
  const pair = await makeSelfSigned("_nine.test", new Date("2026-01-01T00:00:00Z"));
  const seen = await observed(pair);
  expect(seen.pair).toEqual(pair);
  expect(seen).not.toHaveProperty("absent");
});

test.each([
  { when: "it has ended", pair: () => makeSelfSigned("_nine.test", new Date("1920-01-01T00:00:00Z")) },
  { when: "it is another domain's", pair: () => makeSelfSigned("_ten.test", now) },
  { when: "its key is missing", pair: async () => ({ ...(await makeSelfSigned("_nine.test", now)), keyPem: "" }) },
])("another one is made when $when", async ({ pair }) => {
  const before = await pair();
  const seen = await observed(before);
  expect(seen.problem).toBeUndefined();
  expect(seen.pair?.keyPem).not.toBe(before.keyPem);
  expect(seen).not.toHaveProperty("absent");
});

describe("a given Secret", () => {
  const given = aServer({ domain: "_nine.test", certificate: { source: "Secret", secretName: "mine" } });
  const seenOf = async (secret: object) => {
    const world = {
      now: () => now,
      stores: new Proxy({}, { get: () => nothing }),
      otherSecrets: { get: () => ({}) },
      jobsByServer: nothing,
      client: { get: async (_: unknown, { name }: { name: string }) => (name === "mine" ? secret : undefined) },
    } as unknown as Parameters<typeof observe>[1];
    return (await observe(given, world, signal)).certificate;
  };
  const base64 = (text: string) => Buffer.from(text).toString("base64");

  test.each([
    { when: "its type is Opaque", type: "Opaque", labels: {}, says: /of type Opaque/ },
    { when: "its type is missing", type: undefined, labels: {}, says: /of type Opaque/ },
    {
      when: "the operator made it for a server",
      type: "kubernetes.io/tls",
      labels: { "app.kubernetes.io/managed-by": "chatmail-operator" },
      says: /the operator made/,
    },
  ])("is not served when $when", async ({ type, labels, says }) => {
    const { certificatePem, keyPem } = await makeSelfSigned("_nine.test", now);
    const data = { "tls.crt": base64(certificatePem), "tls.key": base64(keyPem) };
    const seen = await seenOf({ metadata: { name: "mine", labels }, ...(type && { type }), data });
    expect(seen).toMatchObject({ unusable: true, problem: { reason: "CertificateMissing" } });
    expect(seen.problem?.message).toMatch(says);
  });
});
