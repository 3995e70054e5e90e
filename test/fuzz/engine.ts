/**
 * Tries inputs on one target: those it begins with, the heavy ones, then mutated and made-up ones;
 * counts, and keeps each crasher made small.
 */
import { randomFrom } from "../unit/relay/random.ts";
import { mutated } from "./mutate.ts";
import type { Subject, Target } from "./target.ts";

export interface Crasher {
  input: Buffer;
  error: Error;
}

export interface Report {
  inputs: number;
  accepted: number;
  refused: number;
  seconds: number;
  /** CPU of the slowest input, and its size. */
  slowestMs: number;
  slowestBytes: number;
  /** The most CPU for each MiB, over inputs of 64 KiB and more. */
  msPerMib: number;
  notes: ReadonlyMap<string, number>;
  crashers: readonly Crasher[];
}

export interface FuzzOptions {
  seed: number;
  /** Ends after so many inputs beyond the first ones. */
  rounds?: number;
  /** Or after this time. */
  lastsMs?: number;
  /** Called before each input, so that one that hangs or ends the process is known. */
  trying?(input: Buffer): void;
}

/** CPU time of one input: what is linear stays far below, what is quadratic in 100 KiB does not. */
const allowedMs = (bytes: number, msPerKib = 1) => 150 + (bytes / 1024) * msPerKib;
/** A test's own splitting and comparing counts too: measured again, the least of so many counts. */
const measurements = 3;
const mostCrashers = 10;
const smallerTries = 300;

export async function fuzz(target: Target, options: FuzzOptions): Promise<Report> {
  const { seed, rounds = Number.POSITIVE_INFINITY, lastsMs = Number.POSITIVE_INFINITY } = options;
  const random = randomFrom(seed);
  const subject = await target.open();
  const seeds = target.seeds();
  const kept = [...seeds];
  const report = { inputs: 0, accepted: 0, refused: 0, seconds: 0, slowestMs: 0, slowestBytes: 0, msPerMib: 0 };
  const crashers = new Map<string, Crasher>();
  const started = performance.now();

  const measured = (input: Buffer) => measure(subject, input, { seed, msPerKib: target.msPerKib });
  const attempt = async (input: Buffer): Promise<void> => {
    options.trying?.(input);
    report.inputs++;
    const result = await measured(input);
    if (result instanceof Error) {
      if (!crashers.has(result.message)) {
        crashers.set(result.message.slice(0, 60), { input: await smaller(input, measured), error: result });
      }
      return;
    }
    report[result.outcome]++;
    if (result.outcome === "accepted" && kept.length < 4 * seeds.length + 100 && random.below(20) === 0)
      kept.push(input);
    if (result.ms > report.slowestMs) {
      report.slowestMs = result.ms;
      report.slowestBytes = input.length;
    }
    if (input.length >= 65_536) report.msPerMib = Math.max(report.msPerMib, (result.ms / input.length) * 2 ** 20);
  };

  try {
    for (const input of seeds) await attempt(input);
    for (const build of Object.values(target.heavy ?? {})) await attempt(build(target.heavyBytes ?? 102_400));
    for (let round = 0; round < rounds && crashers.size < mostCrashers; round++) {
      if (performance.now() - started > lastsMs) break;
      const isMade = target.make !== undefined && random.below(4) === 0;
      await attempt(isMade ? (target.make?.(random) as Buffer) : mutated(kept, target.words, random));
    }
  } finally {
    await subject.close();
  }
  return {
    ...report,
    seconds: (performance.now() - started) / 1000,
    notes: subject.notes?.() ?? new Map(),
    crashers: [...crashers.values()],
  };
}

/** Checks one input once, as a replay does. */
export async function replay(target: Target, input: Buffer, seed: number): Promise<Error | undefined> {
  const subject = await target.open();
  try {
    const result = await measure(subject, input, { seed, msPerKib: target.msPerKib });
    return result instanceof Error ? result : undefined;
  } finally {
    await subject.close();
  }
}

type Result = { outcome: "accepted" | "refused"; ms: number } | Error;

/** The same splits for the same input and seed. */
async function measure(
  subject: Subject,
  input: Buffer,
  { seed, msPerKib }: { seed: number; msPerKib: number | undefined },
): Promise<Result> {
  let least = Number.POSITIVE_INFINITY;
  try {
    for (let time = 0; time < measurements; time++) {
      const before = process.cpuUsage();
      const outcome = await subject.check(input, randomFrom(seed ^ input.length));
      const { user, system } = process.cpuUsage(before);
      least = Math.min(least, (user + system) / 1000);
      if (least <= allowedMs(input.length, msPerKib)) return { outcome, ms: least };
    }
    return new Error(`too slow: ${Math.round(least)} ms of CPU for ${input.length} bytes`);
  } catch (thrown) {
    return thrown instanceof Error ? thrown : new Error(String(thrown));
  }
}

/** Pieces are taken out for as long as it goes wrong in the same way. */
async function smaller(input: Buffer, measured: (input: Buffer) => Promise<Result>): Promise<Buffer> {
  const first = await measured(input);
  if (!(first instanceof Error) || first.message.startsWith("too slow")) return input;
  let least = input;
  let tries = 0;
  for (let size = Math.ceil(input.length / 2); size >= 1 && tries < smallerTries; size = Math.floor(size / 2)) {
    for (let at = 0; at < least.length && tries < smallerTries; ) {
      const next = Buffer.concat([least.subarray(0, at), least.subarray(at + size)]);
      tries++;
      const result = await measured(next);
      if (result instanceof Error && result.message.slice(0, 30) === first.message.slice(0, 30)) least = next;
      else at += size;
    }
  }
  return least;
}
