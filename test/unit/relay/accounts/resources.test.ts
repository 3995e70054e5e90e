import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { readResources } from "../../../../src/relay/accounts/resources.ts";

const machine = {
  "proc/loadavg": "1.25 0.9 0.8 1/200 4242\n",
  "proc/meminfo": "MemTotal: 4000 kB\nMemAvailable:    2000 kB\n",
};

test.each([
  { when: "there is no limit", files: {}, available: 2000 * 1024, limit: undefined },
  {
    when: "cgroup v2 has no limit",
    files: { "cgroup/memory.max": "max\n", "cgroup/memory.current": "1000\n" },
    available: 2000 * 1024,
    limit: undefined,
  },
  {
    when: "cgroup v2 has one; file pages count as free",
    files: {
      "cgroup/memory.max": "1000000\n",
      "cgroup/memory.current": "900000\n",
      "cgroup/memory.stat": "anon 5\ninactive_file 300000\nactive_file 100000\n",
    },
    available: 500_000,
    limit: 1_000_000,
  },
  {
    when: "cgroup v1 has one",
    files: {
      "cgroup/memory/memory.limit_in_bytes": "1000000\n",
      "cgroup/memory/memory.usage_in_bytes": "900000\n",
      "cgroup/memory/memory.stat": "total_inactive_file 100000\ninactive_file 7\n",
    },
    available: 200_000,
    limit: 1_000_000,
  },
  {
    when: "cgroup v1 has none",
    files: {
      "cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
      "cgroup/memory/memory.usage_in_bytes": "900000\n",
    },
    available: 2000 * 1024,
    limit: undefined,
  },
])("when $when", async ({ files, available, limit }) => {
  const folder = mkdtempSync(join(tmpdir(), "resources-"));
  for (const [name, text] of Object.entries({ ...machine, ...files })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  const seen = await readResources(folder, { proc: join(folder, "proc"), cgroup: join(folder, "cgroup") }, 2);
  expect(seen).toMatchObject({ loadPerCore: 0.625, availableMemoryBytes: available, memoryLimitBytes: limit });
  expect(seen.freeDiskBytes).toBeGreaterThan(0);
});

test("what can't be read is left out", async () => {
  expect(await readResources("/nowhere", { proc: "/nowhere", cgroup: "/nowhere" })).toEqual({});
});
