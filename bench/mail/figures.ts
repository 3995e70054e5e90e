/** Many rounds as one figure. */
import { quantile } from "../machine.ts";

export interface Round {
  mails: number;
  seconds: number;
  /** CPU seconds of each container. */
  cpu: Readonly<Record<string, number>>;
  /** CPU seconds of the load itself. */
  loadCpu: number;
}

export interface Summary {
  mailsPerSecond: number;
  /** Slowest and fastest round. */
  spread: [number, number];
  /** CPU milliseconds for each mail. */
  cpuMs: Record<string, number>;
  loadCpuMs: number;
}

export function summaryOf(rounds: readonly Round[]): Summary {
  const rates = rounds.map(({ mails, seconds }) => mails / seconds);
  const perMail = (of: (round: Round) => number) =>
    quantile(
      rounds.map((round) => (of(round) * 1000) / round.mails),
      0.5,
    );
  const names = Object.keys(rounds[0]?.cpu ?? {});
  return {
    mailsPerSecond: quantile(rates, 0.5),
    spread: [Math.min(...rates), Math.max(...rates)],
    cpuMs: Object.fromEntries(names.map((name) => [name, perMail((round) => round.cpu[name] ?? 0)])),
    loadCpuMs: perMail((round) => round.loadCpu),
  };
}

/**
 * Round by round against its neighbour in time, so that what drifts on a shared machine is in both.
 */
export function ratioOf(rounds: readonly Round[], base: readonly Round[]): number {
  const rate = (round: Round | undefined) => (round ? round.mails / round.seconds : Number.NaN);
  return quantile(
    rounds.map((round, at) => rate(round) / rate(base[at])),
    0.5,
  );
}

export const difference = (after: Readonly<Record<string, number>>, before: Readonly<Record<string, number>>) =>
  Object.fromEntries(Object.keys(after).map((name) => [name, (after[name] ?? 0) - (before[name] ?? 0)]));

export const sum = (values: Readonly<Record<string, number>>) =>
  Object.values(values).reduce((total, each) => total + each, 0);
