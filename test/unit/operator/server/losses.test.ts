import { describe, expect, test } from "vitest";
import type { ChatmailServer, ChatmailServerStatus } from "../../../../src/api/chatmail-server.ts";
import { dkimFingerprint } from "../../../../src/dns/dkim-key.ts";
import { desiredChildren } from "../../../../src/operator/server/desired.ts";
import type { LivePod, LiveVolumeClaim } from "../../../../src/operator/server/live.ts";
import { acceptanceMemory, lossesIn, storageMemory } from "../../../../src/operator/server/losses.ts";
import type { Seen } from "../../../../src/operator/server/seen.ts";
import { statusOf } from "../../../../src/operator/server/status.ts";
import { aServer } from "../../../helpers/a-server.ts";
import { absent, dkimKeys, facts, present } from "../../../helpers/identities.ts";

const claim = (uid: string, volumeName?: string, metadata: object = {}): LiveVolumeClaim => ({
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: { name: "nine-data", uid, creationTimestamp: "2026-11-10T00:00:00Z", ...metadata },
  spec: { ...(volumeName && { volumeName }) },
  status: { phase: volumeName ? "Bound" : "Pending" },
});
const pod = (creationTimestamp: string, phase = "Running"): LivePod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "nine-0", creationTimestamp },
  status: { phase },
});
const key = (base64: string) => dkimKeys({ selector: "chatmail", key: { type: "rsa", base64 } });
const status: ChatmailServerStatus = {
  storage: { claimUID: "first", volumeName: "pv-1" },
  dkim: {
    keys: [{ selector: "chatmail", algorithm: "RSA", fingerprint: dkimFingerprint({ type: "rsa", base64: "AAA" }) }],
  },
};
const healthy: Seen = {
  identity: { tls: present(facts), dkim: present(key("AAA")) },
  certificate: { source: "SelfSigned", secretName: "nine-tls", facts },
  volumeClaim: claim("first", "pv-1"),
  statefulSet: { apiVersion: "apps/v1", kind: "StatefulSet", metadata: { name: "nine" } },
  jobs: [],
};
const server = (more: ChatmailServerStatus | undefined = status, accept?: string) => ({
  ...aServer({}, accept === undefined ? {} : { annotations: { "chatmail.dev/accept-data-loss": accept } }),
  ...(more && { status: more }),
});
const reasonsOf = (seen: Partial<Seen>, of: ChatmailServer = server()) =>
  lossesIn(of, { ...healthy, ...seen }).map(({ reason }) => reason);

test.each<{ when: string; seen: Partial<Seen>; lost: string[] }>([
  { when: "all is there", seen: {}, lost: [] },
  { when: "the claim is missing", seen: { volumeClaim: undefined }, lost: ["VolumeLost"] },
  {
    when: "another claim is bound to another volume",
    seen: { volumeClaim: claim("second", "pv-2") },
    lost: ["VolumeLost"],
  },
  { when: "another claim is not bound yet", seen: { volumeClaim: claim("second") }, lost: ["VolumeLost"] },
  { when: "another claim is bound to the same volume", seen: { volumeClaim: claim("second", "pv-1") }, lost: [] },
  { when: "the key is missing", seen: { identity: { dkim: absent } }, lost: ["DKIMKeyLost"] },
  { when: "the key is another", seen: { identity: { dkim: present(key("BBB")) } }, lost: ["DKIMKeyLost"] },
  { when: "the domain signs no mail", seen: { identity: {} }, lost: [] },
  {
    when: "the TLS key and the TURN secret are missing",
    seen: { identity: { ...healthy.identity, tls: absent, turn: absent } },
    lost: [],
  },
  {
    when: "both are missing",
    seen: { volumeClaim: undefined, identity: { dkim: absent } },
    lost: ["VolumeLost", "DKIMKeyLost"],
  },
])("where $when: $lost", ({ seen, lost }) => {
  expect(reasonsOf(seen)).toEqual(lost);
});

test.each<{ when: string; of: ChatmailServerStatus | undefined }>([
  { when: "has no status yet, or was restored without it", of: undefined },
  { when: "had a claim that was never bound", of: { storage: { claimUID: "first" } } },
])("a server that $when has lost nothing", ({ of }) => {
  const none = { ...aServer(), ...(of && { status: of }) };
  expect(reasonsOf({ volumeClaim: undefined, identity: { dkim: absent } }, none)).toEqual([]);
});

describe("a loss is accepted", () => {
  const gone = { volumeClaim: undefined, identity: { dkim: absent } };
  test.each([
    { accept: "volume", lost: ["DKIMKeyLost"] },
    { accept: "dkim", lost: ["VolumeLost"] },
    { accept: "volume,dkim", lost: [] },
    { accept: "dkim volume", lost: [] },
    { accept: "true", lost: ["VolumeLost", "DKIMKeyLost"] },
    { accept: "", lost: ["VolumeLost", "DKIMKeyLost"] },
  ])("by $accept: $lost are left", ({ accept, lost }) => {
    expect(reasonsOf(gone, server(status, accept))).toEqual(lost);
  });

  test("once: an annotation that was acted on does not accept the next one, and the message says what to do", () => {
    const used = server({ ...status, ...acceptanceMemory(server(status, "volume")) }, "volume");
    const [loss] = lossesIn(used, { ...healthy, volumeClaim: undefined });
    expect(loss?.message).toContain("accept-data-loss-, then kubectl -n chatmail annotate cms nine");
    expect(reasonsOf({ volumeClaim: undefined }, server({ ...status, acceptedDataLoss: "dkim" }, "volume"))).toEqual(
      [],
    );
  });
});

test("what is lost is remembered; what is there, restored or accepted takes its place", () => {
  const memory = (seen: Partial<Seen>, of = server()) => storageMemory(of, { ...healthy, ...seen });
  expect(memory({ volumeClaim: undefined })).toEqual({ claimUID: "first", volumeName: "pv-1" });
  expect(memory({ volumeClaim: claim("second", "pv-2") })).toEqual({ claimUID: "first", volumeName: "pv-1" });
  expect(memory({ volumeClaim: claim("second", "pv-1") })).toEqual({ claimUID: "second", volumeName: "pv-1" });
  expect(memory({ volumeClaim: claim("second", "pv-2") }, server(status, "volume"))).toEqual({
    claimUID: "second",
    volumeName: "pv-2",
  });
  expect(memory({ volumeClaim: undefined }, server(status, "volume"))).toEqual({});
});

test.each([
  { when: "the spec is wrong", refused: { reason: "SpecInvalid", message: "x" } as const },
  { when: "the domain is another's", refused: { reason: "DomainTaken", message: "x" } as const },
  { when: "the operator failed", refused: { reason: "InternalError", message: "x" } as const },
])("what was there is remembered while $when", ({ refused }) => {
  expect(statusOf({ server: server(), management: "Managed", refused }, new Date())).toMatchObject(status);
});

test("what was there is remembered while nothing is managed, and while the key's Secret is broken", () => {
  const unmanaged = { ...server(), ...{ spec: aServer({ management: "Unmanaged" }).spec } };
  expect(
    statusOf(
      { server: unmanaged, seen: { ...healthy, volumeClaim: undefined, identity: { dkim: { state: "absent" } } } },
      new Date(),
    ),
  ).toMatchObject(status);
  const broken = {
    state: "broken",
    secret: { apiVersion: "v1", kind: "Secret", metadata: { name: "nine-dkim" } },
  } as const;
  const seen = { ...healthy, identity: { dkim: broken } };
  expect(statusOf({ server: server(), seen }, new Date()).dkim).toEqual(status.dkim);
});

describe("of the objects", () => {
  const objects = (seen: Partial<Seen>) =>
    desiredChildren(server(), { ...healthy, ...seen }, { relayImage: "relay:1", operatorNamespace: "chatmail" });
  const kinds = (seen: Partial<Seen>) => objects(seen).map(({ object }) => object.kind);
  const replicas = (seen: Partial<Seen>) => {
    const set = objects(seen).find(({ object }) => object.kind === "StatefulSet");
    return set && (set.object as NonNullable<Seen["statefulSet"]>).spec?.replicas;
  };

  test.each<{ when: string; seen: Partial<Seen>; claims: boolean; pods: number | undefined }>([
    { when: "all is there", seen: {}, claims: true, pods: 1 },
    {
      when: "the claim is missing and a pod waits for it",
      seen: { volumeClaim: undefined, pod: pod("2026-11-11T00:00:00Z", "Pending") },
      claims: false,
      pods: 0,
    },
    { when: "the claim is missing and there is no pod", seen: { volumeClaim: undefined }, claims: false, pods: 0 },
    {
      when: "the claim is missing and the pod still has the volume",
      seen: { volumeClaim: undefined, pod: pod("2026-11-09T00:00:00Z") },
      claims: false,
      pods: undefined,
    },
    {
      when: "a pod runs on the claim that came later",
      seen: { volumeClaim: claim("second", "pv-2"), pod: pod("2026-11-11T00:00:00Z") },
      claims: false,
      pods: 0,
    },
    {
      when: "a pod runs on the volume from before the other claim",
      seen: { volumeClaim: claim("second", "pv-2"), pod: pod("2026-11-09T00:00:00Z") },
      claims: false,
      pods: undefined,
    },
    {
      when: "there has never been a StatefulSet",
      seen: { volumeClaim: undefined, statefulSet: undefined },
      claims: false,
      pods: undefined,
    },
    {
      when: "the key is missing",
      seen: { identity: { ...healthy.identity, dkim: absent } },
      claims: true,
      pods: undefined,
    },
    {
      when: "the key is another",
      seen: { identity: { ...healthy.identity, dkim: present(key("BBB")) } },
      claims: true,
      pods: undefined,
    },
  ])("a claim: $claims, pods: $pods where $when", ({ seen, claims, pods }) => {
    expect([kinds(seen).includes("PersistentVolumeClaim"), replicas(seen)]).toEqual([claims, pods]);
  });

  test("a claim that is being deleted is left alone, and so is the pod that keeps it: it has to wait for the claim", () => {
    const ending = claim("first", "pv-1", { deletionTimestamp: "2026-11-12T00:00:00Z" });
    expect(kinds({ volumeClaim: ending })).not.toContain("PersistentVolumeClaim");
    const set = objects({ volumeClaim: ending }).find(({ object }) => object.kind === "StatefulSet");
    expect(set?.after).toContain("PersistentVolumeClaim nine-data");
  });
});

describe("a cluster that is restored has no status: the claim remembers the key", () => {
  const remembering = claim("restored", "pv-9", {
    annotations: { "chatmail.dev/dkim-fingerprint": dkimFingerprint({ type: "rsa", base64: "AAA" }) },
  });
  const restored = aServer();
  const memory = (seen: Partial<Seen>, of: ChatmailServer = restored) => {
    const all = desiredChildren(of, { ...healthy, ...seen }, { relayImage: "relay:1", operatorNamespace: "chatmail" });
    const found = all.find(({ object }) => object.kind === "PersistentVolumeClaim");
    return found?.object.metadata.annotations?.["chatmail.dev/dkim-fingerprint"];
  };

  test.each<{ when: string; dkim: NonNullable<Seen["identity"]["dkim"]>; lost: string[] }>([
    { when: "is there", dkim: present(key("AAA")), lost: [] },
    { when: "is missing", dkim: absent, lost: ["DKIMKeyLost"] },
    { when: "is another", dkim: present(key("BBB")), lost: ["DKIMKeyLost"] },
  ])("which $when: $lost", ({ dkim, lost }) => {
    expect(reasonsOf({ volumeClaim: remembering, identity: { dkim } }, restored)).toEqual(lost);
    expect(memory({ volumeClaim: remembering, identity: { dkim } })).toBe(
      dkimFingerprint({ type: "rsa", base64: "AAA" }),
    );
  });

  test("a new claim says the key, one of an accepted loss the new one or none", () => {
    expect(memory({ volumeClaim: undefined })).toBe(dkimFingerprint({ type: "rsa", base64: "AAA" }));
    const there = { ...remembering, ...claim("first", "pv-1", { annotations: remembering.metadata.annotations }) };
    const accepting = server(status, "dkim");
    expect(memory({ volumeClaim: there, identity: { dkim: absent } }, accepting)).toBeUndefined();
    const other = { dkim: present(key("BBB")) };
    expect(memory({ volumeClaim: there, identity: other }, accepting)).toBe(
      dkimFingerprint({ type: "rsa", base64: "BBB" }),
    );
    expect(memory({ identity: {} })).toBeUndefined();
  });
});

describe("what ends with an earlier server of the name is not remembered: the garbage collector may delete it any moment", () => {
  const ownedBy = (uid: string) => ({
    ownerReferences: [
      { apiVersion: "chatmail.dev/v1alpha1", kind: "ChatmailServer", name: "nine", uid, controller: true },
    ],
  });
  const own = aServer().metadata.uid;
  const none: ChatmailServer = aServer();
  const remembered = (metadata: object) => {
    const dkim = present(key("AAA"));
    const identity = {
      ...healthy.identity,
      dkim: { ...dkim, secret: { ...dkim.secret, metadata: { name: "nine-dkim", ...metadata } } },
    };
    const seen = { ...healthy, identity, volumeClaim: claim("first", "pv-1", metadata) };
    const { storage, dkim: shown } = statusOf({ server: none, seen }, new Date());
    const [child] = desiredChildren(none, seen, { relayImage: "relay:1", operatorNamespace: "chatmail" })
      .filter(({ object }) => object.kind === "PersistentVolumeClaim")
      .map(({ object }) => object.metadata.annotations?.["chatmail.dev/dkim-fingerprint"] !== undefined);
    return [storage?.volumeName, shown?.keys?.[0]?.fingerprint !== undefined, child];
  };

  test.each([
    { of: "nobody", metadata: {}, is: ["pv-1", true, true] },
    { of: "this server", metadata: ownedBy(own), is: ["pv-1", true, true] },
    { of: "an earlier server", metadata: ownedBy("earlier"), is: [undefined, false, undefined] },
    {
      of: "nobody, and being deleted",
      metadata: { deletionTimestamp: "2026-11-20T00:00:00Z" },
      is: [undefined, false, undefined],
    },
  ])("of $of: $is", ({ metadata, is }) => {
    expect(remembered(metadata)).toEqual(is);
  });

  test("one that is remembered is, also while it is being deleted", () => {
    const ending = claim("first", "pv-1", { deletionTimestamp: "2026-11-20T00:00:00Z" });
    expect(storageMemory(server(), { ...healthy, volumeClaim: ending })).toMatchObject({ volumeName: "pv-1" });
    const other = claim("second", "pv-2", { deletionTimestamp: "2026-11-20T00:00:00Z" });
    expect(storageMemory(server(), { ...healthy, volumeClaim: other })).toMatchObject({ volumeName: "pv-1" });
  });
});

test.each([
  { whose: "this server's", of: server(), is: "VolumeEnding" },
  { whose: "an earlier server's", of: aServer(), is: "VolumePending" },
])("a claim that is being deleted and is $whose is $is", ({ of, is }) => {
  const ending = claim("first", "pv-1", { deletionTimestamp: "2026-11-20T00:00:00Z" });
  const { conditions } = statusOf({ server: of, seen: { ...healthy, volumeClaim: ending } }, new Date());
  expect(conditions?.find(({ type }) => type === "StorageReady")?.reason).toBe(is);
});
