/** What a rotation is told of records and of the pod, and what the status says of it. */
import { describe, expect, test } from "vitest";
import { dkimFingerprint } from "../../../../src/dns/dkim-key.ts";
import type { Verification } from "../../../../src/dns/verify.ts";
import type { KeyState } from "../../../../src/operator/identity/rotation.ts";
import { domainRecords } from "../../../../src/operator/server/domain-records.ts";
import { lossesIn } from "../../../../src/operator/server/losses.ts";
import { wantedNames } from "../../../../src/operator/server/observe-dns.ts";
import { freshLook, rotationDeadline, rotationStep } from "../../../../src/operator/server/rotation-step.ts";
import type { Seen } from "../../../../src/operator/server/seen.ts";
import { dkimOf } from "../../../../src/operator/server/verdicts/dkim.ts";
import { dnsVerdict } from "../../../../src/operator/server/verdicts/dns.ts";
import { aServer, type SpecInput } from "../../../helpers/a-server.ts";
import { dkimKeys, facts, present } from "../../../helpers/identities.ts";

/** As of `since` in dkimKeys. */
const now = new Date("2026-11-01T00:00:00Z");
const later = (seconds: number) => new Date(now.getTime() + seconds * 1_000);
const key = (base64: string) => ({ type: "rsa", base64 }) as const;
const keysIn = (state: KeyState) =>
  dkimKeys({ selector: "old", key: key("AAA") }, { selector: "new", key: key("BBB"), state });
const recordName = (selector: string) => `${selector}._domainkey._nine.test.`;

interface Told {
  state?: "Published" | "Missing" | "Different" | "Unknown" | undefined;
  faults?: string[];
  asOf?: string;
  signing?: string[] | "no report" | "no pod";
}
function seenWith(of: KeyState, { state = "Published", faults = [], asOf, signing = ["old"] }: Told = {}): Seen {
  const at = state === "Published" ? [] : ["ns2.test"];
  const records = ["old", "new"].map((selector) => ({
    name: recordName(selector),
    type: "TXT" as const,
    state: selector === "old" ? ("Published" as const) : state,
    seen: [],
    at: selector === "old" ? [] : at,
  }));
  const verification: Verification = {
    zone: "_nine.test",
    nameServers: ["ns1.test", "ns2.test"],
    dnssec: "Insecure",
    records,
    reverse: [],
    faults,
  };
  const sets = records.map(({ name, type }) => ({ name, type, values: ["x"], need: "Recommended" as const }));
  const reported = Array.isArray(signing) ? { signing: { "_nine.test": signing } } : {};
  return {
    certificate: { source: "SelfSigned", secretName: "nine-tls", facts },
    identity: { dkim: present(keysIn(of)) },
    jobs: [],
    dns: {
      status: { verification, notOurs: [], of: { domain: "_nine.test", sets, reverse: [], ...(asOf && { asOf }) } },
    },
    ...(signing !== "no pod" && { pod: { apiVersion: "v1", kind: "Pod", metadata: { name: "nine-0" } } }),
    relay: { report: { acceptingAccounts: {}, ...reported } },
  };
}
const server = (spec: SpecInput = {}, annotations: Record<string, string> = {}) =>
  aServer({ dns: { ttlSeconds: 300, ...(spec.dns as object) }, ...spec }, { annotations });
const due = "2026-11-01T00:10:00Z";

describe("a new key", () => {
  test.each<{ when: string; of: KeyState; told: Told; at?: Date; next: string }>([
    { when: "its record is everywhere", of: "Publishing", told: {}, next: "Published" },
    {
      when: "a name server lacks it",
      of: "Publishing",
      told: { state: "Missing" },
      next: "new is missing at ns2.test",
    },
    {
      when: "a name server has another",
      of: "Publishing",
      told: { state: "Different" },
      next: "is another at ns2.test",
    },
    { when: "a name server is silent", of: "Publishing", told: { faults: ["ns2: silent"] }, next: "ns2: silent" },
    {
      when: "no name server answers",
      of: "Publishing",
      told: { state: "Unknown", faults: ["all silent"] },
      next: "all silent",
    },
    { when: "it was just published", of: "Published", told: {}, next: `signs at ${due}` },
    { when: "two TTLs are over", of: "Published", told: {}, at: later(600), next: "verified once more" },
    { when: "it was verified again", of: "Published", told: { asOf: due }, at: later(600), next: "Active" },
    {
      when: "it was verified again, and no pod runs",
      of: "Published",
      told: { asOf: due, signing: "no pod" },
      at: later(600),
      next: "Active",
    },
    {
      when: "the image is too old",
      of: "Published",
      told: { asOf: due, signing: "no report" },
      at: later(600),
      next: "too old",
    },
  ])("when $when: $next", ({ of, told, at = now, next }) => {
    const step = rotationStep(server(), seenWith(of, told), at);
    const state = step?.to?.sets.find(({ selectors }) => selectors.includes("new"))?.state;
    expect(state ?? step?.waits?.message.replaceAll(recordName("new"), "new")).toContain(next);
  });

  test("nothing is decided while the key that signs is lost, or there is none", () => {
    const fingerprint = dkimFingerprint(key("CCC"));
    const status = { dkim: { keys: [{ selector: "x", algorithm: "RSA" as const, fingerprint }] } };
    expect(rotationStep({ ...server(), status }, seenWith("Publishing"), now)).toBeUndefined();
    expect(rotationStep(server(), { ...seenWith("Publishing"), identity: {} }, now)).toBeUndefined();
  });

  test("has the records verified once more, and is waited for without polling", () => {
    expect(rotationDeadline(server(), seenWith("Published"), now)).toEqual(later(600));
    expect(freshLook(server(), seenWith("Published"), later(599))).toEqual({});
    expect(freshLook(server(), seenWith("Published"), later(600))).toEqual({ asOf: due });
  });

  test("has a record from Publishing on, which is required once it signs", () => {
    const needs = (of: KeyState) =>
      domainRecords(server(), seenWith(of))
        ?.sets.filter(({ name }) => /^(old|new)\./.test(name))
        .map(({ name, need }) => `${need} ${name.slice(0, 3)}`);
    expect(needs("Pending")).toEqual(["Required old"]);
    expect(needs("Publishing")).toEqual(["Required old", "Recommended new"]);
    expect(needs("Active")).toEqual(["Required old", "Required new"]);
  });

  test("is published where only required records are; the zone's owner stays", () => {
    const rfc2136 = { servers: ["192.0.2.53"], tsig: { keyName: "k", secretRef: { name: "tsig" } } };
    const spec = { dns: { mode: "RFC2136", records: "Required", rfc2136 }, network: { addresses: ["203.0.113.9"] } };
    const seen = seenWith("Publishing");
    const tsig = { name: "k", algorithm: "hmac-sha256", secret: Buffer.from("x") } as const;
    const owned = keysIn("Publishing");
    const dkim = present({ ...owned, rotation: { ...owned.rotation, owner: "first" } });
    const update = wantedNames(server(spec), {
      ...seen,
      identity: { dkim },
      dns: { status: seen.dns?.status, tsig },
    })?.update;
    expect(update?.records.map(({ name }) => name)).toContain(recordName("new"));
    expect(update?.records.map(({ name }) => name)).not.toContain("_dmarc._nine.test.");
    expect(update?.owners[0]).toBe("first");
  });
});

test("the status lists the keys, what signs, what is awaited and when the next rotation is", () => {
  const waiting = dkimOf(
    server({ dkim: { rotation: { everyDays: 30 } } }),
    seenWith("Publishing", { state: "Missing" }),
    now,
  );
  expect(waiting.dkim).toMatchObject({
    signing: ["old"],
    message: expect.stringMatching(/until you publish its record/),
    keys: [
      { selector: "old", state: "Active" },
      { selector: "new", state: "Publishing", record: { name: recordName("new") } },
    ],
  });
  expect(waiting.dkim).not.toHaveProperty("nextRotationTime");
  const resting = dkimOf(
    server({ dkim: { rotation: { everyDays: 30 } } }),
    seenWith("Retiring", { signing: ["old"] }),
    now,
  );
  expect(resting.dkim?.nextRotationTime).toBe("2026-12-01T00:00:00Z");
});

test.each([
  { mode: "Manual", told: { state: "Missing" }, is: ["False", "DKIMRotationWaits"] },
  { mode: "Manual", told: {}, is: ["True", "RecordsPublished"] },
] as const)("DNSReady is $is where records are published by $mode and $told", ({ mode, told, is }) => {
  const verdict = dnsVerdict(server({ dns: { mode } }), seenWith("Publishing", { ...told }), now);
  expect([verdict?.status, verdict?.reason]).toEqual(is);
});

describe("the data loss guard", () => {
  const remembering = (base64: string) => {
    const fingerprint = dkimFingerprint(key(base64));
    const keys = [
      { selector: "x", algorithm: "RSA" as const, state: "Retiring" as const, fingerprint: "older" },
      { selector: "y", algorithm: "RSA" as const, state: "Active" as const, fingerprint },
    ];
    return { ...server(), status: { dkim: { keys } } };
  };
  test.each([
    { when: "signs", base64: "AAA", lost: [] },
    { when: "is retiring", base64: "BBB", lost: [] },
    { when: "was removed by a rotation", base64: "CCC", lost: [] },
    { when: "is in no Secret", base64: "DDD", lost: ["DKIMKeyLost"] },
  ])("finds $lost where the key that the status remembers $when", ({ base64, lost }) => {
    const keys = keysIn("Retiring");
    const dkim = present({ ...keys, rotation: { ...keys.rotation, removed: [dkimFingerprint(key("CCC"))] } });
    const found = lossesIn(remembering(base64), { ...seenWith("Retiring"), identity: { dkim } });
    expect(found.map(({ reason }) => reason)).toEqual(lost);
  });
});
