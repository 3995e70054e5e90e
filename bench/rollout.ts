/**
 * `npm run bench -- rollout [--servers 1000] [--json FILE]`: a new version goes through a fleet of
 * servers on a real API server, and one that fails goes back. Pods are only objects: what is
 * measured is the operator's part, its calls above all, and that never more are down than allowed.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { numberOf, readOptions } from "../scripts/options.ts";
import { FleetRollout, imageOf, nameOf } from "../test/helpers/fleet-rollout.ts";
import { printTable, writeJson } from "./machine.ts";

const usage = "npm run bench -- rollout [--servers 1000] [--json FILE]";
const { size, json } = readOptions(
  usage,
  {
    options: { servers: { type: "string", default: "1000" }, json: { type: "string" } },
  },
  ({ values }) => ({ size: numberOf("--servers", values.servers, { whole: true }, usage), json: values.json }),
);
const limitPercent = 5;
const planted = nameOf(Math.floor(size / 2));

interface Figures {
  seconds: number;
  reads: number;
  writes: number;
  writesPerServer: number;
  written: Record<string, number>;
  mostDown: number;
  podsReplaced: number;
}

const figures: Record<string, Figures> = {};
let fleet: FleetRollout | undefined;

async function phase(name: string, work: (of: FleetRollout) => Promise<unknown>): Promise<void> {
  if (!fleet) return;
  fleet.takeCalls();
  fleet.pods.takeMostDown();
  const [startedAt, podsBefore] = [performance.now(), fleet.pods.started.length];
  await work(fleet);
  const { reads, writes, written } = fleet.takeCalls();
  figures[name] = {
    seconds: Math.round((performance.now() - startedAt) / 100) / 10,
    reads,
    writes,
    writesPerServer: Math.round((writes / size) * 10) / 10,
    written,
    mostDown: fleet.pods.takeMostDown(),
    podsReplaced: fleet.pods.started.length - podsBefore,
  };
  console.error(name, JSON.stringify(figures[name]));
}

try {
  fleet = await FleetRollout.open({
    size,
    rollout: {
      waves: [
        { name: "canary", selector: { matchLabels: { ring: "canary" } }, maxUnavailable: 3, soakSeconds: 5 },
        { name: "tenth", share: "10%", maxUnavailable: "10%" },
        { name: "rest", maxUnavailable: `${limitPercent}%` },
      ],
      gate: "Ready",
    },
    isBroken: ({ name, image }) => name === planted && image === imageOf("3"),
    patienceMs: 3_600_000,
  });
  await phase("rollout", async (of) => {
    await of.edit({ version: "2" });
    await of.untilUpdated("2");
  });
  await phase("idle for 30 s", () => sleep(30_000));
  await phase("rollout to a version that fails", async (of) => {
    await of.edit({ version: "3" });
    await of.untilStatus(
      "it to stop",
      ({ servers, rollout }) => servers?.failed === 1 && servers.ready === size && rollout !== undefined,
    );
  });
  await phase("rollback", async (of) => {
    await of.edit({ onFailure: "Rollback" });
    await of.untilUpdated("2", ({ rollout }) => rollout?.givenUp === imageOf("3"));
  });
  await phase("rollout, killed ten times", async (of) => {
    await of.edit({ version: "4" });
    const done = of.untilUpdated("4");
    for (let kills = 0; kills < 10; kills++) {
      await sleep(1_000 + Math.random() * 4_000);
      of.restart();
    }
    await done;
  });
} finally {
  await fleet?.close();
}

printTable(
  Object.entries(figures).map(([name, { seconds, reads, writes, writesPerServer, mostDown, podsReplaced }]) => [
    `${size} servers: ${name}`,
    `${seconds} s, ${reads} reads, ${writes} writes (${writesPerServer} a server), ${podsReplaced} pods replaced, ${mostDown} down at most`,
  ]),
);
await writeJson(json, { servers: size, ...figures });
