/**
 * `npm run soak [-- --minutes 2 | --hours 1] [--seed N]`: stores of src/kube follow a real API
 * server through faults that come at random, while objects change all the time. After each round
 * the stores must hold what the server holds. The last line counts the changes that were made,
 * seen, folded into a later one and missed; a missed one, or one out of order, is exit 1.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { startApiServer } from "../test/helpers/api-server.ts";
import { faultProxy } from "../test/helpers/fault-proxy.ts";
import { faults as all, type Fault } from "../test/helpers/kube-faults.ts";
import { follow, kinds, Ledger, makeChanges, untilEqual } from "../test/helpers/kube-ledger.ts";
import { seededRandom } from "../test/helpers/seeded-random.ts";
import { numberOf, readOptions } from "./options.ts";

const usage = "npm run soak [-- --minutes 2 | --hours 1] [--seed N]";
const { values } = readOptions(usage, {
  options: {
    minutes: { type: "string", default: "2" },
    hours: { type: "string" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
  },
});
const number = (option: string, text: string) => numberOf(option, text, {}, usage);
const minutes = values.hours === undefined ? number("--minutes", values.minutes) : number("--hours", values.hours) * 60;
const lastsMs = minutes * 60_000;
const seed = numberOf("--seed", values.seed, { above: -1, whole: true }, usage);
const random = seededRandom(seed);
console.log(`soak of ${lastsMs / 60_000} min, --seed ${seed}`);

/** Those that differ only in how the client is connected count once. */
const faults = all.filter(({ onlyConnections }) => !onlyConnections);
/** Faults of one round, at most; and how long one lasts, at most. */
const faultsPerRound = 5;
const faultMs = 2_500;
/**
 * A call that a black hole swallowed is given up after half a minute; then comes a pause of as
 * much.
 */
const rightAgainWithinMs = 90_000;

const server = await startApiServer();
const followers: { plural: keyof typeof kinds; ledger: Ledger; recoveries: number[] }[] = [];
const total = { made: 0, seen: 0, folded: 0, missed: 0, disordered: 0 };
let wrong: unknown;
try {
  const namespace = "soak";
  await server.makeNamespace(namespace);
  const proxy = await faultProxy(server);
  const subjects = (["configmaps", "secrets"] as const).map((plural) => {
    const ledger = new Ledger();
    followers.push({ plural, ledger, recoveries: [] });
    const credentials = server.credentials(proxy.url);
    return { plural, ledger, ...follow({ credentials, resource: kinds[plural], namespace, ledger }) };
  });
  const end = performance.now() + lastsMs;
  for (let round = 1; performance.now() < end; round++) {
    const stopping = new AbortController();
    const { signal } = stopping;
    const changing = subjects.flatMap(({ plural, ledger }) =>
      ["a", "b"].map((name) =>
        // Names of this round only: what earlier rounds left stays as it is, and must stay in the
        // store.
        makeChanges({
          server,
          plural,
          namespace,
          name: `${name}${round % 20}`,
          count: 10,
          pauseMs: 5,
          ledger,
          random,
          signal,
        }),
      ),
    );
    const told: string[] = [];
    for (let each = Math.ceil(random() * faultsPerRound); each > 0; each--) {
      const { fault, inject } = faults[Math.floor(random() * faults.length)] as Fault;
      told.push(fault);
      await inject({ proxy, server });
      await sleep(random() * faultMs);
      if (random() < 0.7) proxy.heal();
      await sleep(random() * 500);
    }
    proxy.heal();
    stopping.abort();
    await Promise.all(changing);
    for (const { plural, store } of subjects) {
      const startedAt = performance.now();
      await untilEqual(store, { server, plural, namespace }, rightAgainWithinMs).catch((cause) => {
        throw new Error(`round ${round}, ${plural}, --seed ${seed}: ${told.join(", ")}`, { cause });
      });
      followers.find((each) => each.plural === plural)?.recoveries.push(performance.now() - startedAt);
    }
    const worst = Math.max(...followers.map(({ recoveries }) => recoveries.at(-1) ?? 0));
    console.log(`round ${round}: ${told.join(", ")}; right again after ${Math.round(worst)} ms`);
  }
  for (const { stop } of subjects) await stop();
  await proxy.close();
} catch (error) {
  wrong = error;
} finally {
  await server.stop();
}

for (const { ledger } of followers)
  for (const [what, count] of Object.entries(ledger.counts())) total[what as keyof typeof total] += count;
for (const { plural, ledger } of followers)
  for (const object of ledger.missed()) console.error(`missed, ${plural} ${object}`);
const recoveries = followers.flatMap((each) => each.recoveries);
console.log(
  `stores were right ${recoveries.length} times, after ${Math.round(Math.max(0, ...recoveries))} ms at the latest`,
);
if (wrong) console.error(wrong);
const failed = wrong !== undefined || total.missed > 0 || total.disordered > 0;
process.exitCode = failed ? 1 : 0;
const { made, seen, folded, missed, disordered } = total;
console.log(
  `${failed ? "FAILED: " : ""}${made} changes made, ${seen} seen, ${folded} folded into a later one, ${missed} missed, ${disordered} out of order`,
);
