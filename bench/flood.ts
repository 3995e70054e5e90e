/**
 * Honest logins beside a flood of wrong passwords, by IMAP and by submission: of somebody who has
 * an account, of somebody new, and of the owner of an attacked account. Their connections are not
 * in the figures: they have nothing to do with passwords. `--logins`: of each kind in each attack.
 */
import { numberOf, readOptions } from "../scripts/options.ts";
import {
  attacksOn,
  floodConnections,
  floodServices,
  giveAccount,
  type HonestLogin,
  honestClients,
  honestKinds,
  startFlood,
  startFloodedPod,
} from "../test/helpers/login-flood.ts";
import { until } from "../test/helpers/until.ts";
import { endSignal, printTable, quantile, say, writeJson } from "./machine.ts";

const usage = "npm run bench -- flood [--logins 20] [--json FILE]";
const { logins, json } = readOptions(
  usage,
  {
    options: { logins: { type: "string", default: "20" }, json: { type: "string" } },
  },
  ({ values }) => ({ logins: numberOf("--logins", values.logins, { whole: true }, usage), json: values.json }),
);
const patienceMs = 60_000;
const signal = endSignal();

type Kind = (typeof honestKinds)[number];
interface Figures {
  service: string;
  attack: string;
  connections: number;
  attemptsPerSecond: number;
  answers: Record<string, number>;
  loginMs: Record<Kind, Summary>;
  /** Of all honest clients: what the machine does to whoever connects. */
  connectMs: Summary;
}
type Summary = ReturnType<typeof summaryOf>;

const results: Figures[] = [];
const pod = await startFloodedPod("_flood-bench.test");
try {
  const addresses = Array.from({ length: floodConnections }, () => giveAccount(pod));
  for (const service of floodServices) {
    const honest = honestClients(pod, service, addresses[0] ?? "");
    await honest.owner();
    for (const attack of attacksOn(addresses)) {
      signal.throwIfAborted();
      say(`${service}: ${attack.what}`);
      const flood = await startFlood(pod, service, attack);
      const found: Record<Kind, HonestLogin[]> = { known: [], new: [], owner: [] };
      let seconds: number;
      let attempts: number;
      try {
        await until("the attack to run", () => flood.attempts() > 0, { patienceMs });
        const [start, before] = [performance.now(), flood.attempts()];
        for (let count = 0; count < logins; count++) {
          signal.throwIfAborted();
          for (const kind of honestKinds) found[kind].push(await honest[kind]());
        }
        seconds = (performance.now() - start) / 1000;
        attempts = flood.attempts() - before;
      } finally {
        await flood.stop();
      }
      const loginMs = Object.fromEntries(
        honestKinds.map((kind) => [kind, summaryOf(found[kind].map((each) => each.loginMs))]),
      ) as Record<Kind, Summary>;
      results.push({
        service,
        attack: attack.what,
        connections: flood.connections,
        attemptsPerSecond: Math.round(attempts / seconds),
        answers: Object.fromEntries(flood.answers),
        loginMs,
        connectMs: summaryOf(honestKinds.flatMap((kind) => found[kind].map((each) => each.connectMs))),
      });
    }
  }
} finally {
  await pod.remove();
}
printTable([
  ["logins beside the flood", "p50 / p99 / max in ms"],
  ...results.flatMap(({ service, attack, connections, attemptsPerSecond, loginMs, connectMs }) => [
    [`${service}: ${attack}`, `${connections} connections, ${attemptsPerSecond} attempts/s`] as const,
    ...honestKinds.map((kind) => [`  ${kind}`, textOf(loginMs[kind])] as const),
    ["  (their connections)", textOf(connectMs)] as const,
  ]),
]);
await writeJson(json, { logins, results });

function summaryOf(ms: readonly number[]) {
  const [p50, p99] = [quantile(ms, 0.5), quantile(ms, 0.99)].map(Math.round);
  return { p50, p99, max: Math.round(Math.max(...ms)) };
}

function textOf({ p50, p99, max }: Summary): string {
  return [p50, p99, max].map((each) => String(each).padStart(5)).join(" / ");
}
