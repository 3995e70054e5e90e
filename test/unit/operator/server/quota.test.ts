import { expect, test } from "vitest";
import type { LivePod } from "../../../../src/operator/server/live.ts";
import { quotaHasRoom } from "../../../../src/operator/server/quota.ts";

const resources = (memory: string, cpu = "50m") => ({ requests: { memory, cpu }, limits: { memory } });
const running: LivePod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "nine-0" },
  spec: {
    initContainers: [{ name: "prepare", resources: resources("64Mi") }],
    containers: [
      { name: "relay", resources: resources("128Mi") },
      { name: "web", resources: resources("32Mi") },
    ],
  },
};
const said = (requested: string, used: string, limited: string) =>
  `pods "nine-preflight" is forbidden: exceeded quota: small, requested: ${requested}, used: ${used}, limited: ${limited}`;

test.each([
  { when: "one pod is allowed, and it is the one that runs", text: said("pods=1", "pods=1", "pods=1"), room: true },
  { when: "others have taken more than there is", text: said("pods=1", "pods=3", "pods=1"), room: false },
  {
    when: "memory of the pod is freed",
    text: said("requests.memory=200Mi", "requests.memory=300Mi", "requests.memory=400Mi"),
    room: true,
  },
  {
    when: "more memory is asked for than is freed",
    text: said("requests.memory=300Mi", "requests.memory=300Mi", "requests.memory=400Mi"),
    room: false,
  },
  {
    when: "limits are counted",
    text: said("limits.memory=160Mi", "limits.memory=160Mi", "limits.memory=160Mi"),
    room: true,
  },
  {
    when: "the short names are used",
    text: said("cpu=100m,memory=160Mi", "cpu=100m,memory=160Mi", "cpu=100m,memory=160Mi"),
    room: true,
  },
  { when: "one of two has no room", text: said("cpu=200m,pods=1", "cpu=100m,pods=1", "cpu=150m,pods=1"), room: false },
  {
    when: "it counts what is not known here",
    text: said("requests.nvidia.com/gpu=1", "requests.nvidia.com/gpu=1", "requests.nvidia.com/gpu=1"),
    room: undefined,
  },
  {
    when: "an amount can't be read",
    text: said("requests.memory=1Zi", "requests.memory=1Zi", "requests.memory=1Zi"),
    room: undefined,
  },
  { when: "it is another refusal", text: 'pods "x" is forbidden: violates PodSecurity "restricted"', room: undefined },
])("room is $room where $when", ({ text, room }) => {
  expect(quotaHasRoom(text, running)).toBe(room);
});
