import { expect, test } from "vitest";
import {
  type Ending,
  eraseWithinMs,
  flushWithinMs,
  nextStep,
  podWithinMs,
} from "../../../../src/operator/server/ending.ts";

const ending: Ending = {
  policy: "RetainIdentity",
  forced: false,
  sinceMs: 0,
  hasVolume: true,
  pod: "ready",
  startsPods: true,
  eraseJob: "missing",
};
const stopped = { pod: "missing", startsPods: false } as const;

const cases: { when: string; seen: Partial<Ending>; is: string; says?: RegExp; warning?: RegExp }[] = [
  { when: "all is kept", seen: { policy: "Retain" }, is: "letGo", says: /kept as they are/ },
  { when: "the pod has not been told yet", seen: {}, is: "close", says: /no mail is accepted any more/ },
  { when: "two messages are left", seen: { left: 2 }, is: "close", says: /2 messages left in the queue/ },
  { when: "one is left", seen: { left: 1 }, is: "close", says: /1 message left/ },
  { when: "the queue is empty", seen: { left: 0 }, is: "stop" },
  { when: "the queue is empty, all goes", seen: { left: 0, policy: "Delete" }, is: "letGo", says: /are deleted/ },
  { when: "the image knows nothing of closing", seen: { cannotClose: true }, is: "stop" },
  { when: "peers do not answer", seen: { left: 3, sinceMs: flushWithinMs - 1 }, is: "close" },
  {
    when: "they have had their time",
    seen: { left: 3, sinceMs: flushWithinMs },
    is: "stop",
    warning: /3 messages could/,
  },
  {
    when: "they have had their time, all goes",
    seen: { left: 1, sinceMs: flushWithinMs, policy: "Delete" },
    is: "letGo",
    warning: /^1 message could not be sent within 5 minutes and is lost$/,
  },
  { when: "the pod is starting", seen: { pod: "notReady", sinceMs: podWithinMs - 1 }, is: "close", says: /waiting/ },
  { when: "the pod does not come up", seen: { pod: "notReady", sinceMs: podWithinMs }, is: "stop" },
  {
    when: "the pod does not come up, all goes",
    seen: { pod: "notReady", sinceMs: podWithinMs, policy: "Delete" },
    is: "letGo",
  },
  { when: "there never was a pod", seen: { pod: "missing", startsPods: false }, is: "erase" },
  { when: "nor a volume", seen: { ...stopped, hasVolume: false }, is: "letGo", says: /no volume/ },
  { when: "the pod ends", seen: { pod: "ending", startsPods: false }, is: "wait", says: /end of the relay pod/ },
  { when: "it has ended", seen: stopped, is: "erase", says: /deleting all mail/ },
  { when: "the mail is being deleted", seen: { ...stopped, eraseJob: "running" }, is: "wait", says: /deleting all/ },
  {
    when: "the mail is deleted",
    seen: { ...stopped, eraseJob: "done" },
    is: "letGo",
    says: /accounts and keys are kept/,
  },
  { when: "the Job fails", seen: { ...stopped, eraseJob: "failed" }, is: "letGo", warning: /has failed/ },
  {
    when: "the Job gets no node",
    seen: { ...stopped, eraseJob: "running", sinceMs: eraseWithinMs },
    is: "letGo",
    warning: /^the Job that deletes it has not ended within 60 minutes$/,
  },
  {
    when: "the pod's node is lost",
    seen: { pod: "ending", startsPods: false, sinceMs: eraseWithinMs },
    is: "letGo",
    warning: /^the relay pod has not ended/,
  },
];

test.each(cases)("$is when $when", ({ seen, is, says, warning }) => {
  const step = nextStep({ ...ending, ...seen });
  expect(step.is).toBe(is);
  if (says) expect(step.says).toMatch(says);
  const said = "warning" in step ? step.warning : undefined;
  if (warning) expect(said).toMatch(warning);
  else expect(said).toBeUndefined();
});

test("who forces it waits for nothing, whatever is seen; the mail goes all the same", () => {
  for (const policy of ["Retain", "RetainIdentity", "Delete"] as const)
    for (const pod of ["missing", "notReady", "ready", "ending"] as const)
      for (const left of [undefined, 0, 5]) {
        const step = nextStep({ ...ending, policy, pod, left, forced: true });
        expect(step.is).toBe("letGo");
        expect("erase" in step).toBe(policy === "RetainIdentity");
      }
});

test("whatever is seen, an hour ends it", () => {
  for (const policy of ["Retain", "RetainIdentity", "Delete"] as const)
    for (const pod of ["missing", "notReady", "ready", "ending"] as const)
      for (const eraseJob of ["missing", "running", "done", "failed"] as const)
        for (const startsPods of [true, false])
          expect(nextStep({ ...ending, policy, pod, eraseJob, startsPods, sinceMs: eraseWithinMs }).is).toBe("letGo");
});
