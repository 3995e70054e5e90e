import { defineConfig } from "vitest/config";

/** Patience of a whole test, in milliseconds, one figure per suite; inside a test `until` waits. */
const patienceMs = { unit: 10_000, services: 60_000, cluster: 240_000 };

const suite = (name: keyof typeof patienceMs, parallel: boolean) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout: patienceMs[name],
    hookTimeout: patienceMs[name] * 2,
    fileParallelism: parallel,
  },
});

export default defineConfig({
  test: { projects: [suite("unit", true), suite("services", false), suite("cluster", false)] },
});
