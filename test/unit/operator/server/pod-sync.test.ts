/** When a running pod is told to look at what it mounts. */
import { expect, test } from "vitest";
import type { LivePod } from "../../../../src/operator/server/live.ts";
import { PodSync } from "../../../../src/operator/server/pod-sync.ts";

const pod = (uid: string): LivePod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "nine-0", namespace: "chatmail", uid },
});

test("a new pod has what there is, and is told once of each change", () => {
  const sync = new PodSync();
  expect(sync.isDue(pod("a"), "1", false)).toBe(false);
  expect(sync.isDue(pod("a"), "2", false)).toBe(true);
  sync.touched(pod("a"), "2");
  expect(sync.isDue(pod("a"), "2", false)).toBe(false);
  expect(sync.isDue(pod("b"), "3", false)).toBe(false);
});

test("a new pod that reports an earlier plan is told once", () => {
  const sync = new PodSync();
  expect(sync.isDue(pod("a"), "1", false)).toBe(false);
  expect(sync.isDue(pod("a"), "1", true)).toBe(true);
  sync.touched(pod("a"), "1");
  // it takes a moment
  expect(sync.isDue(pod("a"), "1", true)).toBe(false);
  expect(sync.isDue(pod("b"), "1", true)).toBe(true);
});
