import { expect, test } from "vitest";
import { type CheckOutcome, checkOutcome } from "../../../../src/operator/server/image-check.ts";
import type { LiveJob, LivePod } from "../../../../src/operator/server/live.ts";
import { imageCheckJob } from "../../../../src/operator/server/resources/image-check-job.ts";
import { aServer } from "../../../helpers/a-server.ts";

const now = new Date("2026-11-23T12:00:00Z");
const image = "registry.example/chatmail-relay:2";
const job = (status: object = {}) =>
  ({ apiVersion: "batch/v1", kind: "Job", metadata: { name: "nine-check-1" }, status }) as LiveJob;
const pod = (status: object, metadata: object = {}) =>
  ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "nine-check-1-x", namespace: "chatmail", ...metadata },
    spec: { initContainers: [{ name: "prepare", image }], containers: [{ name: "web", image }] },
    status,
  }) as LivePod;
const ended = (name: string, terminated: object) => [{ name, ready: false, state: { terminated } }];
const failed = (initContainerStatuses: object[], more: object = {}) =>
  pod({ phase: "Failed", initContainerStatuses, ...more });
const over = (type: string) => job({ conditions: [{ type, status: "True" }] });
const unscheduled = (message: string) =>
  pod({
    phase: "Pending",
    conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message }],
  });
const words = "postfix: /etc/chatmail/postfix/current/main.cf: bad string length 0 < 1";

test.each<{ when: string; job?: LiveJob; pod?: LivePod; is: CheckOutcome }>([
  { when: "there is no pod yet", is: { state: "pending" } },
  { when: "the pod runs", pod: pod({ phase: "Running" }), is: { state: "pending" } },
  { when: "the pod has succeeded", pod: pod({ phase: "Succeeded" }), is: { state: "passed" } },
  { when: "the job is complete and its pod gone", job: over("Complete"), is: { state: "passed" } },
  {
    when: "a checker says no",
    pod: failed([
      ...ended("prepare", { exitCode: 0, message: "warning: few inotify instances" }),
      ...ended("postfix", { exitCode: 1, reason: "Error", message: `${words}\n` }),
    ]),
    is: { state: "refused", words },
  },
  {
    when: "the last checker says no",
    pod: failed([], { containerStatuses: ended("web", { exitCode: 1, message: "web: nginx: [emerg] x" }) }),
    is: { state: "refused", words: "web: nginx: [emerg] x" },
  },
  {
    when: "the image lacks the program",
    pod: failed(ended("prepare", { exitCode: 128, reason: "StartError", message: 'exec: "/opt/x": no such file' })),
    is: { state: "refused", words: 'exec: "/opt/x": no such file' },
  },
  {
    when: "it has said nothing",
    pod: failed(ended("postfix", { exitCode: 139, reason: "Error" })),
    is: { state: "refused", words: "container postfix ended with exit code 139" },
  },
  {
    when: "it ran out of memory",
    pod: failed(ended("dovecot", { exitCode: 137, reason: "OOMKilled", message: "something" })),
    is: { state: "refused", words: "container dovecot ended with exit code 137 (OOMKilled)" },
  },
  {
    when: "the image is of a version without the check",
    pod: failed(ended("postfix", { exitCode: 1, message: "the second word is start or try\n" })),
    is: { state: "unchecked", why: "it is of a version that has no such check" },
  },
  {
    when: "the node has no room, as the scheduler says",
    pod: unscheduled("0/1 nodes are available: 1 Insufficient memory."),
    is: { state: "unchecked", why: expect.stringContaining("1 Insufficient memory") },
  },
  {
    when: "the node has no room, as the kubelet says",
    pod: failed([], { reason: "OutOfpods", message: "Node didn't have enough resource: pods" }),
    is: { state: "unchecked", why: "Node didn't have enough resource: pods" },
  },
  {
    when: "the node is closed for maintenance",
    pod: unscheduled("0/1 nodes are available: 1 node(s) were unschedulable."),
    is: {
      state: "pending",
      problem: { reason: "PodUnschedulable", message: expect.stringContaining("were unschedulable") },
    },
  },
  {
    when: "the image can't be pulled",
    pod: pod({
      phase: "Pending",
      initContainerStatuses: [
        { name: "prepare", ready: false, state: { waiting: { reason: "ErrImagePull", message: "not found" } } },
      ],
    }),
    is: {
      state: "pending",
      problem: { reason: "ImageUnavailable", message: `container prepare: ${image} can't be pulled: not found` },
    },
  },
  {
    when: "the pod was evicted",
    pod: failed(ended("postfix", { exitCode: 137 }), { reason: "Evicted", message: "The node was low on disk" }),
    is: { state: "interrupted", why: "Evicted: The node was low on disk" },
  },
  {
    when: "somebody deletes the pod",
    pod: pod({ phase: "Running" }, { deletionTimestamp: "2026-11-23T12:00:10Z" }),
    is: { state: "interrupted", why: "the pod of the check was deleted" },
  },
  { when: "the pod is gone", job: over("Failed"), is: { state: "interrupted", why: "the pod of the check is gone" } },
])("when $when", ({ job: given = job(), pod: of, is }) => {
  expect(checkOutcome(given, of, now)).toEqual(is);
});

const about = { server: aServer(), image, planHash: "0123456789abcdef", nodeName: "node-1" };
const nameOf = (more: Partial<typeof about>) => imageCheckJob({ ...about, ...more }).metadata.name;

test("a job of the same name checks the same thing", () => {
  const other = {
    image: { image: `${image}-other` },
    plan: { planHash: "fedcba9876543210" },
    node: { nodeName: "node-2" },
    runtime: { server: aServer({ scheduling: { runtimeClassName: "gvisor" } }) },
  };
  const names = [nameOf({}), nameOf({}), ...Object.values(other).map(nameOf)];
  expect(new Set(names).size).toBe(names.length - 1);
  // a pod's name has six characters more
  const longest = nameOf({ server: aServer({}, { name: "n".repeat(40) }) });
  expect(longest.length).toBeLessThanOrEqual(57);
});

test("it has the plan, and neither the volume nor a Secret, and runs as the relay's containers do", () => {
  const server = aServer({
    image: { pullPolicy: "Always", pullSecrets: [{ name: "registry" }] },
    scheduling: {
      priorityClassName: "high",
      tolerations: [{ key: "mail", operator: "Exists", effect: "NoSchedule" }],
    },
    services: { turn: { enabled: true } },
    website: { configMapName: "pages" },
  });
  const { spec } = imageCheckJob({ ...about, server });
  const { initContainers = [], containers = [], volumes = [], ...of } = spec?.template.spec ?? {};
  const sources = volumes.flatMap((volume) => Object.keys(volume).filter((key) => key !== "name"));
  expect(new Set(sources)).toEqual(new Set(["configMap", "emptyDir"]));
  expect(volumes.flatMap(({ configMap }) => configMap?.name ?? [])).toEqual(["nine-plan"]);
  expect(of).toMatchObject({
    imagePullSecrets: [{ name: "registry" }],
    tolerations: [{ key: "mail" }],
    automountServiceAccountToken: false,
    restartPolicy: "Never",
  });
  expect(of).not.toHaveProperty("priorityClassName");
  const all = [...initContainers, ...containers];
  expect(all.map(({ name }) => name)).toEqual(["prepare", "postfix", "dovecot", "web"]);
  for (const container of all)
    expect(container).toMatchObject({
      image,
      imagePullPolicy: "Always",
      securityContext: { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false },
      resources: { requests: { cpu: "10m", memory: "32Mi" } },
    });
  expect(spec?.backoffLimit).toBe(0);
});
