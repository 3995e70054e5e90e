/**
 * When the relay probes itself, and what follows from the results. One lost message changes
 * nothing: each change of the verdict needs two results in a row. Pure; all times in milliseconds
 * since 1970.
 */

/** What a mail client does, in its order. */
export const probeSteps = ["connect", "TLS", "login", "submit", "deliver", "fetch"] as const;
export type ProbeStep = (typeof probeSteps)[number];

export type Outcome =
  | { kind: "delivered"; latencyMs: number }
  /** `message`: which service, and its words; it holds no address. */
  | { kind: "failed"; step: ProbeStep; message: string };

/** The verdict on one domain, as `/status` has it. */
export type Deliverable = { since: string } & (
  | { status: true; latencyMs: number }
  | { status: false; step: ProbeStep; message: string }
);

export interface ProbeState {
  startedMs: number;
  /** Undefined until the first message is delivered, or it is certain that none is. */
  verdict?: Deliverable;
  /** Results in a row that speak against the verdict. */
  against: number;
}

export const begin = (nowMs: number): ProbeState => ({ startedMs: nowMs, against: 0 });

/** The programs of a pod become ready one after the other, and a new domain at their reload. */
const startMs = 60_000;
const startEveryMs = 1_000;
/** A result against the verdict is confirmed, or not, by another probe soon. */
const confirmAfterMs = 10_000;
const confirmations = 2;

export interface Timing {
  nowMs: number;
  everyMs: number;
  /** 0 to 1. */
  random: number;
}

export interface Step {
  state: ProbeState;
  /** Until the next probe. */
  afterMs: number;
  /** A failure while the pod starts is none. */
  counts: boolean;
}

export function next(state: ProbeState, outcome: Outcome, { nowMs, everyMs, random }: Timing): Step {
  const { verdict, startedMs } = state;
  const works = outcome.kind === "delivered";
  const regular = everyMs * (0.9 + random * 0.2);
  if (!verdict && !works && nowMs - startedMs < startMs)
    return { state, afterMs: Math.min(startEveryMs, everyMs), counts: false };
  const against = verdict?.status === works ? 0 : state.against + 1;
  // the first message that is delivered says all
  const isDecided = against === 0 || against >= confirmations || (!verdict && works);
  if (!isDecided) return { state: { ...state, against }, afterMs: Math.min(confirmAfterMs, everyMs), counts: true };
  const since = verdict?.status === works ? verdict.since : new Date(nowMs).toISOString();
  return { state: { startedMs, verdict: verdictOf(outcome, since), against: 0 }, afterMs: regular, counts: true };
}

function verdictOf(outcome: Outcome, since: string): Deliverable {
  if (outcome.kind === "delivered") return { status: true, since, latencyMs: Math.round(outcome.latencyMs) };
  return { status: false, since, step: outcome.step, message: outcome.message };
}
