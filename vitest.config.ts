import { availableParallelism } from "node:os";
import { basename } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Patience of a whole test, in milliseconds, one figure per suite; inside a test `until` waits. */
const patienceMs = { unit: 30_000, services: 180_000, cluster: 360_000 };

/**
 * Their faults last for a second or two, in which a loop has to have its turns, so nothing of their
 * suite runs beside the two of them.
 */
const alone = ["test/services/kube-faults.test.ts", "test/services/kube-lease.test.ts"];

const inCluster = (names: readonly string[]) => names.map((name) => `test/cluster/${name}.test.ts`);

/**
 * They replace or stop the operator of all, or the rules of kube-proxy: nothing else of the cluster
 * runs beside them.
 */
const onWholeCluster = inCluster(["deletion", "lab", "upgrade"]);

/**
 * They update servers, some to an image that fails, and the operator gives updates their turns: a
 * file beside them would wait behind a failed one. `doctor` plants faults in the cluster itself.
 */
const inTurns = inCluster(["crd", "doctor", "fleet", "helm", "operator", "rollback"]);

/**
 * Files of a minute and more, the longest first. They start first: one that comes last would run
 * alone for as long. `npm test` prints how long each took.
 */
const longest = [
  ...["public", "operator", "probe", "alerts-fire", "operator-cert-manager", "fleet", "conversation", "joining"],
  ...["limits", "pages", "operator-stories", "sasl", "fleet-rollout", "login-flood", "rollback", "plan"],
].map((name) => `${name}.test.ts`);

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const at = longest.indexOf(basename(moduleId));
      return at < 0 ? longest.length : at;
    };
    return (await super.sort(files)).toSorted((one, other) => place(one) - place(other));
  }
}

interface Part {
  name: string;
  files?: { include: string[] } | { exclude: string[] };
  /** Files at once. */
  workers: number;
  /** Parts of one suite run one after the other. */
  turn?: number;
  /** Files that share a process load each module once; they must leave nothing behind. */
  shared?: boolean;
}

const part = (suite: keyof typeof patienceMs, { name, files, workers, turn = 0, shared = false }: Part) => ({
  test: {
    name,
    include: [`test/${suite}/**/*.test.ts`],
    ...files,
    ...(suite === "unit" && { setupFiles: ["test/unit/setup.ts"] }),
    testTimeout: patienceMs[suite],
    hookTimeout: patienceMs[suite] * 2,
    isolate: !shared,
    maxWorkers: workers,
    fileParallelism: workers > 1,
    sequence: { groupOrder: turn },
  },
});

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      part("unit", { name: "unit", shared: true, workers: availableParallelism() }),
      // most of a file's time is waiting: each has relays of its own, and names of its own in the
      // lab's DNS
      part("services", { name: "services", files: { exclude: alone }, workers: 5, turn: 1 }),
      part("services", { name: "services, alone", files: { include: alone }, workers: 2, turn: 2 }),
      // each has servers of its own
      part("cluster", { name: "cluster", files: { exclude: [...onWholeCluster, ...inTurns] }, workers: 3, turn: 3 }),
      part("cluster", { name: "cluster, in turns", files: { include: inTurns }, workers: 1, turn: 4 }),
      part("cluster", { name: "cluster, alone", files: { include: onWholeCluster }, workers: 1, turn: 5 }),
    ],
  },
});
