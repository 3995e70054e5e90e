/**
 * Which servers may be updated now. It remembers nothing: the answer follows from how the servers
 * are, so an operator that restarts goes on where the last one stopped. Pure.
 */
import { isSelected, limitOf, type Policy, type Wave } from "./policy.ts";

/** A server that the rollout concerns: others are not given to the gate. */
export interface Member {
  /** "namespace/name". */
  key: string;
  labels: Readonly<Record<string, string>>;
  state: MemberState;
}

export type MemberState =
  /** Not at the target, and could take its turn: now, or not before its update window opens. */
  | { is: "Waiting"; isServing: boolean; notBefore?: Date | undefined }
  /** Its successor could not start. It may try again, but nobody waits for it. */
  | { is: "Held"; isServing: boolean }
  /**
   * It has had its turn. `readySince`: since when its pod of the target revision has been ready;
   * undefined while it is not, which includes a turn of which the cluster does not know yet.
   * `deliverable`: undefined where nothing is known of it. `wasServing`: it served before its
   * update, so that it is the update that makes it unavailable.
   */
  | {
      is: "OnTarget";
      readySince?: Date | undefined;
      deliverable?: { is: boolean; since: Date } | undefined;
      wasServing: boolean;
    }
  /** It had its turn, and did not become ready in time: it went back, or stays down. */
  | { is: "Failed"; isServing: boolean };

export interface Turns {
  /** Who may be updated now, by key. */
  go: readonly string[];
  /** The wave that is under way; undefined where nothing is left to do. */
  wave?: string | undefined;
  /** Of the wave that is under way: those that have to become available before it goes on. */
  awaited: readonly string[];
  failed: readonly string[];
  /** Why nobody gets a turn, where that is so whoever is available. */
  stopped?: "Paused" | "Failures" | undefined;
  /** When the answer changes by the passing of time alone. */
  again?: Date | undefined;
}

/**
 * Servers of one wave after the other. In a wave, no more are given a turn than leaves
 * `maxUnavailable` of all servers unavailable by their update, in whatever wave they are. A server
 * that did not serve anyway makes nobody worse off, and its update may be its cure: it has places
 * apart, as many again.
 */
export function turnsOf(members: readonly Member[], policy: Policy, now: Date): Turns {
  const look = lookerOf(policy, now);
  const waves = wavesOf(members, policy, look);
  const current = waves.find(({ of }) => of.some((member) => isUnfinished(member, look)));
  const held = members.filter(({ state }) => state.is === "Held");
  // Held ones of waves that are over try again beside the wave that is under way.
  const last = current ?? waves.at(-1);
  const limit = last ? limitOf(last.wave, last.of.length) : 1;
  const failed = members.filter(({ state }) => state.is === "Failed");
  const stopped = policy.paused ? "Paused" : isTooMany(failed, limit, policy) ? "Failures" : undefined;
  const awaited = (current?.of ?? []).filter(({ state }) => state.is === "OnTarget" && isUnavailable(state, look));
  const dates = (current?.of ?? []).flatMap((member) => datesOf(member, look)).filter((date) => date > now);
  const again = dates.sort((a, b) => a.getTime() - b.getTime())[0];
  const about = { wave: current?.wave.name, awaited: keysOf(awaited), failed: keysOf(failed), again };
  if (stopped || !last) return { ...about, go: [], stopped };

  const reached = new Set(waves.slice(0, waves.indexOf(last) + 1).flatMap(({ of }) => keysOf(of)));
  const ready = last.of.filter(({ state }) => state.is === "Waiting" && !isEarly(state, look));
  const asking = [...ready, ...held.filter(({ key }) => reached.has(key))];
  const serves = ({ state }: Member) => "isServing" in state && state.isServing;
  const down = members.filter(({ state }) => isUnavailable(state, look) && isByUpdate(state)).length;
  const curing = members.filter(({ state }) => isUnavailable(state, look) && !isByUpdate(state)).length;
  const served = asking.filter(serves).slice(0, Math.max(0, limit - down));
  const others = asking.filter((member) => !serves(member)).slice(0, Math.max(0, limit - curing));
  return { ...about, go: keysOf([...served, ...others]) };
}

/** Those that stay down keep their places, so it also ends when they have all of them. */
function isTooMany(failed: readonly Member[], limit: number, { maxFailures }: Policy): boolean {
  const down = failed.filter(({ state }) => state.is === "Failed" && !state.isServing);
  return failed.length >= Math.max(1, maxFailures) || down.length >= limit;
}

const keysOf = (members: readonly Member[]) => members.map(({ key }) => key);

/** How the gate of a policy sees a server at one moment. */
interface Looker {
  now: Date;
  /** Since when a server that has had its turn passes the gate. */
  since(state: MemberState): Date | undefined;
  soakEnd(state: MemberState): Date | undefined;
  /** Of the wave that each member is in, as the waves are filled. */
  soakSeconds: Map<MemberState, number>;
}

function lookerOf({ gate }: Policy, now: Date): Looker {
  const soakSeconds = new Map<MemberState, number>();
  const since = (state: MemberState) => {
    if (state.is !== "OnTarget" || !state.readySince) return undefined;
    const { deliverable, readySince } = state;
    if (gate !== "Deliverable" || !deliverable) return readySince;
    if (!deliverable.is) return undefined;
    return deliverable.since > readySince ? deliverable.since : readySince;
  };
  const soakEnd = (state: MemberState) => {
    const from = since(state);
    return from && new Date(from.getTime() + (soakSeconds.get(state) ?? 0) * 1_000);
  };
  return { now, since, soakEnd, soakSeconds };
}

/** Like a pod that Kubernetes counts as available only minReadySeconds after it became ready. */
function isUnavailable(state: MemberState, look: Looker): boolean {
  if (state.is === "Failed") return !state.isServing;
  if (state.is !== "OnTarget") return false;
  const end = look.soakEnd(state);
  return end === undefined || end > look.now;
}

const isByUpdate = (state: MemberState) => state.is !== "OnTarget" || state.wasServing;

type Waiting = Extract<MemberState, { is: "Waiting" }>;

/** Its update window is not open. */
const isEarly = ({ notBefore }: Waiting, { now }: Looker) => notBefore !== undefined && notBefore > now;

function isUnfinished({ state }: Member, look: Looker): boolean {
  return state.is === "Waiting" || (state.is === "OnTarget" && isUnavailable(state, look));
}

function datesOf({ state }: Member, look: Looker): Date[] {
  const date = state.is === "Waiting" ? state.notBefore : state.is === "OnTarget" ? look.soakEnd(state) : undefined;
  return date ? [date] : [];
}

interface FilledWave {
  wave: Wave;
  of: Member[];
}

/** Each member in one wave. The last takes those that no wave of the policy has. */
function wavesOf(members: readonly Member[], { waves }: Policy, look: Looker): FilledWave[] {
  const others: Wave = { name: "others", maxUnavailable: 1, soakSeconds: waves.at(-1)?.soakSeconds ?? 0 };
  let left = [...members].sort((a, b) => (a.key < b.key ? -1 : 1));
  return [...waves, others].map((wave) => {
    const of = left.filter(({ labels }) => !wave.selector || isSelected(labels, wave.selector));
    const size = sizeOf(wave, members.length);
    for (const { state } of of) look.soakSeconds.set(state, wave.soakSeconds);
    const inWave = size === undefined ? of : bySuitability(of, look).slice(0, size);
    const taken = new Set(inWave);
    left = left.filter((member) => !taken.has(member));
    return { wave, of: inWave };
  });
}

function sizeOf({ count, sharePercent }: Wave, total: number): number | undefined {
  if (count !== undefined) return count;
  return sharePercent === undefined ? undefined : Math.ceil((total * sharePercent) / 100);
}

/**
 * For a wave of some servers, no matter which: those first that have been through it, then those
 * that are in it, so that the wave keeps its servers while it goes on. A server that does not serve
 * proves little. One that failed does not pass for one that was tried with success.
 */
function bySuitability(members: readonly Member[], look: Looker): Member[] {
  const rank = ({ state }: Member): number => {
    switch (state.is) {
      case "OnTarget":
        return isUnavailable(state, look) ? (look.since(state) ? 1 : 2) : 0;
      case "Waiting":
        return 3 + (isEarly(state, look) ? 2 : 0) + (state.isServing ? 0 : 1);
      case "Held":
        return 7;
      case "Failed":
        return 8;
    }
  };
  return [...members].sort((a, b) => rank(a) - rank(b));
}
