/**
 * The three programs that are measured beside each other, as processes: how each is built, started
 * and asked for its heap.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { build } from "esbuild";
import { bundle } from "../../scripts/build.ts";
import type { ApiServer } from "../../test/helpers/api-server.ts";
import { freePort } from "../../test/helpers/free-port.ts";

export const programNames = ["ours", "go", "clientNode"] as const;
export type ProgramName = (typeof programNames)[number];

export interface Running {
  pid: number;
  /** Why it is no longer there; undefined while it runs. */
  ended(): string | undefined;
  heapMiB(): Promise<number>;
  stop: () => Promise<void>;
}

export const workers = 4;
const here = import.meta.dirname;
const root = join(here, "../..");

/** Builds all that is asked for into the folder. */
export async function buildPrograms(folder: string, names: readonly ProgramName[], goProgram?: string): Promise<void> {
  if (names.includes("ours")) {
    await bundle(["operator"], folder);
    const headers = join(root, "node_modules/node-api-headers/include");
    const cc = ["-O2", "-shared", "-fPIC", `-I${headers}`, "-o", join(folder, "trim.node"), join(root, "image/trim.c")];
    execFileSync("cc", cc, { stdio: ["ignore", "inherit", "inherit"] });
  }
  if (names.includes("clientNode"))
    await build({
      entryPoints: [join(here, "client-node.ts")],
      outfile: join(folder, "client-node.js"),
      bundle: true,
      platform: "node",
      target: "node24",
      format: "esm",
      banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
      logLevel: "error",
    });
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }\n');
  if (!names.includes("go") || goProgram) return;
  console.error("building the Go program: some minutes the first time");
  const env = { ...process.env, CGO_ENABLED: "0", GOWORK: "off", GOFLAGS: "" };
  execFileSync(findGo(), ["build", "-trimpath", "-buildvcs=false", "-o", join(folder, "go-program"), "."], {
    cwd: join(here, "go"),
    env,
    stdio: ["ignore", "inherit", "inherit"],
  });
}

const findGo = () => (existsSync("/usr/local/go/bin/go") ? "/usr/local/go/bin/go" : "go");

/**
 * How the operator's image starts node, as the Dockerfile says: flags between the program and the
 * bundle, and the environment.
 */
const image = imageOf(readFileSync(join(root, "Dockerfile"), "utf8"));

function imageOf(dockerfile: string): { nodeFlags: string[]; env: Record<string, string> } {
  const [, stage = ""] = /^FROM node AS operator\n([\s\S]*?)^FROM /m.exec(dockerfile) ?? [];
  const [, entrypoint = ""] = /^ENTRYPOINT (.*)$/m.exec(stage) ?? [];
  const words: string[] = JSON.parse(entrypoint);
  const env = [...stage.matchAll(/^ENV (\w+)=(\S+)$/gm)].map(([, key = "", value = ""]) => [key, value] as const);
  return { nodeFlags: words.slice(1, -1), env: Object.fromEntries(env) };
}

/**
 * Goes before a program's own code. Plain JavaScript: stripping types would cost the process memory
 * that it does not use.
 */
const memoryProbe = `import { writeFileSync } from "node:fs";
process.on("SIGUSR2", () => writeFileSync(process.env.MEMORY_FILE, JSON.stringify(process.memoryUsage())));`;

export async function startProgram(
  name: ProgramName,
  server: ApiServer,
  options: { folder: string; template: string; goProgram?: string },
): Promise<Running> {
  const { folder, template } = options;
  const file = (each: string) => join(folder, each);
  writeFileSync(file("ca.crt"), server.tls.cert);
  writeFileSync(file("token"), server.token);
  writeFileSync(file("namespace"), "default");
  const memory = file("memory.json");
  rmSync(memory, { force: true });
  const node = ["--import", `data:text/javascript,${encodeURIComponent(memoryProbe)}`];
  const port = await freePort();
  const given = [server.url.href.replace(/\/$/, ""), file("ca.crt"), file("token"), template];
  // The operator finds its service account where a kubelet puts it: in a mount namespace of its
  // own, over /run.
  const account = "/run/secrets/kubernetes.io/serviceaccount";
  const mounted = `mount -t tmpfs tmpfs /run && mkdir -p ${account} && cp "$0"/ca.crt "$0"/token "$0"/namespace ${account}/ && exec "$@"`;
  const asRoot = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
  const argv = {
    ours: [
      "unshare",
      ...asRoot,
      "--mount",
      "sh",
      "-c",
      mounted,
      folder,
      process.execPath,
      ...image.nodeFlags,
      ...node,
      file("operator.js"),
    ],
    go: [
      options.goProgram ?? file("go-program"),
      `-server=${given[0]}`,
      `-ca=${given[1]}`,
      `-token=${given[2]}`,
      `-template=${given[3]}`,
      `-metrics=127.0.0.1:${port}`,
      `-workers=${workers}`,
    ],
    clientNode: [process.execPath, ...node, file("client-node.js"), ...given, String(workers)],
  }[name];
  const { KUBECONFIG: _, ...inherited } = process.env;
  const env = {
    ...inherited,
    MEMORY_FILE: memory,
    NODE_NO_WARNINGS: "1",
    KUBERNETES_SERVICE_HOST: server.url.hostname,
    KUBERNETES_SERVICE_PORT: server.url.port,
    WATCH_NAMESPACES: "*",
    RELAY_IMAGE: relayImage,
    LEADER_ELECTION: "false",
    LOG_LEVEL: "warn",
    HEALTH_PORT: String(port),
    WORKERS: String(workers),
    ...(name === "ours" && image.env),
  };
  const log = openSync(file(`${name}.log`), "w");
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", ...argv], { stdio: ["ignore", log, log], env });
  closeSync(log);
  return {
    pid: child.pid ?? 0,
    ended: () =>
      isOver(child) ? `${name} ended: ${readFileSync(file(`${name}.log`), "utf8").slice(-2_000)}` : undefined,
    heapMiB: async () => {
      if (name === "go") {
        const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
        return Number(/^go_memstats_heap_inuse_bytes (\S+)$/m.exec(text)?.[1]) / 2 ** 20;
      }
      child.kill("SIGUSR2");
      for (let tries = 0; tries < 100 && !existsSync(memory); tries++) await sleep(100);
      await sleep(100);
      return (JSON.parse(readFileSync(memory, "utf8")) as { heapUsed: number }).heapUsed / 2 ** 20;
    },
    async stop() {
      if (isOver(child)) return;
      const gone = once(child, "exit");
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await gone;
      clearTimeout(late);
    },
  };
}

export const relayImage = "registry.example.org/chatmail-relay:bench";

const isOver = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null;

/** CPU seconds that a process has used, user and system. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Resident memory now and at its highest, in MiB. */
export function residentMiB(pid: number): { now: number; peak: number } {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  const of = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(text)?.[1]) / 1024;
  return { now: of("VmRSS"), peak: of("VmHWM") };
}
