/**
 * What the relay's messages to itself cost (decision 0032): CPU time of each container for one
 * message, against the same pod at rest, and how long a message takes. `--seconds`: of each part;
 * `--every`: seconds from one message to the next.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { numberOf, readOptions } from "../scripts/options.ts";
import { ports } from "../src/mail/ports.ts";
import { type RelayPod, startRelayPod } from "../test/helpers/relay-pod.ts";
import { until } from "../test/helpers/until.ts";
import { endSignal, printTable, say, writeJson } from "./machine.ts";

const usage = "npm run bench -- probe [--seconds 30] [--every 0.5] [--json FILE]";
const { seconds, every, json } = readOptions(
  usage,
  {
    options: {
      seconds: { type: "string", default: "30" },
      every: { type: "string", default: "0.5" },
      json: { type: "string" },
    },
  },
  ({ values }) => ({
    seconds: numberOf("--seconds", values.seconds, { whole: true }, usage),
    every: numberOf("--every", values.every, {}, usage),
    json: values.json,
  }),
);
const signal = endSignal();

type Containers = Awaited<ReturnType<RelayPod["cpu"]>>;
const sum = (figures: Containers) => Object.values(figures).reduce((all, each) => all + each, 0);
const each = (figures: Containers, text: (figure: number) => string) =>
  Object.entries(figures)
    .map(([name, figure]) => `${name} ${text(figure)}`)
    .join(", ");

interface Part {
  messages: number;
  latencyMs: number;
  cpuSeconds: Containers;
  pssKb: Containers;
}

async function measure(probeSeconds: number): Promise<Part> {
  const pod = await startRelayPod({ domain: "_probe-cost.test", probeSeconds });
  try {
    if (probeSeconds > 0) await until("the first message", async () => (await counted(pod)).messages > 0);
    await sleep(5_000, undefined, { signal });
    const [before, cpuBefore] = [await counted(pod), await pod.cpu()];
    await sleep(seconds * 1000, undefined, { signal });
    const [after, cpuAfter] = [await counted(pod), await pod.cpu()];
    const messages = after.messages - before.messages;
    const used = Object.entries(cpuAfter).map(([name, at]) => [name, at - cpuBefore[name as keyof Containers]]);
    return {
      messages,
      latencyMs: messages > 0 ? ((after.seconds - before.seconds) * 1000) / messages : 0,
      cpuSeconds: Object.fromEntries(used) as Containers,
      pssKb: await pod.memory(),
    };
  } finally {
    await pod.remove();
  }
}

async function counted(pod: RelayPod): Promise<{ messages: number; seconds: number }> {
  const text = await (await fetch(`http://${pod.host}:${ports.health}/metrics`, { signal })).text();
  const sample = (name: string) =>
    Number(new RegExp(`^probe_delivery_seconds_${name} (.*)$`, "m").exec(text)?.[1] ?? 0);
  return { messages: sample("count"), seconds: sample("sum") };
}

say(`a pod at rest, for ${seconds} s`);
const rest = await measure(0);
say(`a pod with a message each ${every} s, for ${seconds} s`);
const busy = await measure(every);
const perMessage = Object.fromEntries(
  Object.entries(busy.cpuSeconds).map(([name, used]) => {
    const idle = rest.cpuSeconds[name as keyof Containers];
    return [name, ((used - idle) * 1000) / busy.messages];
  }),
) as Containers;
printTable([
  ["messages", String(busy.messages)],
  ["latency, mean", `${busy.latencyMs.toFixed(0)} ms`],
  ["CPU for a message", `${sum(perMessage).toFixed(1)} ms (${each(perMessage, (ms) => ms.toFixed(1))})`],
  ["CPU at rest, in a minute", `${((sum(rest.cpuSeconds) * 60_000) / seconds).toFixed(0)} ms`],
  ["PSS without", `${(sum(rest.pssKb) / 1024).toFixed(0)} MiB (${each(rest.pssKb, (kb) => (kb / 1024).toFixed(0))})`],
  ["PSS with", `${(sum(busy.pssKb) / 1024).toFixed(0)} MiB (${each(busy.pssKb, (kb) => (kb / 1024).toFixed(0))})`],
]);
await writeJson(json, { seconds, rest, busy, perMessage });
