/** What the status says of the records of a domain. */
import { describe, expect, test } from "vitest";
import type { Condition } from "../../../../src/api/chatmail-server.ts";
import type { Verification, VerifiedSet } from "../../../../src/dns/verify.ts";
import { valueTexts } from "../../../../src/dns/zone-text.ts";
import { domainRecords } from "../../../../src/operator/server/domain-records.ts";
import type { Seen } from "../../../../src/operator/server/seen.ts";
import { dnsVerdict, recordsArePublished, unpublished } from "../../../../src/operator/server/verdicts/dns.ts";
import { recordsIn } from "../../../../src/operator/server/verdicts/records.ts";
import type { NamesStatus } from "../../../../src/operator/tasks/dns.ts";
import { aServer } from "../../../helpers/a-server.ts";
import { dkimKeys, facts, present } from "../../../helpers/identities.ts";

const now = new Date("2026-11-29T12:00:00Z");
const mx = {
  name: "_nine.test.",
  type: "MX",
  values: [{ preference: 10, host: "_nine.test." }],
  need: "Required",
} as const;
const spf = { name: "_nine.test.", type: "TXT", values: ["v=spf1 a ~all"], need: "Recommended" } as const;

type States = Partial<Record<"MX" | "TXT", VerifiedSet["state"]>>;
const status = (states: States = {}, more: Partial<NamesStatus> = {}): NamesStatus => ({
  verification: {
    zone: "_nine.test",
    nameServers: ["ns1.test", "ns2.test"],
    dnssec: "Insecure",
    faults: [],
    reverse: [],
    records: [mx, spf].map(({ name, type }) => {
      const state = states[type] ?? "Published";
      return { name, type, state, seen: [], at: state === "Published" ? [] : ["ns2.test"] };
    }),
  },
  notOurs: [],
  of: { domain: "_nine.test", sets: [mx, spf], reverse: [] },
  ...more,
});
const verified = (more: Partial<Verification>): NamesStatus => {
  const { verification, ...rest } = status();
  return { ...rest, verification: { ...(verification as Verification), ...more } };
};
const tsig = { name: "k", algorithm: "hmac-sha256", secret: Buffer.from("x") } as const;
const seen = (dns: Seen["dns"]): Seen => ({
  certificate: { source: "SelfSigned", secretName: "nine-tls", facts },
  identity: { dkim: present(dkimKeys()) },
  jobs: [],
  dns,
});
const rfc2136 = { servers: ["192.0.2.53"], tsig: { keyName: "k", secretRef: { name: "tsig" } } };
const byHand = aServer();
const byUpdate = aServer({ dns: { mode: "RFC2136", rfc2136 } });
const failed = { reason: "TsigKeyUnknown", message: "no such key" } as const;
const unreachable = { reason: "DnsServerUnreachable", message: "no answer" } as const;

interface Row {
  when: string;
  dns: Seen["dns"];
  /** DNSReady, and why Ready is what it is: by hand, and where the operator updates the zone. */
  hand: [string | undefined, string | undefined];
  update: [string | undefined, string | undefined];
}

test.each<Row>([
  {
    when: "nothing is known yet",
    dns: { status: undefined, tsig },
    hand: ["Unknown RecordsNotVerified", undefined],
    update: ["False RecordsPending", "RecordsPending"],
  },
  {
    when: "all is published",
    dns: { status: status(), tsig },
    hand: ["True RecordsPublished", undefined],
    update: ["True RecordsPublished", undefined],
  },
  {
    when: "a required record is missing",
    dns: { status: status({ MX: "Missing" }), tsig },
    hand: ["False RecordsIncomplete", "ServingUnpublished"],
    update: ["False RecordsPending", "RecordsPending"],
  },
  {
    when: "a recommended record is missing",
    dns: { status: status({ TXT: "Missing" }), tsig },
    hand: ["True RecordsPublished", undefined],
    update: ["True RecordsPublished", undefined],
  },
  {
    when: "no name server answers",
    dns: { status: status({ MX: "Unknown", TXT: "Unknown" }), tsig },
    hand: ["Unknown RecordsUnknown", undefined],
    update: ["Unknown RecordsUnknown", undefined],
  },
  {
    when: "there is no such zone",
    dns: { status: status({}, { verification: { unknown: "no zone" } }), tsig },
    hand: ["Unknown RecordsUnknown", undefined],
    update: ["Unknown RecordsUnknown", undefined],
  },
  {
    when: "the update fails, and records are missing",
    dns: { status: status({ MX: "Missing" }, { problem: failed }), tsig },
    hand: ["False RecordsIncomplete", "ServingUnpublished"],
    update: ["False TsigKeyUnknown", "TsigKeyUnknown"],
  },
  {
    when: "the update fails for something that only a person corrects, and all is there",
    dns: { status: status({}, { problem: failed }), tsig },
    hand: ["True RecordsPublished", undefined],
    update: ["False TsigKeyUnknown", undefined],
  },
  {
    when: "the update fails for something that passes, and all is there",
    dns: { status: status({}, { problem: unreachable }), tsig },
    hand: ["True RecordsPublished", undefined],
    update: ["True RecordsPublished", undefined],
  },
  {
    when: "the Secret is missing, and all is there",
    dns: { status: status(), tsig: { problem: { reason: "TsigSecretMissing", message: "no Secret" } } },
    hand: ["True RecordsPublished", undefined],
    update: ["False TsigSecretMissing", undefined],
  },
  {
    when: "neither a resolver nor the name server answers, at first",
    dns: { status: status({}, { verification: { unknown: "no resolver" }, problem: unreachable }), tsig },
    hand: ["Unknown RecordsUnknown", undefined],
    update: ["False DnsServerUnreachable", "DnsServerUnreachable"],
  },
  {
    when: "the Secret is missing, and so are records",
    dns: {
      status: status({ MX: "Missing" }),
      tsig: { problem: { reason: "TsigSecretMissing", message: "no Secret" } },
    },
    hand: ["False RecordsIncomplete", "ServingUnpublished"],
    update: ["False TsigSecretMissing", "TsigSecretMissing"],
  },
  {
    when: "a record of somebody else is in the way",
    dns: {
      status: status({ MX: "Different" }, { notOurs: [{ name: "_nine.test.", type: "MX", seen: ["5 a."] }] }),
      tsig,
    },
    hand: ["False RecordsIncomplete", "ServingUnpublished"],
    update: ["False RecordsNotOurs", "RecordsNotOurs"],
  },
  {
    when: "the signatures of the zone are wrong",
    dns: { status: verified({ dnssec: "Bogus" }), tsig },
    hand: ["False DnssecBogus", undefined],
    update: ["False DnssecBogus", undefined],
  },
  {
    when: "CAA records forbid the authority",
    dns: { status: verified({ issuerProblem: "not yours" }), tsig },
    hand: ["False CaaForbidsIssuer", undefined],
    update: ["False CaaForbidsIssuer", undefined],
  },
  { when: "nobody looks", dns: undefined, hand: [undefined, undefined], update: [undefined, undefined] },
])("$when", ({ dns, hand, update }) => {
  const verdicts = ([byHand, byUpdate] as const).map((server) => {
    const verdict = dnsVerdict(server, seen(dns), now);
    const ready = recordsArePublished(seen(dns), server, now) ?? unpublished(server, seen(dns));
    return [verdict && `${verdict.status} ${verdict.reason}`, ready?.reason];
  });
  expect(verdicts).toEqual([hand, update]);
});

describe("while neither a resolver nor the name server answers", () => {
  const dns = { status: status({}, { verification: { unknown: "no resolver" }, problem: unreachable }), tsig };
  const said = (reason: string, is: Condition["status"], observedGeneration = 1) => {
    const condition = { type: "DNSReady", status: is, reason, message: "", lastTransitionTime: "", observedGeneration };
    const server = { ...byUpdate, status: { conditions: [condition] } };
    server.metadata = { ...server.metadata, generation: 1 };
    const verdict = dnsVerdict(server, seen(dns), now);
    return [`${verdict?.status} ${verdict?.reason}`, recordsArePublished(seen(dns), server, now)?.reason];
  };

  test.each(["RecordsPublished", "DKIMRotationWaits", "CaaForbidsIssuer", "DnssecBogus", "RecordsUnknown"])(
    "records that were published (%s) are taken to be there",
    (reason) => expect(said(reason, "False")).toEqual(["Unknown RecordsUnknown", undefined]),
  );

  test.each(["RecordsPending", "RecordsNotVerified", "TsigSecretWrong"])("others (%s) are not", (reason) =>
    expect(said(reason, "False")).toEqual(["False DnsServerUnreachable", "DnsServerUnreachable"]),
  );

  test("nor are those of another spec", () =>
    expect(said("RecordsPublished", "True", 0)).toEqual(["False DnsServerUnreachable", "DnsServerUnreachable"]));
});

test("the message names each record, where it is wrong and what stands there", () => {
  const { message } = dnsVerdict(byHand, seen({ status: status({ MX: "Missing", TXT: "Missing" }) }), now) ?? {};
  expect(message).toBe("MX _nine.test. is missing at ns2.test; TXT _nine.test. is missing at ns2.test");
});

test("with external-dns required records gate Ready, and what it can't publish is told", () => {
  const server = aServer({ dns: { mode: "ExternalDNS" } });
  const pending = recordsArePublished(seen({ status: status({ MX: "Missing" }) }), server, now);
  expect(pending?.reason).toBe("RecordsPending");
  expect(pending?.message).toMatch(/MX _nine\.test\. is missing .*external-dns publishes DNSEndpoint nine/);
  const caa = { name: "_nine.test.", type: "CAA", values: [], need: "Recommended" } as const;
  const of = status({}, { of: { domain: "_nine.test", sets: [mx, spf, caa], reverse: [] } });
  if ("unknown" in of.verification) throw new Error("unknown");
  of.verification.records.push({ name: caa.name, type: "CAA", state: "Missing", seen: [], at: ["ns1.test"] });
  expect(recordsArePublished(seen({ status: of }), server, now)).toBeUndefined();
  const says = (of: typeof server, dns: Seen["dns"]) => dnsVerdict(of, seen(dns), now)?.message;
  expect(says(server, { status: of })).toMatch(/external-dns can't publish CAA records: publish them by hand/);
  expect(says(byHand, { status: of })).not.toMatch(/external-dns/);
});

const serverWith = (records: object[], conditions: Condition[] = []) => ({
  ...aServer({ network: { addresses: ["203.0.113.9"] } }),
  status: { dns: { records: records as never, zone: "_nine.test", nameServers: ["ns1.test"] }, conditions },
});
const recordOf = (dns: Seen["dns"], server: ReturnType<typeof aServer>, at = "2026-11-29T12:00:00Z") =>
  recordsIn(server, seen(dns), at).dns?.records?.find(({ type }) => type === "MX");

test("since when a record is as it is stays until it changes", () => {
  const before = [
    { name: "_nine.test.", type: "MX", values: [], need: "Required", state: "Missing", since: "2026-01-01T00:00:00Z" },
  ];
  expect(recordOf({ status: status({ MX: "Missing" }) }, serverWith(before))).toMatchObject({
    state: "Missing",
    at: ["ns2.test"],
    since: "2026-01-01T00:00:00Z",
  });
  expect(recordOf({ status: status() }, serverWith(before))).toMatchObject({
    state: "Published",
    since: "2026-11-29T12:00:00Z",
  });
});

test("counts of what is published are for the column", () => {
  const { dns } = recordsIn(byHand, seen({ status: status({ TXT: "Different" }) }), "2026-11-29T12:00:00Z");
  expect(dns).toMatchObject({ required: "1/1", recommended: "0/1", zone: "_nine.test", dnssec: "Insecure" });
});

test("an operator that has just started says what the status remembers, so nothing is written", () => {
  const condition: Condition = {
    type: "DNSReady",
    status: "True",
    reason: "RecordsPublished",
    message: "all are there",
    lastTransitionTime: "2026-01-01T00:00:00Z",
  };
  const mxBefore = {
    name: "_nine.test.",
    type: "MX",
    values: ["10 _nine.test."],
    need: "Required",
    state: "Published",
    since: "2026-01-01T00:00:00Z",
  };
  const server = serverWith([mxBefore], [condition]);
  expect(dnsVerdict(server, seen({ status: undefined }), now)).toMatchObject({
    status: "True",
    message: "all are there",
  });
  expect(recordOf({ status: undefined }, server)).toEqual(mxBefore);
  expect(recordsIn(server, seen({ status: undefined }), "x").dns).toMatchObject({
    zone: "_nine.test",
    nameServers: ["ns1.test"],
    required: "1/1",
  });
});

test("an address of the other family that nobody wants is listed where it is there", () => {
  const unwanted = { name: "_nine.test.", type: "AAAA", values: [], need: "Required" } as const;
  const of = status({}, { of: { domain: "_nine.test", sets: [mx, spf, unwanted], reverse: [] } });
  if ("unknown" in of.verification) throw new Error("unknown");
  of.verification.records.push({
    name: "_nine.test.",
    type: "AAAA",
    state: "Different",
    seen: ["2001:db8::1"],
    at: ["ns1.test"],
  });
  expect(recordsIn(byHand, seen({ status: of }), "x").dns?.records).toContainEqual(
    expect.objectContaining({ type: "AAAA", values: [], state: "Different", seen: ["2001:db8::1"] }),
  );
});

describe("TLSA records are listed", () => {
  const of = (spec: object, before: object | undefined, dns: Seen["dns"], keptKeys = ["cd"]) => {
    const server = {
      ...aServer({ network: { addresses: ["203.0.113.9"] }, ...spec }),
      status: { dns: before } as never,
    };
    const certificate = { source: "SelfSigned", secretName: "x", facts, keptKeys } as const;
    const sets = domainRecords(server, { ...seen(dns), certificate })?.sets ?? [];
    return sets.filter(({ type }) => type === "TLSA").flatMap(valueTexts);
  };
  const listed = {
    dnssec: "Secure",
    records: [{ name: "_25._tcp._nine.test.", type: "TLSA", values: [], need: "Recommended" }],
  };

  test.each<{ when: string; before?: object; dns: Seen["dns"]; values: string[] }>([
    { when: "where the zone is validated", dns: { status: verified({ dnssec: "Secure" }) }, values: ["3 1 1 cd"] },
    { when: "not where it is only signed", dns: { status: verified({ dnssec: "Signed" }) }, values: [] },
    {
      when: "not where it is not signed any more",
      before: listed,
      dns: { status: verified({ dnssec: "Insecure" }) },
      values: [],
    },
    {
      when: "still while no validator answers",
      before: listed,
      dns: { status: verified({ dnssec: "Signed" }) },
      values: ["3 1 1 cd"],
    },
    {
      when: "still while nothing is known of the zone",
      before: listed,
      dns: { status: status({}, { verification: { unknown: "x" } }) },
      values: ["3 1 1 cd"],
    },
    { when: "still after a restart", before: listed, dns: { status: undefined }, values: ["3 1 1 cd"] },
    { when: "not where nobody looks", before: listed, dns: undefined, values: [] },
  ])("$when", ({ before, dns, values }) => {
    expect(of({}, before, dns)).toEqual(values);
  });

  test("with the next key, and not for a key that may be another at each renewal", () => {
    const dns = { status: verified({ dnssec: "Secure" }) };
    expect(of({}, undefined, dns, ["cd", "ef"])).toEqual(["3 1 1 cd", "3 1 1 ef"]);
    expect(of({}, undefined, dns, [])).toEqual([]);
  });
});

describe("the CAA record", () => {
  const caaOf = (certificate: Partial<Seen["certificate"]>, before?: string) => {
    const records =
      before === undefined ? [] : [{ name: "_nine.test.", type: "CAA", values: [before], need: "Recommended" }];
    const server = { ...aServer({ network: { addresses: ["203.0.113.9"] } }), status: { dns: { records } } as never };
    const of = { secretName: "x", facts, source: "ACME", ...certificate } as const;
    const sets = domainRecords(server, { ...seen({ status: undefined }), certificate: of })?.sets ?? [];
    return sets.filter(({ type }) => type === "CAA").flatMap(valueTexts);
  };
  const before = '0 issue "ca.example;accounturi=https://ca.example/acct/1"';

  test("names the authority and the account, once they are known", () => {
    expect(caaOf({})).toEqual([]);
    expect(caaOf({ issuer: { domain: "ca.example", accountURI: "https://ca.example/acct/1" } })).toEqual([before]);
  });

  test("stays while nobody has asked the authority, after a restart, and goes with another source", () => {
    expect(caaOf({}, before)).toEqual([before]);
    expect(caaOf({}, '0 issue "ca.example"')).toEqual(['0 issue "ca.example"']);
    expect(caaOf({ issuer: { domain: "other.example" } }, before)).toEqual(['0 issue "other.example"']);
    expect(caaOf({ source: "Secret" }, before)).toEqual([]);
  });
});
