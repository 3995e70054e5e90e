import { describe, expect, test } from "vitest";
import type { LivePod } from "../../../../src/operator/server/live.ts";
import type { Seen } from "../../../../src/operator/server/seen.ts";
import {
  endingNote,
  servedDeadlines,
  servedIsValid,
  servedVerdict,
  wantedServed,
} from "../../../../src/operator/server/verdicts/served.ts";
import type { ServedPort } from "../../../../src/operator/tasks/served.ts";
import { aServer } from "../../../helpers/a-server.ts";

const now = new Date("2026-11-23T12:00:00Z");
const dayMs = 86_400_000;
const days = (count: number) => new Date(now.getTime() + count * dayMs);
const sha256 = "ab".repeat(32);

const pod = (more: object = {}) =>
  ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "nine-0", uid: "u1", ...more },
    status: { podIP: "10.0.0.9", conditions: [{ type: "Ready", status: "True" }] },
  }) as unknown as LivePod;
const seenWith = (ports: readonly ServedPort[] | undefined, more: Partial<Seen> = {}): Seen => ({
  identity: {},
  certificate: {
    source: "Secret",
    secretName: "cert",
    facts: { notAfter: days(60), changesAt: days(60), sha256, keySha256: "cd", missingNames: [] },
  },
  jobs: [],
  pod: pod(),
  ...(ports && {
    served: { ports, of: { podUid: "u1", host: "10.0.0.9", domain: "nine.test", sha256, proxyProtocol: false } },
  }),
  ...more,
});
/** Of a certificate for so many days, of which some are left. */
const port = (number: number, left = 60, life = 90, more: Partial<ServedPort> = {}): ServedPort => ({
  port: number,
  state: "Current",
  notBefore: days(left - life),
  notAfter: days(left),
  ...more,
});
const verdict = (ports: readonly ServedPort[] | undefined) => servedVerdict(aServer(), seenWith(ports), now);

describe("CertificateServed", () => {
  test.each([
    { when: "no port was asked", ports: undefined, is: "Unknown CertificateNotChecked" },
    { when: "all is right", ports: [port(25), port(993)], is: "True CertificateCurrent" },
    { when: "22 days of 90 are left", ports: [port(25, 22)], is: "True CertificateCurrent" },
    { when: "21 days of 90 are left", ports: [port(25, 21)], is: "True CertificateEnding" },
    { when: "7 days of 90 are left", ports: [port(25, 7)], is: "False CertificateEndsSoon" },
    { when: "15 days of 45 are left, when it is renewed", ports: [port(25, 15, 45)], is: "True CertificateCurrent" },
    { when: "10 days of 45 are left", ports: [port(25, 10, 45)], is: "True CertificateEnding" },
    { when: "2 days of 6 are left, when it is renewed", ports: [port(25, 2, 6)], is: "True CertificateCurrent" },
    { when: "a day of 6 is left", ports: [port(25, 1, 6)], is: "True CertificateEnding" },
    { when: "11 hours of 6 days are left", ports: [port(25, 0.46, 6)], is: "False CertificateEndsSoon" },
    { when: "21 days of 100 years are left", ports: [port(25, 21, 36_500)], is: "True CertificateEnding" },
    { when: "one port of many is late", ports: [port(25), port(993, 5)], is: "False CertificateEndsSoon" },
    { when: "one has ended", ports: [port(25), port(993, 0)], is: "False CertificateExpired" },
    {
      when: "one is another",
      ports: [port(25), port(993, 60, 90, { state: "Outdated" })],
      is: "False CertificateOutdated",
    },
    {
      when: "one does not answer",
      ports: [port(25), { port: 993, state: "Unreachable" }],
      is: "Unknown CertificateUnreachable",
    },
    {
      when: "one is another and one does not answer",
      ports: [port(25, 60, 90, { state: "Outdated" }), { port: 993, state: "Unreachable" }],
      is: "False CertificateOutdated",
    },
    {
      when: "none answers",
      ports: [{ port: 993, state: "Unreachable" }],
      is: "Unknown CertificateUnreachable",
    },
  ] satisfies { when: string; ports: ServedPort[] | undefined; is: string }[])("is $is when $when", ({ ports, is }) => {
    const found = verdict(ports);
    expect(`${found?.status} ${found?.reason}`).toBe(is);
  });

  test("names the ports, and what they present", () => {
    const outdated = { state: "Outdated", why: "without a name: cd" } as const;
    const ports: ServedPort[] = [
      port(25, 60, 90, outdated),
      port(465, 60, 90, outdated),
      port(587, 60, 90, outdated),
      { port: 993, state: "Unreachable", why: "connect ECONNREFUSED" },
    ];
    expect(verdict(ports)?.message).toBe(
      `ports 25, 465 and 587 present another certificate than ${sha256} (without a name: cd); port 993 does not answer with TLS (connect ECONNREFUSED)`,
    );
  });

  test("says nothing of another certificate than the one that was looked for", () => {
    const renewed = seenWith([port(25)]);
    const facts = { ...renewed.certificate.facts, sha256: "ef".repeat(32) } as typeof renewed.certificate.facts;
    const seen = { ...renewed, certificate: { ...renewed.certificate, facts } };
    expect(servedVerdict(aServer(), seen, now)).toEqual({
      status: "Unknown",
      reason: "CertificateNotChecked",
      message: `the ports have not been asked for ${"ef".repeat(32)} yet`,
    });
  });

  test("is absent where there is nothing to serve", () => {
    const seen = seenWith(undefined, { certificate: { source: "None", secretName: "x" } });
    expect(servedVerdict(aServer(), seen, now)).toBeUndefined();
  });

  test("is judged again on the day of each warning, and at the end", () => {
    expect(servedDeadlines(seenWith([port(25, 60)]))).toEqual([days(39), days(53), days(60)]);
    expect(servedDeadlines(seenWith(undefined))).toEqual([]);
  });
});

test("a certificate that has ended keeps Ready from being True, another one does not", () => {
  expect(servedIsValid(seenWith([port(993, -1)]), aServer(), now)).toMatchObject({ reason: "CertificateExpired" });
  expect(servedIsValid(seenWith([port(993, 60, 90, { state: "Outdated" })]), aServer(), now)).toBeUndefined();
  expect(servedIsValid(seenWith(undefined), aServer(), now)).toBeUndefined();
});

test("each warning is one event", () => {
  const status = (reason: string) => ({
    conditions: [{ type: "CertificateServed", status: "True" as const, reason, message: "m", lastTransitionTime: "" }],
  });
  const noted = (before: string, after: string) => endingNote(status(before), status(after))?.reason;
  expect(noted("CertificateCurrent", "CertificateEnding")).toBe("CertificateEnding");
  expect(noted("CertificateEnding", "CertificateEnding")).toBeUndefined();
  expect(noted("CertificateEnding", "CertificateEndsSoon")).toBe("CertificateEndsSoon");
  expect(noted("CertificateEndsSoon", "CertificateCurrent")).toBeUndefined();
  expect(endingNote(undefined, status("CertificateEnding"))?.type).toBe("Warning");
});

describe("what is asked", () => {
  const wanted = (seen: Partial<Seen>, server = aServer()) => wantedServed(server, seenWith(undefined, seen));
  const gone: Seen["certificate"] = { source: "Secret", secretName: "cert" };
  test("the pod, at its own address", () => {
    expect(wanted({})).toMatchObject({ host: "10.0.0.9", podUid: "u1", sha256, proxyProtocol: false });
  });
  test("nothing, while the pod is not ready, is ending or is not there", () => {
    expect(wanted({ pod: undefined })).toBeUndefined();
    expect(wanted({ pod: pod({ deletionTimestamp: "2026-11-23T11:59:00Z" }) })).toBeUndefined();
    expect(wanted({ pod: { ...pod(), status: { podIP: "10.0.0.9" } } })).toBeUndefined();
    expect(wanted({ pod: { ...pod(), status: { conditions: [{ type: "Ready", status: "True" }] } } })).toBeUndefined();
  });
  test("with a Secret that is gone, what was served last", () => {
    const before = { ...aServer(), status: { certificate: { sha256: "cd" } } };
    expect(wanted({ certificate: gone })).toBeUndefined();
    expect(wanted({ certificate: gone }, before)?.sha256).toBe("cd");
    expect(wanted({ certificate: { ...gone, last: { sha256: "ef", notAfter: now } } }, before)?.sha256).toBe("ef");
  });
});
