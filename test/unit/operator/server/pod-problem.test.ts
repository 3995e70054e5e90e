import { expect, test } from "vitest";
import type { ContainerStatus, LivePod } from "../../../../src/operator/server/live.ts";
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

test.each([
  { when: "it is ready, whatever was before", live: pod(ready), reason: undefined, says: /^$/ },
  { when: "it ends", live: pod(ready, { deletionTimestamp: "x" }), reason: "PodPending", says: /terminating/ },
  {
    when: "no node has room",
    live: pod({
      phase: "Pending",
      conditions: [{ type: "PodScheduled", status: "False", message: "0/1 nodes are available: 1 Insufficient cpu." }],
    }),
    reason: "PodPending",
    says: /^no node can run the pod: 0\/1 nodes are available: 1 Insufficient cpu/,
  },
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
  const problem = podProblem(live);
  expect([problem?.reason, problem?.message ?? ""]).toEqual([reason, expect.stringMatching(says)]);
});
