/** The CronJob of backups, what it leaves, and what the status says of it. */
import { describe, expect, test } from "vitest";
import type { CronJob, StatefulSet } from "../../../../src/kube/kinds.ts";
import { backupReports } from "../../../../src/operator/server/backup-report.ts";
import { backupLateAt, backupSchedule } from "../../../../src/operator/server/backup-time.ts";
import { desiredChildren } from "../../../../src/operator/server/desired.ts";
import type { LiveCronJob, LiveJob, LivePod } from "../../../../src/operator/server/live.ts";
import type { SeenBackup } from "../../../../src/operator/server/observe-backup.ts";
import type { Seen } from "../../../../src/operator/server/seen.ts";
import { backupDeadline, backupOf, backupVerdict } from "../../../../src/operator/server/verdicts/backup.ts";
import { aServer, type SpecInput } from "../../../helpers/a-server.ts";
import { dkimKeys, facts, present } from "../../../helpers/identities.ts";

const now = new Date("2026-11-23T12:00:00Z");
const recipient = `age1${"q".repeat(58)}`;
const encryption = { ageRecipients: [recipient] };
const s3 = { bucket: "backups", credentialsSecretName: "s3", endpoint: "https://s3.example.org" };
const toS3 = { destination: { s3 }, encryption };
const toVolume = { destination: { volumeClaim: { name: "spare" } }, encryption };

const seen = (backup?: Partial<SeenBackup>): Seen => ({
  certificate: { source: "SelfSigned", secretName: "nine-tls", facts },
  identity: { tls: present(facts), dkim: present(dkimKeys()) },
  jobs: [],
  ...(backup && { backup: { jobs: [], ...backup } }),
});

describe("the CronJob", () => {
  const jobOf = (backup: SpecInput, there?: Partial<SeenBackup>, more: SpecInput = {}): CronJob | undefined =>
    desiredChildren(aServer({ domain: "nine.example.org", backup, ...more }), seen(there), {
      relayImage: "relay:1",
      operatorNamespace: "chatmail",
    })
      .map(({ object }) => object)
      .find(({ kind, metadata }) => kind === "CronJob" && metadata.name === "nine-backup") as CronJob | undefined;
  const podOf = (...args: Parameters<typeof jobOf>) => jobOf(...args)?.spec?.jobTemplate.spec?.template.spec;

  test.each([
    { when: "nothing is said of backups", backup: {} },
    { when: "there is no place for them", backup: { encryption } },
    { when: "the place is neither a bucket nor a volume", backup: { destination: {}, encryption } },
    { when: "nobody could read them", backup: { destination: { s3 } } },
  ])("is not made where $when", ({ backup }) => expect(jobOf(backup)).toBeUndefined());

  test("writes to the bucket, in a folder of the domain, with the keys of the Secret", () => {
    const pod = podOf({ ...toS3, contents: "All", keep: 3 });
    expect(pod?.containers).toMatchObject([
      {
        image: "relay:1",
        command: [
          ...["/usr/local/bin/node", "/opt/chatmail/backup.js", "create", "--server", "nine"],
          ...["--contents", "All", "--keep", "3", "--recipient", recipient, "--bucket", "backups"],
          ...["--region", "us-east-1", "--prefix", "nine.example.org/"],
          ...["--endpoint", "https://s3.example.org", "--path-style"],
        ],
        env: ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map((name) => ({
          name,
          valueFrom: { secretKeyRef: { name: "s3", key: name } },
        })),
      },
    ]);
    expect(pod?.volumes?.map(({ name }) => name)).toEqual(["plan", "data", "tls", "dkim", "invites"]);
  });

  test("has the key of the ACME account, where there is one", () => {
    const certificate = { source: "ACME", acme: { email: "a@b.example", accountSecretName: "account" } };
    expect(podOf(toS3, undefined, { certificate })?.volumes).toContainEqual({
      name: "acme-account",
      secret: { secretName: "account", defaultMode: 0o440, optional: true },
    });
  });

  test("AWS has the bucket in the host name, unless the spec says otherwise", () => {
    const { endpoint: _, ...aws } = s3;
    const words = (more: object) =>
      podOf({ destination: { s3: { ...aws, prefix: "relays/", ...more } }, encryption })?.containers[0]?.command;
    expect(words({})).not.toContain("--path-style");
    expect(words({})).toContain("relays/nine.example.org/");
    expect(words({ pathStyle: true })).toContain("--path-style");
    expect(words({ endpoint: "http://minio:9000", pathStyle: false })).not.toContain("--path-style");
  });

  test.each([
    { what: "ConfigMap", caBundle: { configMapName: "ours" }, volume: { configMap: { name: "ours" } } },
    { what: "Secret", caBundle: { secretName: "ours", key: "x" }, volume: { secret: { secretName: "ours" } } },
  ])("trusts the authorities in a $what", ({ caBundle, volume }) => {
    const pod = podOf({ destination: { s3: { ...s3, caBundle } }, encryption });
    expect(pod?.containers[0]?.command?.slice(-2)).toEqual(["--authority", "/etc/chatmail/store-authority/ca.crt"]);
    const found = pod?.volumes?.find(({ name }) => name === "store-authority");
    expect(found).toMatchObject(volume);
    const { items, optional } = { ...found?.configMap, ...found?.secret };
    expect({ items, optional }).toEqual({ items: [{ key: caBundle.key ?? "ca.crt", path: "ca.crt" }], optional: true });
    expect(pod?.containers[0]?.volumeMounts).toContainEqual({
      name: "store-authority",
      mountPath: "/etc/chatmail/store-authority",
      readOnly: true,
    });
  });

  test("or to another volume, and reads that of the relay alone", () => {
    const pod = podOf(toVolume, undefined, { services: { turn: { enabled: true } } });
    expect(pod?.containers[0]?.command).toEqual(
      expect.arrayContaining(["--folder", "/var/lib/chatmail/backups/nine.example.org"]),
    );
    expect(pod?.containers[0]).not.toHaveProperty("env");
    expect(pod?.volumes).toContainEqual({ name: "backups", persistentVolumeClaim: { claimName: "spare" } });
    const mounts = pod?.containers[0]?.volumeMounts ?? [];
    expect(mounts.filter(({ readOnly }) => !readOnly).map(({ name }) => name)).toEqual(["backups"]);
    expect(mounts.map(({ name }) => name)).toContain("turn-secret");
  });

  test("runs on the node of the relay, at a time of the server's own or of the spec's", () => {
    const server = aServer();
    expect(jobOf(toS3)?.spec).toMatchObject({ schedule: backupSchedule(server), timeZone: "Etc/UTC", suspend: false });
    expect(backupSchedule(server)).toMatch(/^\d+ [5-9] \* \* \*$/);
    expect(jobOf({ ...toS3, schedule: "0 4 * * SUN" })?.spec?.schedule).toBe("0 4 * * SUN");
    expect(podOf(toS3)?.affinity).toHaveProperty("podAffinity");
  });

  test("has resources of its own", () => {
    const limits = { memory: "1Gi" };
    expect(podOf(toS3, undefined, { resources: { backup: { limits } } })?.containers[0]?.resources?.limits).toEqual(
      limits,
    );
  });

  test("is suspended where one is there that nobody wants any more", () => {
    const cronJob = { metadata: { name: "nine-backup" } } as LiveCronJob;
    for (const backup of [{}, { destination: { s3 } }, { encryption }])
      expect(jobOf(backup, { cronJob })?.spec?.suspend).toBe(true);
  });
});

describe("the drill", () => {
  const drill = { ageIdentitySecretName: "age" };
  const jobOf = (backup: SpecInput, there?: Partial<SeenBackup>): CronJob | undefined =>
    desiredChildren(aServer({ domain: "nine.example.org", backup }), seen(there), {
      relayImage: "relay:1",
      operatorNamespace: "chatmail",
    })
      .map(({ object }) => object)
      .find(({ metadata }) => metadata.name === "nine-backup-drill") as CronJob | undefined;

  test("reads the bucket with the key, and needs neither the relay nor its volume", () => {
    expect(jobOf(toS3)).toBeUndefined();
    const { spec } = jobOf({ ...toS3, drill }) ?? {};
    expect(spec?.schedule).toMatch(/^\d+ 1[1-5] \* \* SUN$/);
    const pod = spec?.jobTemplate.spec?.template.spec;
    expect(pod?.containers[0]?.command).toEqual([
      ...["/usr/local/bin/node", "/opt/chatmail/backup.js", "drill", "--domain", "nine.example.org"],
      ...["--identities", "/etc/chatmail/age-identity/identity", "--bucket", "backups", "--region", "us-east-1"],
      ...["--prefix", "nine.example.org/", "--endpoint", "https://s3.example.org", "--path-style"],
    ]);
    expect(pod).not.toHaveProperty("affinity");
    expect(pod?.volumes?.map(({ name, secret }) => [name, secret?.secretName])).toEqual([["age-identity", "age"]]);
  });

  test("or the other volume; and is suspended when nobody wants it any more", () => {
    const { spec } = jobOf({ ...toVolume, drill }) ?? {};
    expect(spec?.jobTemplate.spec?.template.spec?.volumes?.map(({ name }) => name)).toEqual([
      "age-identity",
      "backups",
    ]);
    const cronJob = { metadata: { name: "nine-backup-drill" } } as LiveCronJob;
    const unwanted = jobOf(toS3, { drill: { cronJob, jobs: [] } })?.spec;
    expect(unwanted?.suspend).toBe(true);
    expect(unwanted?.jobTemplate.spec?.template.spec?.volumes).toEqual([]);
  });

  test("that failed is told, unless backups themselves fail", () => {
    const server = aServer({ backup: { ...toS3, drill } });
    const late = { jobs: [failed("2026-11-23T09:00:00Z")], problem: "other keys" };
    const says = (more: Partial<SeenBackup>) => backupVerdict(server, seen({ drill: late, ...more }), now);
    const made = { cronJob: cronJob("2026-11-23T05:00:00Z") };
    expect(says(made)).toMatchObject({ reason: "BackupDrillFailed", message: "job nine-backup-1 failed: other keys" });
    expect(says({ ...made, jobs: [failed("2026-11-23T08:00:00Z")] })?.reason).toBe("BackupFailed");
    const missing = says({ ...made, missingSecret: "age" });
    expect(missing?.message).toMatch(/^there is no Secret age, which backup\.drill\.ageIdentitySecretName names/);
  });

  test("says which backup it has read", () => {
    const report = { name: "nine-x", time: "2026-11-22T05:00:00Z", accounts: 3 };
    const last = { cronJob: cronJob("2026-11-23T05:00:00Z") };
    const drilled = { cronJob: cronJob("2026-11-23T11:00:00Z"), jobs: [], report };
    const first = backupOf(aServer(), seen({ ...last, drill: drilled }));
    const is = {
      lastSuccessTime: "2026-11-23T11:00:00Z",
      name: "nine-x",
      backupTime: "2026-11-22T05:00:00Z",
      accounts: 3,
    };
    expect(first.backup?.drill).toEqual(is);
    const later = backupOf(
      { ...aServer(), status: first },
      seen({ ...last, drill: { ...drilled, report: undefined } }),
    );
    expect(later.backup?.drill).toEqual(is);
  });
});

const podWith = (bootstrap: SpecInput["bootstrap"]) => {
  const set: StatefulSet | undefined = desiredChildren(aServer({ domain: "nine.example.org", bootstrap }), seen(), {
    relayImage: "relay:1",
    operatorNamespace: "chatmail",
  }).find(({ object }) => object.kind === "StatefulSet")?.object;
  return set?.spec?.template.spec;
};
const ofVolumes = ["/usr/local/bin/node", "/opt/chatmail/backup.js", "bootstrap", "--domain", "nine.example.org"];

test("a new volume is filled from another one", () => {
  const restore = { volumeClaim: { name: "spare" }, ageIdentitySecretName: "age" };
  const { initContainers = [], volumes } = podWith({ restore }) ?? {};
  expect(initContainers[1]?.command).toEqual([
    ...[...ofVolumes, "--identities", "/etc/chatmail/age-identity/identity"],
    ...["--folder", "/var/lib/chatmail/backups/nine.example.org"],
  ]);
  expect(initContainers[1]).not.toHaveProperty("env");
  expect(initContainers[1]?.volumeMounts).toContainEqual({
    name: "backups",
    mountPath: "/var/lib/chatmail/backups",
    readOnly: true,
  });
  expect(volumes).toContainEqual({ name: "backups", persistentVolumeClaim: { claimName: "spare" } });
});

test("or from a file of somebody's, for which the pod waits without any key", () => {
  const { initContainers = [], volumes } = podWith({ restore: { upload: true } }) ?? {};
  expect(initContainers[1]?.command).toEqual([...ofVolumes, "--upload"]);
  expect(volumes?.map(({ name }) => name)).not.toContain("age-identity");
});

test("or from another relay's files", () => {
  const { initContainers = [], volumes } = podWith({ import: { volumeClaim: { name: "old" } } }) ?? {};
  expect(initContainers.map((each) => each.name)).toEqual(["prepare", "import"]);
  expect(initContainers[1]?.command).toEqual([
    ...["/usr/local/bin/node", "/opt/chatmail/import.js", "bootstrap", "--domain", "nine.example.org"],
    ...["--from", "/var/lib/chatmail/imported"],
  ]);
  expect(initContainers[1]?.volumeMounts).toContainEqual({
    name: "imported",
    mountPath: "/var/lib/chatmail/imported",
    readOnly: true,
  });
  expect(volumes).toContainEqual({ name: "imported", persistentVolumeClaim: { claimName: "old" } });
});

test("a new volume is filled before any other program sees it", () => {
  const name = "nine-20261129T221800Z-all.tar.gz.age";
  const {
    initContainers = [],
    containers,
    volumes,
  } = podWith({ restore: { s3, name, ageIdentitySecretName: "age" } }) ?? {};
  expect(initContainers.map((each) => each.name)).toEqual(["prepare", "restore"]);
  expect(initContainers[1]?.command).toEqual([
    ...["/usr/local/bin/node", "/opt/chatmail/backup.js", "bootstrap", "--domain", "nine.example.org"],
    ...["--identities", "/etc/chatmail/age-identity/identity", "--bucket", "backups", "--region", "us-east-1"],
    ...["--prefix", "nine.example.org/", "--endpoint", "https://s3.example.org", "--path-style", "--file", name],
  ]);
  // all of these may go when it is done
  expect(volumes?.find((volume) => volume.name === "age-identity")?.secret).toMatchObject({
    secretName: "age",
    optional: true,
  });
  expect(initContainers[1]?.env?.every(({ valueFrom }) => valueFrom?.secretKeyRef?.optional)).toBe(true);
  const keys = containers?.flatMap(({ volumeMounts = [] }) => volumeMounts).map((mount) => mount.name);
  expect(keys).not.toContain("age-identity");
});

const pod = (status: object, more: object = {}) =>
  ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "nine-backup-1", labels: { "chatmail.dev/component": "backup" }, ...more },
    status,
  }) as unknown as LivePod;
const ended = (exitCode: number, message: string, finishedAt = "2026-11-23T05:00:00Z", more: object = {}) =>
  pod({ containerStatuses: [{ state: { terminated: { exitCode, message, finishedAt } } }] }, more);
const report = { name: "nine-x", size: 5, accounts: 3, messages: 7 };
const said = JSON.stringify({ ...report, sha256: "ab" });

test.each([
  { when: "no pod is left", pods: [], is: {} },
  { when: "the last one succeeded", pods: [ended(0, said)], is: { report } },
  {
    when: "the last one failed, and an earlier one did not",
    pods: [ended(0, said), ended(1, '{"problem":"no room"}', "2026-11-23T06:00:00Z")],
    is: { report, problem: "no room" },
  },
  {
    when: "one failed, and the next one did not",
    pods: [ended(1, '{"problem":"no room"}'), ended(0, said, "2026-11-23T06:00:00Z")],
    is: { report },
  },
  { when: "it was killed and left nothing", pods: [ended(137, "")], is: {} },
  { when: "it left something else", pods: [ended(0, "{}"), ended(1, "no JSON")], is: {} },
  {
    when: "the pods are of other jobs",
    pods: [ended(1, '{"problem":"no room"}', "2026", { labels: { "chatmail.dev/component": "expiry" } })],
    is: {},
  },
  {
    when: "the node has no place",
    pods: [pod({ conditions: [{ type: "PodScheduled", status: "False", message: "0/1 nodes" }] })],
    is: { waits: "0/1 nodes" },
  },
  {
    when: "the Secret lacks a key",
    pods: [
      pod({ containerStatuses: [{ state: { waiting: { reason: "CreateContainerConfigError", message: "no key" } } }] }),
    ],
    is: { waits: "CreateContainerConfigError: no key" },
  },
  {
    when: "it starts",
    pods: [pod({ containerStatuses: [{ state: { waiting: { reason: "ContainerCreating" } } }] })],
    is: {},
  },
])("what pods leave where $when", ({ pods, is }) => {
  expect(backupReports(pods)).toEqual({ report: undefined, problem: undefined, waits: undefined, ...is });
});

const cronJob = (lastSuccessfulTime?: string) =>
  ({
    metadata: { name: "nine-backup", creationTimestamp: "2026-11-23T11:00:00Z" },
    status: lastSuccessfulTime === undefined ? {} : { lastSuccessfulTime },
  }) as unknown as LiveCronJob;
const failed = (at: string) =>
  ({
    metadata: { name: "nine-backup-1" },
    status: { conditions: [{ type: "Failed", status: "True", message: "BackoffLimit", lastTransitionTime: at }] },
  }) as unknown as LiveJob;
const active = { metadata: { name: "nine-backup-2" }, status: { active: 1 } } as unknown as LiveJob;

test.each<{ when: string; spec?: SpecInput; of?: SpecInput; backup?: Partial<SeenBackup>; is: string | undefined }>([
  { when: "none are asked for", spec: {}, backup: { cronJob: cronJob() }, is: undefined },
  { when: "nobody could read them", spec: { destination: { s3 } }, is: "False BackupUnencrypted" },
  { when: "the Secret is missing", backup: { missingSecret: "s3" }, is: "False BackupSecretMissing" },
  { when: "the server is paused before there is a job", of: { management: "Paused" }, is: "Unknown Paused" },
  { when: "none has been made", backup: { cronJob: cronJob() }, is: "Unknown BackupNotYetMade" },
  { when: "the last one was made", backup: { cronJob: cronJob("2026-11-23T05:00:00Z") }, is: "True BackupMade" },
  {
    when: "the last one failed",
    backup: { cronJob: cronJob("2026-11-22T05:00:00Z"), jobs: [failed("2026-11-23T05:00:00Z")], problem: "no room" },
    is: "False BackupFailed",
  },
  {
    when: "one failed and a later one did not",
    backup: { cronJob: cronJob("2026-11-23T05:00:00Z"), jobs: [failed("2026-11-22T05:00:00Z")] },
    is: "True BackupMade",
  },
  {
    when: "a job can't start",
    backup: { cronJob: cronJob(), jobs: [active], waits: "no key" },
    is: "False BackupFailed",
  },
  {
    when: "a pod that waited is of a job that has ended",
    backup: { cronJob: cronJob("2026-11-23T05:00:00Z"), waits: "no key" },
    is: "True BackupMade",
  },
  { when: "none was made for two days", backup: { cronJob: cronJob("2026-11-21T11:00:00Z") }, is: "False BackupLate" },
  {
    when: "none was made for two days, as the schedule has it",
    spec: { ...toS3, schedule: "@weekly" },
    backup: { cronJob: cronJob("2026-11-22T11:00:00Z") },
    is: "True BackupMade",
  },
  {
    when: "a weekly one was due a day ago",
    spec: { ...toS3, schedule: "@weekly" },
    backup: { cronJob: cronJob("2026-11-21T11:00:00Z") },
    is: "False BackupLate",
  },
])("BackupReady is $is where $when", ({ spec = toS3, of = {}, backup = {}, is }) => {
  const verdict = backupVerdict(aServer({ backup: spec, ...of }), seen(backup), now);
  expect(verdict && `${verdict.status} ${verdict.reason}`).toBe(is);
});

test("the message of a failure is that of the program", () => {
  const backup = { jobs: [failed("2026-11-23T05:00:00Z")] };
  const message = (more: object) =>
    backupVerdict(aServer({ backup: toS3 }), seen({ ...backup, ...more }), now)?.message;
  expect(message({ problem: "NoSuchBucket" })).toBe("job nine-backup-1 failed: NoSuchBucket");
  expect(message({})).toBe("job nine-backup-1 failed: BackoffLimit");
});

test("the next look is when one is late, and not after that", () => {
  const server = aServer({ backup: { ...toS3, schedule: "0 5 * * *" } });
  const at = (time: string) => backupDeadline(server, seen({ cronJob: cronJob(time) }), now)?.toISOString();
  expect(at("2026-11-23T05:00:00Z")).toBe("2026-11-25T05:00:00.000Z");
  expect(at("2026-11-20T05:00:00Z")).toBeUndefined();
});

test.each([
  { schedule: "30 3 * * *", at: "2026-11-25T03:30:00.000Z" },
  { schedule: "@hourly", at: "2026-11-23T14:00:00.000Z" },
  { schedule: "5/20 * * * *", at: "2026-11-23T12:25:00.000Z" },
  { schedule: "0 4 * * SUN", at: "2026-11-30T04:00:00.000Z" },
  { schedule: "0 0 29 2 *", at: "2028-03-01T00:00:00.000Z" },
  { schedule: "0 0 30 2 *", at: undefined },
  { schedule: "61 * * * *", at: undefined },
])("made at noon, the next one is late at $at by $schedule", ({ schedule, at }) => {
  expect(backupLateAt(schedule, new Date("2026-11-23T12:00:00Z"))?.toISOString()).toBe(at);
});

test("the status remembers what was saved when the pod is gone", () => {
  const last = cronJob("2026-11-23T05:00:00Z");
  const first = backupOf(aServer(), seen({ cronJob: last, report }));
  const backup = { lastSuccessTime: "2026-11-23T05:00:00Z", name: "nine-x", bytes: 5, accounts: 3, messages: 7 };
  expect(first).toEqual({ backup });
  expect(backupOf({ ...aServer(), status: first }, seen({ cronJob: last }))).toEqual({ backup });
  expect(backupOf(aServer(), seen({ cronJob: cronJob() }))).toEqual({});
});
