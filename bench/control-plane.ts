/**
 * `npm run bench -- control-plane [--servers 1000,5000] [--programs ours,go,clientNode] [--json
 * FILE]`: how an operator looks after many ChatmailServers on a real API server where nothing else
 * runs: no kubelet, no controllers, children are only objects. Ours stands beside a Go program with
 * controller-runtime and a Node program with client-node's informer; each gets an API server and an
 * etcd of its own.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parse } from "yaml";
import { numberOf, readOptions, refuse } from "../scripts/options.ts";
import type { Condition } from "../src/api/chatmail-server.ts";
import { apiVersion, chatmailFleet, chatmailServer, childNames, group, labels, version } from "../src/api/names.ts";
import type { KubeObject } from "../src/kube/object.ts";
import { type ApiServer, startApiServer } from "../test/helpers/api-server.ts";
import {
  buildPrograms,
  cpuSeconds,
  type ProgramName,
  programNames,
  relayImage,
  residentMiB,
  startProgram,
  workers,
} from "./control-plane/programs.ts";
import { renderTemplate, specOf } from "./control-plane/template.ts";
import { commit, machine, quantile, writeJson } from "./machine.ts";

interface Figures {
  coldSeconds: number;
  serversPerSecond: number;
  rssMiB: number;
  rssPeakMiB: number;
  heapMiB: number;
  editP50Ms: number;
  editP99Ms: number;
  /** A new server, until its StatefulSet is there, so that the pod can start. */
  podP50Ms: number;
  podP99Ms: number;
  /** The same until Ready, with a pod that is ready at once; of ours alone. */
  readyP50Ms: number;
  readyP99Ms: number;
  /** Requests a second, over the time that is named below. */
  readsAtRest: number;
  writesAtRest: number;
  cpuSeconds: number;
  coldReads: number;
  coldWrites: number;
}

const restMs = 45_000;
const edits = 200;
const additions = 10;
/** As a person adds them: the operator has nothing else to do, and a key ready. */
const additionMs = 11_000;
const namespaces = Array.from({ length: 10 }, (_, at) => `fleet-${at}`);

const usage = `npm run bench -- control-plane [--servers 1000,5000] [--programs ${programNames.join(",")}] [--json FILE]`;
const { sizes, chosen, goProgram, json } = readOptions(
  usage,
  {
    options: {
      servers: { type: "string", default: "1000,5000" },
      programs: { type: "string", default: programNames.join(",") },
      json: { type: "string" },
      /** A Go program that is built already. */
      "go-program": { type: "string" },
    },
  },
  ({ values }) => {
    const programs = values.programs.split(",");
    const strange = programs.filter((name) => !(programNames as readonly string[]).includes(name));
    if (strange.length > 0) refuse(`no program is called ${strange.join(", ")}`, usage);
    return {
      sizes: values.servers.split(",").map((each) => numberOf("--servers", each, { whole: true }, usage)),
      chosen: programNames.filter((name) => programs.includes(name)),
      goProgram: values["go-program"],
      json: values.json,
    };
  },
);

const nameOf = (at: number) => `s-${at}`;
const namespaceOf = (at: number) => namespaces[at % namespaces.length] ?? "";
const serversPath = `/apis/${group}/${version}/${chatmailServer.plural}`;
const serverPath = (at: number) =>
  `/apis/${group}/${version}/namespaces/${namespaceOf(at)}/${chatmailServer.plural}/${nameOf(at)}`;

/** Does so many things, 16 at a time. */
async function forEach(count: number, what: (at: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await what(next++);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

async function must(answer: Promise<{ status: number; body: unknown }>): Promise<void> {
  const { status, body } = await answer;
  if (status >= 300) throw new Error(`HTTP ${status}: ${JSON.stringify(body).slice(0, 500)}`);
}

/** Everything that happens to objects of a path from now on. Ends with `stop`. */
async function tail(server: ApiServer, path: string, heard: (type: string, object: KubeObject) => void) {
  const authorization = `Bearer ${server.token}`;
  const call = https.get(new URL(`${path}?watch=1&timeoutSeconds=7200`, server.url), {
    ca: server.tls.cert,
    headers: { authorization },
  });
  call.on("error", () => {});
  const [response] = await new Promise<[NodeJS.ReadableStream]>((resolve) =>
    call.on("response", (it) => resolve([it])),
  );
  let rest = "";
  response.setEncoding("utf8");
  response.on("data", (piece: string) => {
    const lines = (rest + piece).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const { type, object } = JSON.parse(line) as { type: string; object: KubeObject };
      heard(type, object);
    }
  });
  return { stop: () => call.destroy() };
}

/**
 * Requests that were answered since the start of the API server, of the kinds that an operator
 * touches.
 */
async function requests(server: ApiServer): Promise<{ reads: number; writes: number }> {
  const kinds = new Set(
    "chatmailservers chatmailfleets configmaps secrets persistentvolumeclaims services statefulsets pods cronjobs jobs events".split(
      " ",
    ),
  );
  const counts = { reads: 0, writes: 0 };
  for (const [, labelText = "", count] of (await server.metrics()).matchAll(
    /^apiserver_request_total\{(.*)\} (\S+)$/gm,
  )) {
    const label = (name: string) => new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(labelText)?.[1] ?? "";
    if (!kinds.has(label("resource"))) continue;
    const isRead = ["GET", "LIST", "WATCH"].includes(label("verb"));
    counts[isRead ? "reads" : "writes"] += Number(count);
  }
  return counts;
}

/**
 * What the kubelet, the volume and the StatefulSet controllers would do: bind claims, make pods.
 */
async function bringToLife(server: ApiServer, size: number): Promise<void> {
  await forEach(size, async (at) => {
    const [name, namespace] = [nameOf(at), namespaceOf(at)];
    const names = childNames(name);
    const base = `/api/v1/namespaces/${namespace}`;
    const merge = "application/merge-patch+json";
    const bound = { status: { phase: "Bound" } };
    await must(server.request("PATCH", `${base}/persistentvolumeclaims/${names.volumeClaim}/status`, bound, merge));
    const pod = {
      metadata: { name: names.pod, labels: { [labels.server]: name } },
      spec: { containers: [{ name: "relay", image: relayImage }] },
    };
    await must(server.request("POST", `${base}/pods`, pod));
  });
}

async function measure(program: ProgramName, size: number, folder: string): Promise<Figures> {
  const say = (what: string) => console.error(`${program} ${size}: ${what}`);
  const server = await startApiServer();
  try {
    for (const { plural } of [chatmailServer, chatmailFleet]) {
      const crd = parse(await readFile(join(import.meta.dirname, `../crds/${plural}.yaml`), "utf8")) as object;
      await must(server.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd));
    }
    for (const namespace of namespaces) await server.makeNamespace(namespace);
    for (let tries = 0; (await server.request("GET", serversPath)).status !== 200; tries++) {
      if (tries > 100) throw new Error("the CRD is not served");
      await sleep(100);
    }
    await forEach(size, (at) =>
      must(
        server.request("POST", serverPath(at).replace(/\/[^/]+$/, ""), {
          apiVersion,
          kind: chatmailServer.kind,
          metadata: { name: nameOf(at) },
          spec: specOf(`_${nameOf(at)}.test`),
        }),
      ),
    );

    const reconciled = new Set<string>();
    const statuses = await tail(server, serversPath, (_, object) => {
      const { status } = object as KubeObject & { status?: { observedGeneration?: number } };
      if (status?.observedGeneration === object.metadata.generation) reconciled.add(object.metadata.uid ?? "");
    });
    say("starting");
    const before = await requests(server);
    const startedAt = performance.now();
    const running = await startProgram(program, server, {
      folder,
      template: join(folder, "template.json"),
      ...(goProgram && { goProgram }),
    });
    try {
      while (reconciled.size < size) {
        const ended = running.ended();
        if (ended) throw new Error(ended);
        if (performance.now() - startedAt > size * 1_000)
          throw new Error(`${program}: ${reconciled.size} of ${size} reconciled`);
        await sleep(20);
      }
      const coldSeconds = (performance.now() - startedAt) / 1_000;
      statuses.stop();
      const cold = await requests(server);
      const cpu = cpuSeconds(running.pid);
      say(`cold in ${coldSeconds.toFixed(1)} s`);
      await complete(server, size);
      await bringToLife(server, size);
      await quiet(server, running.pid);
      const restFrom = await requests(server);
      await sleep(restMs);
      const restTo = await requests(server);
      const { now: rssMiB, peak: rssPeakMiB } = residentMiB(running.pid);

      const editMs = await edit(server, size);
      const added = await add(server, size, program === "ours");
      const heapMiB = await running.heapMiB();
      const figures = {
        coldSeconds,
        serversPerSecond: size / coldSeconds,
        rssMiB,
        rssPeakMiB,
        heapMiB,
        editP50Ms: quantile(editMs, 0.5),
        editP99Ms: quantile(editMs, 0.99),
        podP50Ms: quantile(added.podMs, 0.5),
        podP99Ms: quantile(added.podMs, 0.99),
        readyP50Ms: quantile(added.readyMs, 0.5),
        readyP99Ms: quantile(added.readyMs, 0.99),
        readsAtRest: ((restTo.reads - restFrom.reads) * 1_000) / restMs,
        writesAtRest: ((restTo.writes - restFrom.writes) * 1_000) / restMs,
        cpuSeconds: cpu,
        coldReads: cold.reads - before.reads,
        coldWrites: cold.writes - before.writes,
      };
      return Object.fromEntries(
        Object.entries(figures).map(([name, value]) => [name, Number(value.toPrecision(4))]),
      ) as unknown as Figures;
    } finally {
      await running.stop();
    }
  } finally {
    await server.stop();
  }
}

/**
 * Throws unless every child of every server is there: a program that is fast because it does less
 * is not measured.
 */
async function complete(server: ApiServer, size: number): Promise<void> {
  const paths = {
    // the plan, and the records as text
    "/api/v1/configmaps": 2,
    // a certificate, and a key for signing mail
    "/api/v1/secrets": 2,
    "/api/v1/persistentvolumeclaims": 1,
    "/api/v1/services": 1,
    "/apis/apps/v1/statefulsets": 1,
    "/apis/batch/v1/cronjobs": 1,
    "/apis/networking.k8s.io/v1/networkpolicies": 2,
  };
  for (const [path, each] of Object.entries(paths)) {
    const query = `?labelSelector=${labels.server}&resourceVersion=0`;
    const { body } = await server.request<{ items: unknown[] }>("GET", path + query);
    if (body.items.length !== size * each) throw new Error(`${path}: ${body.items.length} of ${size * each}`);
  }
}

/** Waits until the program does nothing any more, two minutes at most. */
async function quiet(server: ApiServer, pid: number): Promise<void> {
  for (let tries = 0; tries < 60; tries++) {
    const [from, cpuFrom] = [await requests(server), cpuSeconds(pid)];
    await sleep(2_000);
    const to = await requests(server);
    if (to.writes === from.writes && to.reads - from.reads <= 2 && cpuSeconds(pid) - cpuFrom < 0.1) return;
  }
  console.error("not quiet after two minutes");
}

/**
 * Edits servers one after the other; milliseconds from sending the edit to the news that the first
 * child has changed.
 */
async function edit(server: ApiServer, size: number): Promise<number[]> {
  let heard: (name: string) => void = () => {};
  const children = await tail(server, "/api/v1/configmaps", (_, { metadata }) => heard(metadata.name));
  await sleep(500);
  const took: number[] = [];
  for (let at = 0; at < edits; at++) {
    const target = (at * 7919) % size;
    const sentAt = performance.now();
    const changed = new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`edit of ${nameOf(target)} had no effect`)), 30_000);
      heard = (name) => {
        if (name !== childNames(nameOf(target)).planConfigMap) return;
        clearTimeout(late);
        resolve();
      };
    });
    // a prime: of 100 or 1,000 servers each gets another value when it is edited again
    const patch = { spec: { messages: { maxSize: `${31 + (at % 97)}Mi` } } };
    await must(server.request("PATCH", serverPath(target), patch, "application/merge-patch+json"));
    await changed;
    took.push(performance.now() - sentAt);
    await sleep(20);
  }
  children.stop();
  return took;
}

/**
 * Adds servers one after the other: milliseconds until the StatefulSet is there, and until the
 * server is Ready, with pods that are ready at once.
 */
async function add(server: ApiServer, size: number, becomeReady: boolean) {
  const took: { podMs: number[]; readyMs: number[] } = { podMs: [], readyMs: [] };
  let heardSet: (name: string) => void = () => {};
  let heardReady: (name: string) => void = () => {};
  let notReady = "";
  const sets = await tail(server, "/apis/apps/v1/statefulsets", (type, { metadata }) => {
    if (type === "ADDED") heardSet(metadata.name);
  });
  const servers = await tail(server, serversPath, (_, object) => {
    const { status } = object as KubeObject & { status?: { conditions?: Condition[] } };
    const ready = status?.conditions?.find(({ type }) => type === "Ready");
    if (ready?.status === "True") heardReady(object.metadata.name);
    else notReady = `${ready?.reason}: ${ready?.message}`;
  });
  await sleep(500);
  for (let at = size; at < size + additions; at++) {
    const heard = (what: string, by: (listener: (name: string) => void) => void) =>
      new Promise<void>((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`${nameOf(at)} has no ${what} (${notReady})`)), 30_000);
        by((name) => {
          if (name !== nameOf(at)) return;
          clearTimeout(late);
          resolve();
        });
      });
    const set = heard("StatefulSet", (listener) => (heardSet = listener));
    const metadata = { name: nameOf(at) };
    const spec = specOf(`_${nameOf(at)}.test`);
    // there is no node that has an address
    const addressed = { ...spec, network: { ...spec.network, addresses: ["203.0.113.77"] } };
    const body = { apiVersion, kind: chatmailServer.kind, metadata, spec: addressed };
    const sentAt = performance.now();
    await must(server.request("POST", serverPath(at).replace(/\/[^/]+$/, ""), body));
    await set;
    took.podMs.push(performance.now() - sentAt);
    if (becomeReady) {
      const ready = heard("Ready", (listener) => (heardReady = listener));
      await Promise.all([ready, becomesReady(server, at)]);
      took.readyMs.push(performance.now() - sentAt);
    }
    await sleep(additionMs);
  }
  sets.stop();
  servers.stop();
  return took;
}

/** Its pod runs, and its claim is bound. */
async function becomesReady(server: ApiServer, at: number): Promise<void> {
  const [name, namespace] = [nameOf(at), namespaceOf(at)];
  const names = childNames(name);
  const base = `/api/v1/namespaces/${namespace}`;
  const merge = "application/merge-patch+json";
  const status = (path: string, of: object) => must(server.request("PATCH", `${path}/status`, { status: of }, merge));
  const setPath = `/apis/apps/v1/namespaces/${namespace}/statefulsets/${names.statefulSet}`;
  const { body: set } = await server.request<LiveSet>("GET", setPath);
  const { metadata, spec } = set.spec.template;
  const pod = { metadata: { ...metadata, name: names.pod }, spec: { ...spec, nodeName: "node-1" } };
  await must(server.request("POST", `${base}/pods`, pod));
  const lastTransitionTime = new Date().toISOString();
  await status(`${base}/pods/${names.pod}`, {
    phase: "Running",
    conditions: [{ type: "Ready", status: "True", lastTransitionTime }],
  });
  await status(`${base}/persistentvolumeclaims/${names.volumeClaim}`, { phase: "Bound" });
  await status(setPath, {
    observedGeneration: set.metadata.generation,
    replicas: 1,
    readyReplicas: 1,
    currentRevision: name,
    updateRevision: name,
  });
}

interface LiveSet extends KubeObject {
  spec: { template: { metadata: object; spec: object } };
}

const folder = await mkdtemp(join(tmpdir(), "chatmail-bench-"));
const results: Partial<Record<ProgramName, Record<string, Figures>>> = {};
try {
  await writeFile(join(folder, "template.json"), JSON.stringify(await renderTemplate(relayImage)));
  await buildPrograms(folder, chosen, goProgram);
  for (const size of sizes)
    for (const program of chosen) {
      try {
        results[program] = { ...results[program], [size]: await measure(program, size, folder) };
        // after each, for a run of half an hour may be cut short
        await writeJson(json, { workers, ...results });
      } catch (error) {
        // The others are worth their time all the same.
        console.error(error);
        process.exitCode = 1;
      }
    }
} finally {
  if (process.env.KEEP === "1") console.error(`kept: ${folder}`);
  else await rm(folder, { recursive: true, force: true });
}

const columns = chosen.flatMap((program) =>
  sizes.map((size) => ({ program, size, figures: results[program]?.[size] })),
);
const line = (cells: readonly string[]) =>
  cells.map((cell, at) => (at === 0 ? cell.padEnd(34) : cell.padStart(16))).join("");
const rows: [string, keyof Figures][] = [
  ["cold start to all reconciled, s", "coldSeconds"],
  ["servers a second", "serversPerSecond"],
  ["CPU until then, s", "cpuSeconds"],
  ["reads until then", "coldReads"],
  ["writes until then", "coldWrites"],
  ["RSS at rest, MiB", "rssMiB"],
  ["RSS at its highest, MiB", "rssPeakMiB"],
  ["heap, MiB", "heapMiB"],
  ["reads a second at rest", "readsAtRest"],
  ["writes a second at rest", "writesAtRest"],
  ["edit to first child, p50, ms", "editP50Ms"],
  ["edit to first child, p99, ms", "editP99Ms"],
  ["new server to StatefulSet, p50, ms", "podP50Ms"],
  ["new server to StatefulSet, p99, ms", "podP99Ms"],
  ["new server to Ready, p50, ms", "readyP50Ms"],
  ["new server to Ready, p99, ms", "readyP99Ms"],
];
console.log(`${machine()}\ncommit ${commit}; ${workers} workers each`);
console.log(line(["", ...columns.map(({ program, size }) => `${program} ${size}`)]));
for (const [what, field] of rows)
  console.log(line([what, ...columns.map(({ figures }) => String(figures?.[field] ?? "–"))]));
for (const size of sizes) {
  const [ours, go] = [results.ours?.[size], results.go?.[size]];
  if (ours && go)
    console.log(
      `${size} servers: ${Math.round((100 * ours.serversPerSecond) / go.serversPerSecond)} % of the Go program's rate`,
    );
}
