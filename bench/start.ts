/**
 * The start of a relay pod, on a new volume: from a container's start to the first answer of each
 * listener, and where that time goes. The containers are those of the services tests, one after the
 * other as the kubelet starts them, on the lab's Docker engine. Medians over some starts.
 */
import { join } from "node:path";
import { numberOf, readOptions } from "../scripts/options.ts";
import { wait } from "../src/lib/wait.ts";
import { ports } from "../src/mail/ports.ts";
import type { RelayContainerName } from "../src/pod/containers.ts";
import { LineSocket, type Tls } from "../test/helpers/line-socket.ts";
import { type RelayPod, startRelayPod } from "../test/helpers/relay-pod.ts";
import { endSignal, printTable, quantile, say, writeJson } from "./machine.ts";

const usage = "npm run bench -- start [--rounds 7] [--json FILE]";
const { rounds, json } = readOptions(
  usage,
  {
    options: { rounds: { type: "string", default: "7" }, json: { type: "string" } },
  },
  ({ values }) => ({ rounds: numberOf("--rounds", values.rounds, { whole: true }, usage), json: values.json }),
);
const signal = endSignal();

/** How long a listener may take; it is asked again after so long. */
const patienceMs = 60_000;
const everyMs = 10;

interface Listener {
  name: string;
  /** Of the container whose program answers; nginx stands before some. */
  container: RelayContainerName;
  port: number;
  tls?: Tls;
  /** What the client says first. */
  request?: string;
  answer: RegExp;
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: _start.test\r\nConnection: close\r\n\r\n`;
const listeners: readonly Listener[] = [
  { name: "25 (greeting)", container: "postfix", port: ports.smtp, answer: /^220 / },
  { name: "465 (greeting in TLS)", container: "postfix", port: ports.submissions, tls: {}, answer: /^220 / },
  { name: "587 (greeting)", container: "postfix", port: ports.submission, answer: /^220 / },
  { name: "143 (greeting)", container: "dovecot", port: ports.imap, answer: /^\* OK / },
  { name: "993 (greeting in TLS)", container: "dovecot", port: ports.imaps, tls: {}, answer: /^\* OK / },
  { name: "443 (page)", container: "web", port: ports.https, tls: {}, request: get("/"), answer: /^HTTP\/1\.1 200 / },
  { name: "/healthz", container: "relay", port: ports.health, request: get("/healthz"), answer: /^HTTP\/1\.1 200 / },
  { name: "/readyz", container: "relay", port: ports.health, request: get("/readyz"), answer: /^HTTP\/1\.1 200 / },
];

const withPlan = ["postfix", "dovecot", "web"] as const;
/** Milliseconds, by what they are. */
type Times = Record<string, number>;

const starts: Times[] = [];
for (let round = 0; round < rounds; round++) {
  signal.throwIfAborted();
  say(`start ${round + 1} of ${rounds}`);
  starts.push(await start());
}
const names = Object.keys(starts[0] ?? {});
const valuesOf = (name: string) => starts.map((each) => each[name] ?? Number.NaN);
printTable([
  [`median of ${rounds} starts`, "ms (least to most)"],
  ...names.map((name): [string, string] => {
    const all = valuesOf(name);
    const [median, least, most] = [quantile(all, 0.5), Math.min(...all), Math.max(...all)].map(Math.round);
    return [name, `${String(median).padStart(6)} (${least} to ${most})`];
  }),
]);
await writeJson(json, {
  rounds,
  medianMs: Object.fromEntries(names.map((name) => [name, Math.round(quantile(valuesOf(name), 0.5))])),
  starts,
});

async function start(): Promise<Times> {
  const answered = new Map<string, Promise<number>>();
  const given = new AbortController();
  const preload = join(import.meta.dirname, "start", "preload.mjs");
  const pod = await startRelayPod({
    domain: "_start.test",
    unready: true,
    preload,
    beforeStart: (host) => {
      for (const each of listeners) {
        const first = firstAnswer(host, each, AbortSignal.any([signal, given.signal]));
        first.catch(() => undefined);
        answered.set(each.name, first);
      }
    },
  });
  try {
    const at = new Map<string, number>();
    for (const [name, first] of answered) at.set(name, await first);
    return await timesOf(pod, at);
  } catch (thrown) {
    say(await pod.logs());
    throw thrown;
  } finally {
    given.abort();
    await pod.remove();
  }
}

/** When the listener has answered for the first time. */
async function firstAnswer(host: string, listener: Listener, signal: AbortSignal): Promise<number> {
  const { port, tls, request, answer } = listener;
  const end = Date.now() + patienceMs;
  for (;;) {
    signal.throwIfAborted();
    let line = "";
    try {
      const socket = await LineSocket.open({ host, port }, tls);
      if (request) socket.write(request);
      line = await socket.line().finally(() => socket.destroy());
    } catch {
      // it is not there yet
    }
    if (answer.test(line)) return Date.now();
    if (Date.now() > end) throw new Error(`${listener.name} has not answered in ${patienceMs} ms: ${line}`);
    await wait(everyMs, signal);
  }
}

async function timesOf(pod: RelayPod, answeredAt: ReadonlyMap<string, number>): Promise<Times> {
  const cpu = await pod.cpu();
  const startedAt = new Map<RelayContainerName, number>();
  for (const name of ["relay", ...withPlan] as const) startedAt.set(name, await pod.startedAt(name));
  const begin = (name: RelayContainerName) => startedAt.get(name) ?? Number.NaN;
  const first = Math.min(...startedAt.values());
  const times: Times = {};
  for (const name of withPlan) times[`container ${name} starts after the first one`] = begin(name) - first;
  for (const { name, container } of listeners) {
    times[`${name}, since the start of ${container}`] = (answeredAt.get(name) ?? Number.NaN) - begin(container);
  }
  for (const { name } of listeners) {
    times[`${name}, since the first container`] = (answeredAt.get(name) ?? Number.NaN) - first;
  }
  const relay = await phasesOf(pod, "relay");
  Object.assign(
    times,
    steps("relay", begin("relay"), [
      ["until Node", relay.process],
      ["Node itself", relay.loaded],
      ["program loaded, first socket", relay.listening],
      ["all sockets", relay.serving],
    ]),
  );
  for (const name of withPlan) {
    const phases = await phasesOf(pod, name);
    const own = listeners.filter(({ container }) => container === name).map((each) => answeredAt.get(each.name));
    Object.assign(
      times,
      steps(name, begin(name), [
        ["until Node", phases.process],
        ["Node itself", phases.loaded],
        ["render", phases.written],
        ["wait for the certificate", phases.checking],
        ["checker", phases.checked],
        ["end of Node", phases.ended],
        ["program until its first listener", Math.min(...own.map((each) => each ?? Number.NaN))],
      ]),
    );
    times[`${name}: CPU of render`] = phases.cpuMs ?? Number.NaN;
  }
  for (const [name, seconds] of Object.entries(cpu)) times[`${name}: CPU of all until the pod serves`] = seconds * 1000;
  return times;
}

/** How long each step took, of the times at which they ended. */
function steps(part: string, begin: number, ends: readonly (readonly [string, number | undefined])[]): Times {
  let last = begin;
  const times: Times = {};
  for (const [step, end = Number.NaN] of ends) {
    times[`${part}: ${step}`] = end - last;
    last = end;
  }
  return times;
}

/** What preload.mjs has printed. */
async function phasesOf(pod: RelayPod, name: RelayContainerName): Promise<Times> {
  const line = /^start-phases (.+)$/m.exec(await pod.logs(name))?.[1];
  if (line === undefined) throw new Error(`${name} has not said its phases`);
  return JSON.parse(line) as Times;
}
