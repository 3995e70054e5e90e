import { describe, expect, test } from "vitest";
import type { ChatmailServer } from "../../../../src/api/chatmail-server.ts";
import type { KubeObject } from "../../../../src/kube/object.ts";
import type { LiveCronJob, LiveJob } from "../../../../src/operator/server/live.ts";
import type { Judged, Seen } from "../../../../src/operator/server/seen.ts";
import { nextDeadline, statusOf } from "../../../../src/operator/server/status.ts";
import { aServer } from "../../../helpers/a-server.ts";
import { absent, present } from "../../../helpers/identities.ts";

const now = new Date("2026-11-23T12:00:00Z");
/** With the fields that a case needs and no others. */
const kube = <T extends KubeObject>(kind: string, name: string, more: object = {}) =>
  ({
    apiVersion: "v1",
    kind,
    metadata: { name, generation: 2, creationTimestamp: "2026-11-23T11:00:00Z" },
    ...more,
  }) as KubeObject as T;

const healthy: Seen = {
  identity: {},
  certificate: {
    source: "SelfSigned",
    secretName: "nine-tls",
    facts: {
      notAfter: new Date("2126-10-30T00:00:00Z"),
      changesAt: new Date("2126-10-30T00:00:00Z"),
      sha256: "ab",
      keySha256: "cd",
      missingNames: [],
    },
  },
  volumeClaim: kube("PersistentVolumeClaim", "nine-data", { status: { phase: "Bound" } }),
  service: kube("Service", "nine", { status: { loadBalancer: { ingress: [{ ip: "203.0.113.9" }] } } }),
  statefulSet: kube("StatefulSet", "nine", {
    status: { observedGeneration: 2, currentRevision: "a", updateRevision: "a" },
  }),
  pod: kube("Pod", "nine-0", {
    status: {
      phase: "Running",
      hostIP: "198.51.100.2",
      hostIPs: [{ ip: "198.51.100.2" }, { ip: "2001:db8::2" }],
      conditions: [{ type: "Ready", status: "True" }],
      containerStatuses: [{ name: "relay", ready: true }],
    },
  }),
  cronJob: kube("CronJob", "nine-expiry", { status: { lastSuccessfulTime: "2026-11-23T00:02:05Z" } }),
  jobs: [],
};
const judge = (
  seen: Partial<Seen> = {},
  more: Pick<Judged, "refused" | "failures" | "pending"> = {},
  server: ChatmailServer = aServer(),
) => statusOf({ server, seen: { ...healthy, ...seen }, ...more }, now);
const condition = (status: ReturnType<typeof judge>, type: string) => {
  const found = status.conditions?.find((each) => each.type === type);
  return found && `${found.status} ${found.reason}`;
};
const pending = kube("PersistentVolumeClaim", "nine-data", { status: { phase: "Pending" } });
const problem = { reason: "CertificateSourceMissing", message: "give a Secret" } as const;
const crashed = kube("Pod", "nine-0", {
  metadata: { name: "nine-0", namespace: "chatmail" },
  status: { containerStatuses: [{ name: "relay", restartCount: 1, lastState: { terminated: { exitCode: 1 } } }] },
});
const job = (name: string, at: string) =>
  kube<LiveJob>("Job", name, {
    status: {
      conditions: [{ type: "Failed", status: "True", message: "BackoffLimitExceeded", lastTransitionTime: at }],
    },
  });

test.each<{ when: string; seen: Partial<Seen>; ready: string; reconciling: string; stalled: string }>([
  { when: "all is well", seen: {}, ready: "True Serving", reconciling: "False Settled", stalled: "False NotStalled" },
  {
    when: "nothing can get the certificate",
    seen: { certificate: { source: "None", secretName: "x", problem } },
    ready: "False CertificateSourceMissing",
    reconciling: "False CertificateSourceMissing",
    stalled: "True CertificateSourceMissing",
  },
  {
    when: "the certificate is missing and the pod is too",
    seen: {
      certificate: { source: "Secret", secretName: "x", problem: { reason: "CertificateMissing", message: "no" } },
      pod: undefined,
    },
    ready: "False CertificateMissing",
    reconciling: "True CertificateMissing",
    stalled: "False NotStalled",
  },
  {
    when: "the volume is pending",
    seen: { volumeClaim: pending, claimEvent: "no storage class is set" },
    ready: "False VolumePending",
    reconciling: "True VolumePending",
    stalled: "False NotStalled",
  },
  {
    when: "the volume only waits for a pod that crashes",
    seen: {
      volumeClaim: pending,
      claimEvent: "waiting for first consumer to be created before binding",
      pod: crashed,
    },
    ready: "False PodFailing",
    reconciling: "True PodFailing",
    stalled: "False NotStalled",
  },
  {
    when: "the volume is lost",
    seen: { volumeClaim: kube("PersistentVolumeClaim", "nine-data", { status: { phase: "Lost" } }) },
    ready: "False VolumeLost",
    reconciling: "False VolumeLost",
    stalled: "True VolumeLost",
  },
  {
    when: "the pod is not made yet",
    seen: { pod: undefined },
    ready: "False PodMissing",
    reconciling: "True PodMissing",
    stalled: "False NotStalled",
  },
  {
    when: "the new pod is not there yet",
    seen: { statefulSet: kube("StatefulSet", "nine", { status: { observedGeneration: 1 } }) },
    ready: "False Progressing",
    reconciling: "True Progressing",
    stalled: "False NotStalled",
  },
  {
    when: "the pod has old settings",
    seen: {
      statefulSet: kube("StatefulSet", "nine", {
        status: { observedGeneration: 2, currentRevision: "a", updateRevision: "b" },
      }),
    },
    ready: "False Progressing",
    reconciling: "True Progressing",
    stalled: "False NotStalled",
  },
  {
    when: "there is no address",
    seen: { service: kube("Service", "nine") },
    ready: "False AddressPending",
    reconciling: "True AddressPending",
    stalled: "False NotStalled",
  },
])("Ready is $ready when $when", ({ seen, ready, reconciling, stalled }) => {
  const status = judge(seen);
  expect([condition(status, "Ready"), condition(status, "Reconciling"), condition(status, "Stalled")]).toEqual([
    ready,
    reconciling,
    stalled,
  ]);
});

test.each([
  {
    when: "the spec is wrong",
    refused: { reason: "SpecInvalid", message: "spec.domain: no" } as const,
    ready: "False SpecInvalid",
    stalled: "True SpecInvalid",
  },
  {
    when: "the domain is another's",
    refused: { reason: "DomainTaken", message: "older" } as const,
    ready: "False DomainTaken",
    stalled: "True DomainTaken",
  },
  {
    when: "somebody else's object has a name that it needs",
    failures: [{ reason: "ApplyConflict", message: "Service nine exists", concern: "AddressesReady" } as const],
    ready: "False ApplyConflict",
    stalled: "True ApplyConflict",
  },
  {
    when: "a child was refused",
    failures: [{ reason: "ApplyFailed", message: "Service nine: no", concern: "AddressesReady" } as const],
    ready: "False ApplyFailed",
    stalled: "False NotStalled",
  },
])("Ready is $ready when $when", ({ when: _, ready, stalled, ...more }) => {
  const status = judge({}, more);
  expect([condition(status, "Ready"), condition(status, "Stalled")]).toEqual([ready, stalled]);
});

test.each([
  { management: "Managed", seen: {}, is: "True Serving, False Settled, False NotStalled", paused: "False Managed" },
  { management: "Paused", seen: {}, is: "True Serving, False Paused, False NotStalled", paused: "True Paused" },
  {
    management: "Paused",
    seen: { pod: crashed },
    is: "False PodFailing, True PodFailing, False NotStalled",
    paused: "True Paused",
  },
  {
    management: "Paused",
    seen: { waiting: ["StatefulSet nine"] },
    is: "True Serving, False EditWaiting, True EditWaiting",
    paused: "True Paused",
  },
  {
    management: "Unmanaged",
    seen: {},
    is: "True Serving, False Unmanaged, False NotStalled",
    paused: "True Unmanaged",
  },
  {
    management: "Unmanaged",
    seen: { pod: crashed },
    is: "False PodFailing, True PodFailing, False NotStalled",
    paused: "True Unmanaged",
  },
  {
    management: "Unmanaged",
    seen: { statefulSet: undefined, pod: undefined },
    is: "False Unmanaged, False Unmanaged, False NotStalled",
    paused: "True Unmanaged",
  },
])("$management with $seen: $is", ({ management, seen, is, paused }) => {
  const status = judge(seen, {}, aServer({ management }));
  expect(["Ready", "Reconciling", "Stalled"].map((type) => condition(status, type)).join(", ")).toBe(is);
  expect(condition(status, "Paused")).toBe(paused);
});

test.each<{ when: string; more: Pick<Judged, "refused">; seen?: Seen }>([
  { when: "its spec can't be read", more: { refused: { reason: "SpecInvalid", message: "no" } } },
  { when: "its image is not allowed", more: { refused: { reason: "ImageNotAllowed", message: "no" } }, seen: healthy },
])("what is known of a relay stays while $when", ({ more, seen }) => {
  const server = { ...aServer(), status: judge() };
  const status = statusOf(seen ? { server, seen, ...more } : { server, management: "Managed", ...more }, now);
  const { conditions: _, ...known } = server.status;
  expect(status).toMatchObject(known);
  expect(known).toMatchObject({
    addresses: [{}],
    dns: { records: expect.any(Array) },
    invite: { link: "dcaccount:_nine.test" },
  });
  expect(condition(status, "PodReady")).toBe(seen && "True RelayRunning");
  expect(condition(status, "Reconciling")).toBe(`False ${more.refused?.reason}`);
});

test.each([
  { when: "it ran last night", seen: {}, is: "True ExpiryOnTime" },
  {
    when: "it never ran and is new",
    seen: { cronJob: kube<LiveCronJob>("CronJob", "nine-expiry") },
    is: "Unknown ExpiryNotYetRun",
  },
  {
    when: "it has not run for two days",
    seen: {
      cronJob: kube<LiveCronJob>("CronJob", "nine-expiry", { status: { lastSuccessfulTime: "2026-11-21T11:59:00Z" } }),
    },
    is: "False ExpiryLate",
  },
  {
    when: "the last run failed",
    seen: { jobs: [job("nine-expiry-1", "2026-11-23T00:05:00Z")] },
    is: "False ExpiryFailed",
  },
  {
    when: "a run failed and a later one did not",
    seen: { jobs: [job("nine-expiry-1", "2026-11-22T00:05:00Z")] },
    is: "True ExpiryOnTime",
  },
])("ExpiryHealthy is $is when $when", ({ seen, is }) => {
  expect(condition(judge(seen), "ExpiryHealthy")).toBe(is);
});

test("says where the relay is, how people join, and what is served", () => {
  expect(judge()).toMatchObject({
    observedGeneration: 1,
    addresses: [{ type: "IPAddress", value: "203.0.113.9", from: "Service" }],
    invite: { link: "dcaccount:_nine.test", page: "https://_nine.test/" },
    certificate: { source: "SelfSigned", secretName: "nine-tls", notAfter: "2126-10-30T00:00:00Z", sha256: "ab" },
    lastExpiry: { completionTime: "2026-11-23T00:02:05Z" },
  });
});

const key = { type: "rsa", base64: "MIIB" } as const;

test("says which records the domain needs, with the key that is in the cluster", () => {
  const { dkim, dns } = judge({
    identity: { dkim: present({ rsaKeyPem: "private", published: [{ selector: "chatmail", key }] }) },
  });
  const record = { name: "chatmail._domainkey._nine.test.", value: '"v=DKIM1;k=rsa;p=MIIB;s=email;t=s"' };
  const fingerprint = expect.stringMatching(/^[0-9a-f]{64}$/);
  expect(dkim).toEqual({ keys: [{ selector: "chatmail", algorithm: "RSA", fingerprint, record }] });
  const { name, value } = record;
  expect(dns?.records).toContainEqual({ name, type: "TXT", values: [value], need: "Required" });
  expect(dns?.records).toContainEqual({ name: "_nine.test.", type: "A", values: ["203.0.113.9"], need: "Required" });
});

test("names the ConfigMap with the records as text, once it is there", () => {
  expect(judge().dns?.configMapName).toBeUndefined();
  const dnsConfigMap = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "nine-dns" } };
  expect(judge({ dnsConfigMap }).dns?.configMapName).toBe("nine-dns");
});

test("a key that is not in the cluster yet is not for the DNS", () => {
  const { dkim, dns } = judge({ identity: { dkim: absent } });
  expect(dkim).toBeUndefined();
  expect(dns?.records?.some(({ name }) => name.includes("chatmail._domainkey"))).toBe(false);
});

test("a Secret without its key is the first thing to put right", () => {
  const dkimProblem = { reason: "DkimKeyInvalid", message: "put it back" } as const;
  const status = judge({
    identity: { dkim: { ...present(undefined), state: "broken", problem: dkimProblem } },
    pod: undefined,
  });
  expect(condition(status, "Ready")).toBe("False DkimKeyInvalid");
});

test("an address literal needs no records", () => {
  const status = judge({}, {}, aServer({ domain: "192.0.2.7" }));
  expect(status.dns).toBeUndefined();
});

test.each(["HostPort", "NodePort"])("with %s the addresses are those of the pod's node", (exposure) => {
  expect(judge({}, {}, aServer({ network: { exposure } })).addresses).toEqual([
    { type: "IPAddress", value: "198.51.100.2", from: "Node" },
    { type: "IPAddress", value: "2001:db8::2", from: "Node" },
  ]);
});

test.each(["HostPort", "NodePort", "LoadBalancer"])("with %s the addresses of the spec come first", (exposure) => {
  const { addresses, dns } = judge({}, {}, aServer({ network: { exposure, addresses: ["192.0.2.1", "192.0.2.2"] } }));
  expect(addresses).toEqual([
    { type: "IPAddress", value: "192.0.2.1", from: "Spec" },
    { type: "IPAddress", value: "192.0.2.2", from: "Spec" },
  ]);
  expect(dns?.records?.find(({ type }) => type === "A")?.values).toEqual(["192.0.2.1", "192.0.2.2"]);
});

test("every condition speaks of the generation that was judged", () => {
  const status = judge({}, {}, aServer({}, { generation: 7 }));
  expect(new Set(status.conditions?.map((each) => each.observedGeneration))).toEqual(new Set([7]));
});

test("lastTransitionTime moves only when the status does; the same again is the same to the letter", () => {
  const first = judge({ pod: undefined });
  const server = { ...aServer(), status: first };
  const later = new Date(now.getTime() + 60_000);
  expect(statusOf({ server, seen: { ...healthy, pod: undefined } }, later)).toEqual(first);
  const ready = statusOf({ server, seen: healthy }, later).conditions?.find((each) => each.type === "Ready");
  expect(ready?.lastTransitionTime).toBe("2026-11-23T12:01:00Z");
});

test("the next look is when expiry would be late, or the certificate or one of its chain ends", () => {
  expect(nextDeadline(healthy, now)?.toISOString()).toBe("2026-11-25T00:02:05.000Z");
  const facts = {
    notAfter: new Date("2027-11-24T00:00:00Z"),
    changesAt: new Date("2026-11-24T00:00:00Z"),
    sha256: "",
    keySha256: "",
    missingNames: [],
  };
  const certificate = { ...healthy.certificate, facts };
  expect(nextDeadline({ ...healthy, certificate }, now)?.toISOString()).toBe("2026-11-24T00:00:00.000Z");
});

test("names that a given certificate lacks are told, and keep nobody out", () => {
  const facts = {
    notAfter: now,
    changesAt: now,
    sha256: "ab",
    keySha256: "cd",
    missingNames: ["www.a.example", "mta-sts.a.example"],
  };
  const status = judge({ certificate: { source: "Secret", secretName: "mine", facts } });
  expect(status.conditions?.find(({ type }) => type === "CertificateReady")).toMatchObject({
    status: "True",
    message: "from Secret mine, until 2026-11-23; not for www.a.example and mta-sts.a.example",
  });
});

test.each([
  { registration: "Open", invites: undefined, invite: { link: "dcaccount:_nine.test", page: "https://_nine.test/" } },
  { registration: "Closed", invites: undefined, invite: undefined },
  { registration: "Invite", invites: { secretName: "nine-invites", count: 2 }, invite: { secretName: "nine-invites" } },
] as const)("registration $registration shows no token: $invite", ({ registration, invites, invite }) => {
  const status = judge({ invites }, {}, aServer({ accounts: { registration } }));
  expect(status.invite).toEqual(invite);
  expect(condition(status, "InvitesReady")).toBe(invites && "True InvitesThere");
});

test("where clients would make up an address that is not allowed, the link asks the relay for one", () => {
  const accounts = { usernameMinLength: 12, usernameMaxLength: 12 };
  expect(judge({}, {}, aServer({ domain: "nine.example.org", accounts })).invite).toEqual({
    link: "dcaccount:https://nine.example.org/new",
    page: "https://nine.example.org/",
  });
  expect(judge({}, {}, aServer({ accounts })).invite).toEqual({ page: "https://_nine.test/join" });
});

test("a Secret without an invite is told, and keeps nobody out who is in", () => {
  const server = aServer({ accounts: { registration: "Invite" } });
  const status = judge({ invites: { secretName: "own", count: 0 } }, {}, server);
  expect(condition(status, "InvitesReady")).toBe("False InvitesMissing");
  expect(condition(status, "Ready")).toBe("True Serving");
});

test.each<{ when: string; relay: Seen["relay"]; says: string }>([
  { when: "it has not been asked", relay: undefined, says: "Unknown RelayNotAsked" },
  { when: "it can't be reached", relay: { unreachable: "connect ECONNREFUSED" }, says: "Unknown RelayUnreachable" },
  {
    when: "it makes accounts",
    relay: { report: { acceptingAccounts: { "_nine.test": { status: true } } } },
    says: "True AccountsOpen",
  },
  {
    when: "it reports on another domain alone",
    relay: { report: { acceptingAccounts: { "_ten.test": { status: true } } } },
    says: "Unknown RelayNotAsked",
  },
  {
    when: "its disk is nearly full",
    relay: { report: { acceptingAccounts: { "_nine.test": { status: false, reason: "DiskLow", message: "x" } } } },
    says: "False DiskLow",
  },
])("AcceptingAccounts is $says when $when, and Ready is as before", ({ relay, says }) => {
  const status = judge({ relay }, {}, aServer({ domain: "_nine.test" }));
  expect(condition(status, "AcceptingAccounts")).toBe(says);
  expect(condition(status, "Ready")).toBe("True Serving");
});

test.each([
  { reason: "UpdateChecking", message: "the running pod goes on while an image is checked" },
  { reason: "ImageUnavailable", message: "the running pod is not replaced: an image can't be pulled" },
] as const)("$reason: what waits for what comes by itself keeps nobody from being served", ({ reason, message }) => {
  const status = judge({}, { pending: [{ reason, message, concern: "UpToDate" }] });
  expect(["Ready", "Reconciling", "Stalled", "UpToDate"].map((type) => condition(status, type))).toEqual([
    "True Serving",
    `True ${reason}`,
    "False NotStalled",
    `False ${reason}`,
  ]);
});

const delivers = (
  deliverable?: Record<string, { status: boolean; step?: string; message?: string }>,
): Seen["relay"] => ({
  report: { acceptingAccounts: { "_nine.test": { status: true } }, ...(deliverable && { deliverable }) },
});

test.each<{ when: string; relay: Seen["relay"]; says: string; ready?: string }>([
  { when: "the pod has not been asked", relay: undefined, says: "Unknown NotProbed" },
  {
    when: "the pod can't be reached",
    relay: { unreachable: "connect ECONNREFUSED" },
    says: "Unknown RelayUnreachable",
  },
  { when: "its image knows no probe", relay: delivers(), says: "Unknown NotProbed" },
  { when: "it has no verdict yet", relay: delivers({ "_ten.test": { status: true } }), says: "Unknown NotProbed" },
  { when: "messages arrive", relay: delivers({ "_nine.test": { status: true } }), says: "True MessageDelivered" },
  {
    when: "they do not",
    relay: delivers({ "_nine.test": { status: false, step: "submit", message: "submission, port 465: 452 4.3.1 no" } }),
    says: "False DeliveryFailed",
    ready: "False DeliveryFailed",
  },
  {
    when: "they do not, says an image that knows other steps",
    relay: delivers({ "_nine.test": { status: false } }),
    says: "False DeliveryFailed",
    ready: "False DeliveryFailed",
  },
  {
    when: "those of another domain do not",
    relay: delivers({ "_nine.test": { status: true }, "_ten.test": { status: false, step: "TLS" } }),
    says: "True MessageDelivered",
  },
])("Deliverable is $says when $when", ({ relay, says, ready = "True Serving" }) => {
  const status = judge({ relay }, {}, aServer({ domain: "_nine.test" }));
  expect(condition(status, "Deliverable")).toBe(says);
  expect(condition(status, "Ready")).toBe(ready);
});

test("of mail that is not delivered the step and its words are told", () => {
  const relay = delivers({ "_nine.test": { status: false, step: "TLS", message: "IMAP, port 993: closed" } });
  const { conditions } = judge({ relay }, {}, aServer({ domain: "_nine.test" }));
  expect(conditions?.find(({ type }) => type === "Deliverable")?.message).toBe(
    "messages of the relay to itself are not delivered: step TLS fails (IMAP, port 993: closed)",
  );
});

test("each failure is told in the condition that it belongs to; Ready names the first, and where the others are", () => {
  const failures = [
    { reason: "ApplyFailed", message: "NetworkPolicy nine: no", concern: "UpToDate" },
    { reason: "ApplyFailed", message: "NetworkPolicy nine-expiry: no", concern: "UpToDate" },
    { reason: "ApplyFailed", message: "CronJob nine-expiry: no", concern: "ExpiryHealthy" },
  ] as const;
  const status = judge({}, { failures });
  const found = Object.fromEntries(status.conditions?.map((each) => [each.type, each]) ?? []);
  expect(found.Ready?.message).toBe("NetworkPolicy nine: no; see also UpToDate, ExpiryHealthy");
  expect(found.UpToDate?.message).toBe("NetworkPolicy nine: no; NetworkPolicy nine-expiry: no");
  expect(found.ExpiryHealthy).toMatchObject({ status: "False", message: "CronJob nine-expiry: no" });
  expect(condition(status, "Reconciling")).toBe("True ApplyFailed");
  expect(condition(status, "PodReady")).toBe("True RelayRunning");
});

test("a failure that only a person can solve is Stalled, also behind one that passes", () => {
  const failures = [
    { reason: "ApplyFailed", message: "CronJob nine-expiry: no", concern: "ExpiryHealthy" },
    { reason: "ApplyConflict", message: "Service nine exists", concern: "AddressesReady" },
  ] as const;
  const status = judge({}, { failures });
  expect([condition(status, "Ready"), condition(status, "Stalled")]).toEqual([
    "False ApplyFailed",
    "True ApplyConflict",
  ]);
});

describe("a volume", () => {
  const claim = (requested: string, capacity: string, more: object = {}) =>
    kube("PersistentVolumeClaim", "nine-data", {
      spec: { resources: { requests: { storage: requested } } },
      status: { phase: "Bound", capacity: { storage: capacity }, ...more },
    });
  const infeasible = { allocatedResourceStatuses: { storage: "ControllerResizeInfeasible" } };
  const error = { type: "ControllerResizeError", status: "True", message: "only offline" };
  const pending = { conditions: [{ type: "FileSystemResizePending", status: "True" }] };

  test.each([
    {
      when: "it has what was asked for",
      of: claim("10Gi", "10Gi"),
      is: "True VolumeBound",
      says: /bound and has 10Gi$/,
    },
    {
      when: "the spec asks for less",
      of: claim("20Gi", "20Gi"),
      is: "True VolumeBound",
      says: /has 20Gi; storage.size is 10Gi, and volumes don't shrink/,
    },
    {
      when: "it grows",
      of: claim("10Gi", "5Gi"),
      is: "True VolumeResizing",
      says: /has 5Gi and grows to 10Gi: the storage driver is working on it/,
    },
    {
      when: "the driver fails",
      of: claim("10Gi", "5Gi", { conditions: [error] }),
      is: "True VolumeResizing",
      says: /only offline$/,
    },
    {
      when: "the file system follows",
      of: claim("10Gi", "5Gi", pending),
      is: "True VolumeResizing",
      says: /file system/,
    },
    {
      when: "the driver can't",
      of: claim("10Gi", "5Gi", { ...infeasible, conditions: [error] }),
      is: "False ResizeRefused",
      says: /has 5Gi and can't grow to 10Gi: only offline\. Set storage\.size to a smaller size, above 5Gi/,
    },
  ])("StorageReady is $is when $when; mail is served", ({ of, is, says }) => {
    const status = judge({ volumeClaim: of });
    expect(condition(status, "StorageReady")).toBe(is);
    expect(status.conditions?.find(({ type }) => type === "StorageReady")?.message).toMatch(says);
    expect(status.storage).toMatchObject({ claimName: "nine-data", capacity: expect.stringMatching(/Gi$/) });
    const reconciling = is === "True VolumeBound" ? "False Settled" : is;
    expect(condition(status, "Reconciling")).toBe(reconciling);
    const stalled = is.startsWith("True")
      ? "True Serving, False NotStalled"
      : "False ResizeRefused, True ResizeRefused";
    expect(`${condition(status, "Ready")}, ${condition(status, "Stalled")}`).toBe(stalled);
  });
});

test("a server that was created Paused has no volume and no pod, and says why", () => {
  const status = judge(
    { volumeClaim: undefined, statefulSet: undefined, pod: undefined, service: undefined, cronJob: undefined },
    {},
    aServer({ management: "Paused" }),
  );
  for (const type of ["Ready", "StorageReady", "PodReady", "AddressesReady"])
    expect([type, condition(status, type)]).toEqual([type, "False Paused"]);
  expect(condition(status, "Stalled")).toBe("False NotStalled");
});
