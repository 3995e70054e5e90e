/**
 * A volume that is moved to another claim: what comes next, from what is there. Nothing is
 * remembered elsewhere, so whatever is killed, the same decision is made again. Pure.
 */
import { createHash } from "node:crypto";
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { annotations, childNames, moveJobPrefix } from "../../api/names.ts";
import type { MovePass } from "../../pod/containers.ts";
import { numberOf } from "./claims.ts";
import { hasEnded, isComplete, isFailed } from "./jobs.ts";
import type { LiveJob, LiveVolumeClaim } from "./live.ts";
import { isEnding, isLost } from "./losses.ts";
import type { Seen } from "./seen.ts";

export type Move = {
  /** The claim that is to have the mailboxes. */
  to: string;
  /** For the status. */
  says: string;
} & (
  | { is: "refused" | "failed" | "provide" | "drain" | "stop" | "swap" }
  /** The job is created where it is missing. */
  | { is: "copy"; pass: MovePass; jobName: string }
);

/** No pod may run: the volume is copied, or was. */
export const stopsRelay = (move: Move | undefined): boolean =>
  move?.is === "stop" || move?.is === "swap" || (move?.is === "copy" && move.pass === "rest");

/** No new job may work on the volume. */
export const stopsJobs = (move: Move | undefined): boolean => move?.is === "drain" || stopsRelay(move);

export const wishIn = ({ metadata }: Pick<ChatmailServer, "metadata">): string | undefined =>
  metadata.annotations?.[annotations.moveVolume]?.trim().replace(/\s+/g, " ") || undefined;

/** Undefined where nothing is to be moved, or all is where it is to be. */
export function moveOf(server: ChatmailServer, seen: Seen): Move | undefined {
  const wish = wishIn(server);
  const { name } = server.metadata;
  const to = wish?.split(" ")[0];
  const { volumeClaim: from, claimName: fromName = childNames(name).volumeClaim, otherClaims = [] } = seen;
  if (wish === undefined || to === undefined || to === fromName || server.spec.management !== "Managed")
    return undefined;
  const refused = (why: string): Move => ({
    is: "refused",
    to,
    says: `the volume is not moved to claim ${to}: ${why}`,
  });
  if (!/^-data(-[a-z0-9]+)?$/.test(to.slice(name.length)) || !to.startsWith(name))
    return refused(`the name has to be ${name}-data-N`);
  const target = otherClaims.find(({ metadata }) => metadata.name === to);
  if (isEnding(target)) return refused("that claim is being deleted");
  const stopped = isStopped(seen);
  if (target && numberOf(server, target) !== undefined)
    return stopped
      ? { is: "swap", to, says: `the mailboxes of claim ${to} are used again` }
      : { is: "stop", to, says: `the relay stops, and goes back to claim ${to}` };
  if (isLost("volume", server, seen) || from?.status?.phase !== "Bound" || isEnding(from))
    return refused(`claim ${fromName} with the mailboxes is not bound`);
  if (!target) return { is: "provide", to, says: `claim ${to} is being created` };
  if (target.metadata.annotations?.[annotations.copyOf] !== from.metadata.uid)
    return refused(`that claim is not a copy of ${fromName}`);
  return copying(server, seen, { wish, to, from, target, stopped });
}

function copying(
  server: ChatmailServer,
  seen: Seen,
  of: { wish: string; to: string; from: LiveVolumeClaim; target: LiveVolumeClaim; stopped: boolean },
): Move {
  const { wish, to, stopped } = of;
  const { statefulSet } = seen;
  // those that are about to be removed belong to a move that was given up
  const moveJobs = (seen.moveJobs ?? []).filter(({ spec }) => spec?.ttlSecondsAfterFinished !== 0);
  const between = `claim ${of.from.metadata.name} to ${to}`;
  const jobName = (pass: MovePass, ...more: unknown[]) => {
    const what = [of.target.metadata.uid, of.from.metadata.uid, wish, pass, ...more].join(" ");
    return `${moveJobPrefix(server.metadata.name)}${createHash("sha256").update(what).digest("hex").slice(0, 10)}`;
  };
  const failed = moveJobs.find((job) => isFailed(job) && job.metadata.annotations?.[annotations.moveVolume] === wish);
  if (failed) {
    const why = seen.moveProblem ?? `job ${failed.metadata.name} failed`;
    const again = `kubectl chatmail -n ${server.metadata.namespace} move-volume ${server.metadata.name}`;
    return {
      ...{ is: "failed", to },
      says: `copying ${between} has failed, and the mailboxes stay where they are: ${why}. When that is cured: ${again} --again, or --cancel instead`,
    };
  }
  const isDone = (name: string) => moveJobs.some((job) => job.metadata.name === name && isComplete(job));
  const first = jobName("first");
  // a pod that is on no node leaves nothing to be beside
  const runs = seen.pod?.spec?.nodeName !== undefined && !stopped;
  if (runs && !isDone(first)) {
    const says = `copying ${between} while the relay runs`;
    return { is: "copy", pass: "first", jobName: first, to, says };
  }
  const busy = [...seen.jobs, ...(seen.backup?.jobs ?? [])].filter((job) => !hasEnded(job));
  if (busy.length > 0) {
    const names = busy.map(({ metadata }) => metadata.name).join(", ");
    // once the relay is stopped these can't start, and end with what the volume was
    return { is: "drain", to, says: `the move from ${between} waits for the end of job ${names}` };
  }
  if (!stopped) return { is: "stop", to, says: `the relay stops: what has changed is copied from ${between}` };
  // of this very stop: once the relay has run again, the copy is one of yesterday
  const { uid, generation } = statefulSet?.metadata ?? {};
  const rest = jobName("rest", uid, generation);
  if (isDone(rest)) return { is: "swap", to, says: `all is copied from ${between}` };
  const says = `the relay is stopped, and what has changed is copied from ${between}`;
  return { is: "copy", pass: "rest", jobName: rest, to, says };
}

/** The controller has seen that there are to be none, and there are none. */
function isStopped({ statefulSet, pod }: Seen): boolean {
  if (!statefulSet) return pod === undefined;
  const { spec, status, metadata } = statefulSet;
  return pod === undefined && spec?.replicas === 0 && status?.observedGeneration === metadata.generation;
}

/** Jobs that nobody waits for. */
export function movesOver(server: ChatmailServer, { moveJobs = [] }: Seen): LiveJob[] {
  const wish = wishIn(server);
  return moveJobs.filter((job) => job.metadata.annotations?.[annotations.moveVolume] !== wish);
}
