/**
 * What has to be done before a server that is being deleted may go, from what is seen at one
 * moment. Times count from the deletion, which the cluster remembers, so an operator that restarts
 * goes on. Pure.
 */
import type { ReclaimPolicy } from "../../api/spec/storage.ts";

/** The queue of a server whose peers do not answer. */
export const flushWithinMs = 5 * 60_000;
/** A pod that is about to be replaced is waited for: it has the queue. */
export const podWithinMs = 60_000;
/** The end of the pod, and the deletion of its mail, on whatever node. */
export const eraseWithinMs = 60 * 60_000;

export interface Ending {
  /** By the spec as it is now; Retain where nobody can read it. */
  policy: ReclaimPolicy;
  /** A person waits for nothing. */
  forced: boolean;
  sinceMs: number;
  /** There is a claim that may hold mail. */
  hasVolume: boolean;
  pod: "missing" | "notReady" | "ready" | "ending";
  /** What is left in the queue, as the pod reports it; undefined until it does. */
  left?: number | undefined;
  /** The pod goes by the plan that closes it, and its image knows nothing of that. */
  cannotClose?: boolean;
  /** The StatefulSet would start another pod. */
  startsPods: boolean;
  eraseJob: "missing" | "running" | "done" | "failed";
}

/** `warning`: what a person should know, once. */
export type Step =
  | { is: "close" | "stop" | "erase" | "wait"; says: string }
  | { is: "letGo"; erase?: true; says: string; warning?: string };

export function nextStep(ending: Ending): Step {
  const { policy, forced, sinceMs, pod, left, startsPods, hasVolume } = ending;
  if (policy === "Retain") return { is: "letGo", says: "claim and Secrets are kept as they are" };
  const flush = forced ? undefined : flushing(ending);
  if (flush) return flush;
  const lost = pod === "ready" && left !== undefined && left > 0 ? lostMail(left) : {};
  if (policy === "Delete") return { is: "letGo", says: "mailboxes and keys are deleted", ...lost };
  const kept = "accounts and keys are kept, all mail is deleted";
  if (!hasVolume) return { is: "letGo", says: "the keys are kept; there is no volume" };
  if (forced) return { is: "letGo", erase: true, says: kept };
  if (ending.eraseJob === "done") return { is: "letGo", says: kept };
  if (ending.eraseJob === "failed") return { is: "letGo", says: kept, warning: "the Job that deletes it has failed" };
  if (sinceMs >= eraseWithinMs) {
    const why = pod === "missing" ? "the Job that deletes it has not ended" : "the relay pod has not ended";
    return { is: "letGo", says: kept, warning: `${why} within ${eraseWithinMs / 60_000} minutes` };
  }
  if (startsPods) return { is: "stop", says: "the relay pod is being stopped", ...lost };
  if (pod !== "missing") return { is: "wait", says: "waiting for the end of the relay pod" };
  const says = "deleting all mail; accounts and keys are kept";
  return { is: ending.eraseJob === "missing" ? "erase" : "wait", says };
}

const lostMail = (left: number) => ({
  warning: `${messages(left)} could not be sent within ${flushWithinMs / 60_000} minutes and ${left === 1 ? "is" : "are"} lost`,
});

/** Undefined where the queue is empty, or is not waited for any more. */
function flushing({ pod, left, cannotClose, sinceMs }: Ending): Step | undefined {
  if (pod === "missing" || pod === "ending" || left === 0 || sinceMs >= flushWithinMs) return undefined;
  if (pod === "notReady")
    return sinceMs < podWithinMs
      ? { is: "close", says: "waiting for the relay pod, which may have mail in its queue" }
      : undefined;
  if (cannotClose) return undefined;
  const what = left === undefined ? "the mail that is left in the queue" : `${messages(left)} left in the queue`;
  return { is: "close", says: `no mail is accepted any more, sending ${what}` };
}

const messages = (count: number) => `${count} ${count === 1 ? "message" : "messages"}`;
