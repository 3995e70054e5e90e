import { describe, expect, test } from "vitest";
import { localVolume, lostNode, missingPod } from "../../../../src/operator/server/cluster-words.ts";
import type { ContainerStatus, LivePod, LiveVolumeClaim } from "../../../../src/operator/server/live.ts";
import { podProblem } from "../../../../src/operator/server/pod-problem.ts";

const pod = (status: LivePod["status"] = {}, metadata: object = {}): LivePod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "nine-0", namespace: "chatmail", ...metadata },
  spec: {
    initContainers: [{ name: "prepare", image: "relay:0" }],
    containers: [{ name: "dovecot", image: "relay:1" }],
  },
  status,
});
const container = (name: string, status: Partial<ContainerStatus> = {}): ContainerStatus => ({
  ...{ name, image: "relay:1", imageID: "", ready: false, restartCount: 0 },
  ...status,
});
const dovecot = (status: Partial<ContainerStatus>) =>
  pod({ phase: "Running", containerStatuses: [container("dovecot", status)] });
const waiting = (reason: string, message?: string) =>
  dovecot({ state: { waiting: { reason, ...(message && { message }) } } });
const ready: LivePod["status"] = {
  phase: "Running",
  conditions: [{ type: "Ready", status: "True" }],
  containerStatuses: [
    container("dovecot", { ready: true, restartCount: 3, lastState: { terminated: { exitCode: 1 } } }),
  ],
};

const now = new Date("2026-11-29T12:00:30Z");

test.each([
  { when: "it is ready, whatever was before", live: pod(ready), reason: undefined, says: /^$/ },
  {
    when: "it ends",
    live: pod(ready, { deletionTimestamp: "2026-11-29T12:00:00Z" }),
    reason: "PodPending",
    says: /terminating/,
  },
  {
    when: "no node has room",
    live: pod({
      phase: "Pending",
      conditions: [{ type: "PodScheduled", status: "False", message: "0/1 nodes are available: 1 Insufficient cpu." }],
    }),
    reason: "PodUnschedulable",
    says: /^no node can run the pod: 0\/1 nodes are available: 1 Insufficient cpu. Make room, add a node, or lower spec.resources$/,
  },
  ...[
    { when: "accounts are restored", state: { running: {} }, reason: "Restoring", says: /accounts are restored/ },
    {
      when: "the backup can't be restored",
      state: { terminated: { exitCode: 1, message: '{"problem":"there is no backup of nine"}' } },
      reason: "RestoreFailed",
      says: /^nothing is restored, and the relay does not start: there is no backup of nine$/,
    },
    {
      when: "it is tried again",
      state: { waiting: { reason: "CrashLoopBackOff" } },
      lastState: { terminated: { exitCode: 1, message: "killed" } },
      reason: "RestoreFailed",
      says: /see kubectl logs -n chatmail nine-0 -c restore$/,
    },
    {
      when: "the program that restores has not begun",
      state: { waiting: { reason: "PodInitializing" } },
      reason: "PodPending",
      says: /^starting: restore$/,
    },
  ].map(({ when, reason, says, ...states }) => ({
    when,
    live: pod({ phase: "Pending", initContainerStatuses: [container("restore", states)] }),
    reason,
    says,
  })),
  {
    when: "it was evicted",
    live: pod({ phase: "Failed", reason: "Evicted", message: "The node was low on resource: memory." }),
    reason: "PodFailing",
    says: /the pod failed: The node was low/,
  },
  {
    when: "containers are made",
    live: waiting("ContainerCreating"),
    reason: "PodPending",
    says: /^starting: dovecot$/,
  },
  {
    when: "an image is not there",
    live: waiting("ErrImagePull", "not found"),
    reason: "ImageUnavailable",
    says: /^container dovecot: relay:1 can't be pulled: not found$/,
  },
  {
    when: "the kubelet backs off from that image",
    live: waiting("ImagePullBackOff", 'Back-off pulling image "relay:1": ErrImagePull: not found'),
    reason: "ImageUnavailable",
    says: /^container dovecot: relay:1 can't be pulled: not found$/,
  },
  {
    when: "the kubelet backs off and says no more",
    live: waiting("ImagePullBackOff", 'Back-off pulling image "relay:1"'),
    reason: "ImageUnavailable",
    says: /can't be pulled: ErrImagePull$/,
  },
  {
    when: "a container is in a crash loop",
    live: dovecot({
      restartCount: 2,
      state: { waiting: { reason: "CrashLoopBackOff" } },
      lastState: { terminated: { exitCode: 89 } },
    }),
    reason: "PodFailing",
    says: /^container dovecot ended with exit code 89; see kubectl logs -n chatmail nine-0 -c dovecot --previous$/,
  },
  {
    when: "it runs again after a crash but is not ready",
    live: dovecot({ restartCount: 2, state: { running: {} }, lastState: { terminated: { exitCode: 89 } } }),
    reason: "PodFailing",
    says: /exit code 89/,
  },
  {
    when: "memory ran out",
    live: dovecot({ restartCount: 1, lastState: { terminated: { exitCode: 137, reason: "OOMKilled" } } }),
    reason: "PodFailing",
    says: /ran out of memory \(raise spec\.resources\)/,
  },
  {
    when: "a ConfigMap is missing",
    live: waiting("CreateContainerConfigError", 'configmap "x" not found'),
    reason: "PodFailing",
    says: /CreateContainerConfigError: configmap "x" not found/,
  },
  {
    when: "the init container crashed",
    live: pod({
      phase: "Pending",
      initContainerStatuses: [
        container("prepare", {
          restartCount: 1,
          state: { waiting: { reason: "CrashLoopBackOff" } },
          lastState: { terminated: { exitCode: 1 } },
        }),
      ],
      containerStatuses: [container("dovecot", { state: { waiting: { reason: "PodInitializing" } } })],
    }),
    reason: "PodFailing",
    says: /^container prepare ended with exit code 1/,
  },
  {
    when: "the image of the init container is not there",
    live: pod({
      initContainerStatuses: [container("prepare", { state: { waiting: { reason: "ErrImagePull", message: "no" } } })],
    }),
    reason: "ImageUnavailable",
    says: /^container prepare: relay:0 can't be pulled: no$/,
  },
  { when: "nothing is known yet", live: pod({}), reason: "PodPending", says: /the pod is starting/ },
])("says $reason when $when", ({ live, reason, says }) => {
  const problem = podProblem(live, { now });
  expect([problem?.reason, problem?.message ?? ""]).toEqual([reason, expect.stringMatching(says)]);
});

describe("what the cluster says of a pod that does not start", () => {
  const starting = {
    ...pod({
      phase: "Pending",
      containerStatuses: [container("dovecot", { state: { waiting: { reason: "ContainerCreating" } } })],
    }),
  };
  const onNode = { ...starting, spec: { containers: [], ...starting.spec, nodeName: "pi-2" } };
  const sandbox = [{ type: "PodReadyToStartContainers", status: "True" }];

  test.each([
    {
      when: "a Secret is missing",
      reason: "FailedMount",
      message: 'MountVolume.SetUp failed for volume "tls" : secret "nine-tls" not found',
      says: "ReferenceMissing the pod waits for Secret nine-tls, which does not exist: create it",
    },
    {
      when: "a ConfigMap is missing",
      reason: "FailedMount",
      message: 'MountVolume.SetUp failed for volume "pages" : configmap "my-pages" not found',
      says: "ReferenceMissing the pod waits for ConfigMap my-pages, which does not exist: create it",
    },
    {
      when: "a key is missing in a Secret",
      reason: "FailedMount",
      message: 'MountVolume.SetUp failed for volume "tls" : references non-existent secret key: tls.key',
      says: "ReferenceMissing the pod waits for the key tls.key, which what it mounts as tls lacks",
    },
    {
      when: "the volume is on another node still",
      reason: "FailedAttachVolume",
      message: 'Multi-Attach error for volume "pvc-1" Volume is already exclusively attached to one node',
      says: "VolumeUnavailable the volume is still attached to another node: Multi-Attach error",
    },
    {
      when: "the volume can't be mounted",
      reason: "FailedMount",
      message: 'MountVolume.MountDevice failed for volume "pvc-1" : rpc error: code = Internal',
      says: "VolumeUnavailable node pi-2 can't mount a volume: MountVolume.MountDevice failed",
    },
    {
      when: "the network plugin fails",
      reason: "FailedCreatePodSandBox",
      message: 'Failed to create pod sandbox: plugin type="calico" failed (add): no IPs left',
      says: "SandboxFailed node pi-2 can't set up the pod: Failed to create pod sandbox",
    },
    { when: "it says something new", reason: "Strange", message: "what now", says: "PodPending Strange: what now" },
  ])("is told when $when", ({ reason, message, says }) => {
    const problem = podProblem(onNode, { now, event: { reason, message } as never });
    expect(`${problem?.reason} ${problem?.message}`.slice(0, says.length)).toBe(says);
  });

  test("is past once the pod has its network and volumes, or a container has run", () => {
    const event = { reason: "FailedMount", message: "x" } as never;
    const later = { ...onNode, status: { ...onNode.status, conditions: sandbox } };
    expect(podProblem(later, { now, event })?.message).toBe("starting: dovecot");
    const crashed = dovecot({ restartCount: 1, lastState: { terminated: { exitCode: 1 } } });
    expect(podProblem(crashed, { now, event })?.reason).toBe("PodFailing");
    expect(podProblem(pod(ready), { now, event })).toBeUndefined();
  });

  test.each([
    { said: "1 node(s) had volume node affinity conflict", cure: "its own node only" },
    { said: "1 node(s) didn't match PersistentVolume's node affinity", cure: "its own node only" },
    { said: "1 Insufficient memory", cure: "lower spec.resources" },
    { said: "1 node(s) didn't have free ports for the requested pod ports", cure: "network.web.mode to Edge" },
    { said: "1 node(s) had untolerated taint {a: b}", cure: "scheduling.tolerations" },
    { said: "1 node(s) didn't match Pod's node affinity/selector", cure: "scheduling.nodeSelector" },
  ])("no node takes it: $said", ({ said, cure }) => {
    const live = pod({ phase: "Pending", conditions: [{ type: "PodScheduled", status: "False", message: said }] });
    const problem = podProblem(live, { now });
    expect(problem?.reason).toBe("PodUnschedulable");
    expect(problem?.message).toContain(said);
    expect(problem?.message).toContain(cure);
  });

  test.each([
    {
      said: 'create Pod nine-0 in StatefulSet nine failed error: pods "nine-0" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1',
      says: /^PodForbidden the cluster refuses the relay pod: pods "nine-0" is forbidden: exceeded quota.*raise it, or lower spec\.resources$/,
    },
    {
      said: 'create Pod nine-0 in StatefulSet nine failed error: pods "nine-0" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot',
      says: /^PodForbidden .*has to be baseline/,
    },
    {
      said: 'create Pod nine-0 in StatefulSet nine failed error: pods "nine-0" is forbidden: no PriorityClass with name high was found',
      says: /^PodForbidden .*scheduling\.priorityClassName$/,
    },
    {
      said: 'create Pod nine-0 in StatefulSet nine failed error: admission webhook "p.example" denied the request: no',
      says: /^PodForbidden .*denied the request: no$/,
    },
    { said: "create Pod nine-0 in StatefulSet nine successful", says: /^PodMissing create Pod/ },
  ])("the StatefulSet gets no pod: $said", ({ said, says }) => {
    const { reason, message } = missingPod(said);
    expect(`${reason} ${message}`).toMatch(says);
  });
});

describe("a node that is lost", () => {
  const at = (status: LivePod["status"], metadata: object = {}): LivePod => {
    const live = pod(status, metadata);
    return { ...live, spec: { containers: [], ...live.spec, nodeName: "pi-2" } };
  };
  const since = "2026-11-29T11:50:00Z";
  const marked = [
    { type: "Ready", status: "False", lastTransitionTime: since },
    { type: "ContainersReady", status: "True" },
  ];
  const ending = (deletionTimestamp: string) => at(ready, { deletionTimestamp });

  test.each<{ when: string; live: LivePod; is: string | undefined }>([
    { when: "the control plane marked the pod", live: at({ ...ready, conditions: marked }), is: since },
    {
      when: "a container is not ready",
      live: at({
        ...ready,
        conditions: [
          { type: "Ready", status: "False" },
          { type: "ContainersReady", status: "False" },
        ],
      }),
      is: "no",
    },
    { when: "it is ready", live: at(ready), is: "no" },
    { when: "the pod is ending in time", live: ending("2026-11-29T12:00:00Z"), is: "no" },
    { when: "the pod's end is overdue", live: ending("2026-11-29T11:59:30Z"), is: "2026-11-29T11:59:30Z" },
    {
      when: "the pod's end is overdue, and the node has stopped its containers",
      live: at(
        { ...ready, conditions: [{ type: "ContainersReady", status: "False" }] },
        { deletionTimestamp: "2026-11-29T11:59:30Z" },
      ),
      is: "no",
    },
    { when: "the pod says so", live: at({ phase: "Running", reason: "NodeLost" }), is: undefined },
    { when: "the phase is unknown", live: at({ phase: "Unknown" }), is: undefined },
    { when: "it has no node yet", live: pod({ phase: "Unknown" }), is: "no" },
  ])("since $is when $when", ({ live, is }) => {
    expect((lostNode(live, now) ?? { since: "no" }).since).toBe(is);
    expect(podProblem(live, { now })?.reason === "NodeLost").toBe(is !== "no");
  });

  const claim = (annotations: Record<string, string>): LiveVolumeClaim => ({
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: "nine-data", annotations },
  });
  const local = claim({
    "volume.kubernetes.io/storage-provisioner": "rancher.io/local-path",
    "volume.kubernetes.io/selected-node": "pi-2",
  });

  test("is named, with what to do, and that the mailboxes are on it alone", () => {
    const message = podProblem(at({ ...ready, conditions: marked }), { now, claim: local })?.message;
    expect(message).toBe(
      "node pi-2 does not answer since 2026-11-29T11:50:00Z, and the relay is not started elsewhere, because two must never use the same mailboxes. When the node is back, it goes on by itself. If the node is switched off for good: kubectl taint node pi-2 node.kubernetes.io/out-of-service=nodeshutdown:NoExecute (the mailboxes are on that node alone: rancher.io/local-path on node pi-2)",
    );
  });

  test.each([
    { provisioner: "rancher.io/local-path", is: "rancher.io/local-path" },
    { provisioner: "topolvm.io", is: "topolvm.io" },
    { provisioner: "ebs.csi.aws.com", is: undefined },
    { provisioner: "evil.rancher.io/local-path", is: undefined },
  ])("$provisioner keeps a volume on one node: $is", ({ provisioner, is }) => {
    expect(localVolume(claim({ "volume.kubernetes.io/storage-provisioner": provisioner }))).toBe(is);
  });
});
