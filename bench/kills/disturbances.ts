/**
 * What is done to a relay pod while mail goes through it. Each lasts as long as it is told, and
 * ends with everything running again.
 */
import type { RelayContainerName } from "../../src/pod/containers.ts";
import type { RelayPod } from "../../test/helpers/relay-pod.ts";

export interface Subject {
  pod: RelayPod;
  /** The relay that it exchanges mail with, and where its clients are. */
  other: string;
  clients: string;
}

interface Disturbance {
  what: string;
  /** How often it comes, against the others. */
  weight: number;
  run: (subject: Subject, random: () => number, during: () => Promise<void>) => Promise<void>;
}

const containers = ["postfix", "dovecot", "relay", "web"] as const satisfies readonly RelayContainerName[];
const pick = <T>(all: readonly T[], random: () => number): T => all[Math.floor(random() * all.length)] as T;
const each = (work: (name: RelayContainerName) => Promise<unknown>) => Promise.all(containers.map(work));

/**
 * A container whose program has lost a process that it can't be without ends automatically and
 * starts again: then there is nothing to stop.
 */
async function ifRunning(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (thrown) {
    if (/is not running|is restarting/.test(String(thrown))) return false;
    throw thrown;
  }
}

const cutOff = (from: "other" | "clients"): Disturbance["run"] => {
  return async (subject, _random, during) => {
    await subject.pod.cutOff(subject[from]);
    await during();
    await subject.pod.reconnect(subject[from]);
  };
};

const killed = (name: RelayContainerName): Disturbance => ({
  what: `${name} killed`,
  weight: 3,
  run: async ({ pod }, _random, during) => {
    await ifRunning(pod.kill(name));
    await during();
    await pod.start(name);
  },
});

const disturbances: readonly Disturbance[] = [
  ...containers.map(killed),
  {
    what: "pod killed",
    weight: 2,
    run: async ({ pod }, _random, during) => {
      await each((name) => ifRunning(pod.kill(name)));
      await during();
      await each(pod.start);
    },
  },
  {
    what: "pod ended by SIGTERM",
    weight: 1,
    run: async ({ pod }, _random, during) => {
      await each(pod.stop);
      await during();
      await each(pod.start);
    },
  },
  {
    // as often as all that are whole: it may be any of some thirty, at any step of its work
    what: "one process killed",
    weight: 12,
    run: async ({ pod }, random, during) => {
      const name = pick(["postfix", "dovecot", "web"] as const, random);
      await ifRunning(pod.killOne(name, (count) => Math.floor(random() * count)));
      await during();
    },
  },
  {
    what: "container frozen",
    weight: 2,
    run: async ({ pod }, random, during) => {
      const name = pick(containers, random);
      const frozen = await ifRunning(pod.freeze(name));
      await during();
      if (frozen) await pod.thaw(name);
    },
  },
  { what: "cut off from the other relay", weight: 4, run: cutOff("other") },
  { what: "cut off from its clients", weight: 2, run: cutOff("clients") },
];

export function nextDisturbance(random: () => number): Disturbance {
  let at = random() * disturbances.reduce((sum, { weight }) => sum + weight, 0);
  for (const disturbance of disturbances) {
    at -= disturbance.weight;
    if (at < 0) return disturbance;
  }
  return disturbances[0] as Disturbance;
}
