/**
 * One relay pod idle and at work: apply → Ready, memory of each container (PSS), join, and a
 * message between two clients on one relay.
 */
import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { readOptions } from "../scripts/options.ts";
import { apiVersion, chatmailServer } from "../src/api/names.ts";
import { converse, join } from "../test/helpers/first-message.ts";
import { apply, kubectlJson } from "../test/helpers/kubectl.ts";
import { namespace, operatorIsInstalled, publishNames, removeServer, serverReady } from "../test/helpers/servers.ts";
import { printTable, quantile, writeJson } from "./machine.ts";

const { values } = readOptions("npm run bench -- relay [--json FILE]", { options: { json: { type: "string" } } });
const name = "bench";
const rounds = 15;
/**
 * After the last mail, so that idle sessions sleep (`imap_hibernate_timeout`) and caches have been
 * let go.
 */
const settleMs = 45_000;

interface Pod {
  spec: { nodeName: string };
  status: { containerStatuses: { name: string; containerID: string }[] };
}

/** PSS of each container of the pod in MiB, by the cgroup that each process of the node is in. */
async function memoryMiB(pod: Pod): Promise<Record<string, number>> {
  const script =
    "for p in /proc/[0-9]*; do c=$(cat $p/cgroup 2>/dev/null) && m=$(grep ^Pss: $p/smaps_rollup 2>/dev/null) && echo $m $c; done";
  const run = promisify(execFile);
  const { stdout } = await run("docker", ["exec", pod.spec.nodeName, "bash", "-c", script], { maxBuffer: 2 ** 24 });
  const processes = stdout.trim().split("\n");
  const containers = pod.status.containerStatuses.map(({ name, containerID }): [string, number] => {
    const id = containerID.replace(/^.*\/\//, "");
    const kib = processes
      .filter((line) => line.includes(id))
      .map((line) => Number(/^Pss: (\d+) kB/.exec(line)?.[1] ?? 0));
    return [name, kib.reduce((sum, each) => sum + each, 0) / 1024];
  });
  return Object.fromEntries(containers);
}

await operatorIsInstalled();
await removeServer(name);
const applied = performance.now();
/** A conversation without pauses would meet the limit that the default has for one sender. */
const accounts = { sendSizePerMinute: "1Ti", sendSizeBurst: "1Ti", sendBurst: 1000, sendRatePerMinute: 6000 };
await apply({
  apiVersion,
  kind: chatmailServer.kind,
  metadata: { name, namespace },
  spec: { domain: "_bench.test", accounts },
});
const server = await serverReady(name);
const readyMs = performance.now() - applied;
await publishNames(server);

const pod = () => kubectlJson<Pod>(["-n", namespace, "get", "pod", `${name}-0`]);
const fresh = await memoryMiB(await pod());
const { couple, joinMs } = await join(server, server);
const talk = await converse(couple, rounds);
await couple.stop();
await sleep(settleMs);
const after = await memoryMiB(await pod());
await removeServer(name);

const sum = (memory: Record<string, number>) => Object.values(memory).reduce((total, each) => total + each, 0);
const mib = (value: number) => `${value.toFixed(1)} MiB`;
const ms = (value: number) => `${Math.round(value)} ms`;
printTable([
  ["apply to Ready", ms(readyMs)],
  ["join by invite", joinMs.map(ms).join(", ")],
  ["secure-join, both sides done", ms(talk.meetMs)],
  [`message, ${talk.messageMs.length} of them: median`, ms(quantile(talk.messageMs, 0.5))],
  ["message: 90th percentile", ms(quantile(talk.messageMs, 0.9))],
  ...Object.keys(after).map((each): [string, string] => [
    `PSS ${each}: fresh, at rest after use`,
    `${mib(fresh[each] ?? Number.NaN)}, ${mib(after[each] ?? Number.NaN)}`,
  ]),
  ["PSS of the pod: fresh, at rest after use", `${mib(sum(fresh))}, ${mib(sum(after))}`],
]);
await writeJson(values.json, { readyMs, joinMs, ...talk, memoryMiB: { fresh, after } });
