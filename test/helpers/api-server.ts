/**
 * A real etcd and kube-apiserver as plain processes, ready in seconds: where `src/kube` is proved.
 * No kubelet and no controllers, so every object is only what clients write. Whoever changes the
 * cluster here does so past `src/kube`, with `request`.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeSelfSigned } from "../../src/certificates/self-signed.ts";
import type { Credentials } from "../../src/kube/credentials.ts";
import type { KubeObject } from "../../src/kube/object.ts";
import { buildPrograms, programsAreBuilt, programsDir } from "../lab/programs.ts";
import { terminalProgress } from "../lab/progress.ts";
import { freePorts } from "./free-port.ts";
import { until } from "./until.ts";

export interface Answer<T = unknown> {
  status: number;
  body: T;
}

export interface ApiServer {
  url: URL;
  /**
   * PEM of the certificate that the server shows, which is its own authority; `key` so that a proxy
   * can show it too.
   */
  tls: { cert: string; key: string };
  /** Never ends. */
  token: string;
  pid: number;
  /** For src/kube; `server` where a proxy stands between. */
  credentials(server?: URL): Credentials;
  /** Past src/kube and past any proxy. Rejects when there is no answer. */
  request<T = KubeObject>(
    method: string,
    path: string,
    body?: unknown,
    contentType?: string,
    accept?: string,
  ): Promise<Answer<T>>;
  /** Text of the server's own metrics. */
  metrics(): Promise<string>;
  /** A namespace of this name and its ServiceAccount "default". */
  makeNamespace(name: string): Promise<void>;
  /**
   * A token as a kubelet gets one for a pod; it may have ended already (the API server is lenient
   * by a minute).
   */
  mintToken(of: { namespace: string; name: string }, endsInSeconds: number): Promise<string>;
  /** Ends the API server (etcd stays); `start` brings it back on the same port. */
  kill(): Promise<void>;
  start: () => Promise<void>;
  /** Makes etcd forget every version but the newest, as it does each five minutes. */
  compact(): Promise<void>;
  /** Ends both and removes their folder. Safe to repeat. */
  stop: () => Promise<void>;
}

/** Why there can't be one on this machine now; undefined when there can. */
export function apiServerIsMissing(): string | undefined {
  return programsAreBuilt() || process.env.REQUIRE_ALL === "1"
    ? undefined
    : "etcd and kube-apiserver are not built: `npm run lab -- up` once";
}

/**
 * The kind whose watch cache is off: its watches are etcd's own, and end with 410 at a compaction.
 */
export const uncachedPlural = "secrets";

const issuer = "https://kubernetes.default.svc";
const startsWithinMs = 60_000;

export interface ApiServerOptions {
  flags?: readonly string[];
  /** By default everybody may do everything; with RBAC the token of `credentials` may. */
  authorization?: "AlwaysAllow" | "RBAC";
}

export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const programs = programsAreBuilt() ? programsDir() : await buildPrograms(terminalProgress());
  const folder = await mkdtemp(join(tmpdir(), "chatmail-api-server-"));
  const [etcdPort = 0, peerPort = 0, port = 0] = await freePorts(3);
  const { certificatePem: cert, keyPem: key } = await makeSelfSigned("127.0.0.1", new Date());
  const accounts = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const token = randomBytes(16).toString("hex");
  const file = (name: string) => join(folder, name);
  await writeFile(file("tls.crt"), cert);
  await writeFile(file("tls.key"), key, { mode: 0o600 });
  await writeFile(file("accounts.key"), accounts.privateKey.export({ type: "sec1", format: "pem" }), { mode: 0o600 });
  await writeFile(file("accounts.pub"), accounts.publicKey.export({ type: "spki", format: "pem" }));
  await writeFile(file("tokens.csv"), `${token},admin,admin,system:masters\n`, { mode: 0o600 });

  const url = new URL(`https://127.0.0.1:${port}`);
  const etcdUrl = `http://127.0.0.1:${etcdPort}`;
  const agent = new https.Agent({ keepAlive: true, maxSockets: 32, ca: cert });
  const running = new Set<ChildProcess>();

  const run = (program: string, args: readonly string[]): ChildProcess => {
    const log = openSync(file(`${program}.log`), "a");
    // They end with us, however we end.
    const argv = ["--pdeathsig", "KILL", "--", join(programs, program), ...args];
    const child = spawn("setpriv", argv, { stdio: ["ignore", log, log] });
    closeSync(log);
    running.add(child);
    child.on("exit", () => running.delete(child));
    return child;
  };
  const end = async (child: ChildProcess | undefined) => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  };
  const lastWords = (program: string) => readFileSync(file(`${program}.log`), "utf8").slice(-2_000);

  const request = <T>(method: string, path: string, body?: unknown, contentType = "application/json", accept = "*/*") =>
    new Promise<Answer<T>>((resolve, reject) => {
      const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
      const headers = {
        authorization: `Bearer ${token}`,
        accept,
        ...(payload && { "content-type": contentType, "content-length": payload.length }),
      };
      const call = https.request(new URL(path, url), { method, headers, agent, timeout: 30_000 }, async (response) => {
        try {
          const chunks: Buffer[] = [];
          for await (const chunk of response) chunks.push(chunk as Buffer);
          const text = Buffer.concat(chunks).toString();
          const isJson = response.headers["content-type"]?.startsWith("application/json");
          resolve({ status: response.statusCode ?? 0, body: (isJson ? JSON.parse(text) : text) as T });
        } catch (error) {
          reject(error);
        }
      });
      call.on("timeout", () => call.destroy(new Error(`${method} ${path}: no answer`)));
      call.on("error", reject);
      call.end(payload);
    });

  let apiServer: ChildProcess | undefined;
  const start = async () => {
    const child = run("kube-apiserver", [
      `--etcd-servers=${etcdUrl}`,
      "--bind-address=127.0.0.1",
      // never used; without it one is looked for, and the lab has no default route
      "--advertise-address=192.0.2.1",
      `--secure-port=${port}`,
      `--tls-cert-file=${file("tls.crt")}`,
      `--tls-private-key-file=${file("tls.key")}`,
      `--cert-dir=${folder}`,
      "--anonymous-auth=false",
      `--token-auth-file=${file("tokens.csv")}`,
      `--authorization-mode=${options.authorization ?? "AlwaysAllow"}`,
      `--service-account-issuer=${issuer}`,
      `--service-account-key-file=${file("accounts.pub")}`,
      `--service-account-signing-key-file=${file("accounts.key")}`,
      "--service-cluster-ip-range=10.64.0.0/12",
      "--endpoint-reconciler-type=none",
      "--disable-admission-plugins=ServiceAccount",
      `--watch-cache-sizes=${uncachedPlural}#0`,
      "--profiling=false",
      ...(options.flags ?? []),
    ]);
    apiServer = child;
    await until(
      "the API server to be ready",
      async () => {
        if (child.exitCode !== null) return true;
        return (await request("GET", "/readyz")).status === 200;
      },
      { patienceMs: startsWithinMs, everyMs: 100 },
    );
    if (child.exitCode !== null) throw new Error(`kube-apiserver ended at once: ${lastWords("kube-apiserver")}`);
  };

  const etcd = run("etcd", [
    `--data-dir=${file("etcd")}`,
    "--unsafe-no-fsync",
    `--listen-client-urls=${etcdUrl}`,
    `--advertise-client-urls=${etcdUrl}`,
    `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`,
    `--initial-cluster=default=http://127.0.0.1:${peerPort}`,
  ]);
  const stop = async () => {
    agent.destroy();
    await Promise.all([...running].map(end));
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await start();
  } catch (cause) {
    const words = existsSync(file("etcd.log")) ? lastWords("etcd") : "";
    await stop();
    throw new Error(`no API server (etcd ${etcd.exitCode === null ? "ran" : `ended: ${words}`})`, { cause });
  }

  const mustBe = async (answer: Promise<Answer>, what: string): Promise<Answer> => {
    const got = await answer;
    if (got.status >= 300 && got.status !== 409) throw new Error(`${what}: ${JSON.stringify(got.body)}`);
    return got;
  };

  return {
    url,
    tls: { cert, key },
    token,
    get pid() {
      return apiServer?.pid ?? 0;
    },
    credentials: (server = url) => ({
      server,
      tls: { ca: cert },
      namespace: "default",
      headers: async () => ({ authorization: `Bearer ${token}` }),
    }),
    request,
    metrics: async () => String((await request("GET", "/metrics")).body),
    async makeNamespace(name) {
      const metadata = { name };
      await mustBe(request("POST", "/api/v1/namespaces", { metadata }), `namespace ${name}`);
      const account = { metadata: { name: "default" } };
      await mustBe(request("POST", `/api/v1/namespaces/${name}/serviceaccounts`, account), "service account");
    },
    async mintToken({ namespace, name }, endsInSeconds) {
      const found = await request<KubeObject>("GET", `/api/v1/namespaces/${namespace}/serviceaccounts/${name}`);
      const { uid = "" } = found.body.metadata;
      return mint(accounts.privateKey, { namespace, name, uid, endsInSeconds });
    },
    kill: () => end(apiServer),
    start,
    async compact() {
      const ask = async (path: string, body: object) => {
        const answer = await fetch(`${etcdUrl}${path}`, { method: "POST", body: JSON.stringify(body) });
        if (!answer.ok) throw new Error(`etcd ${path}: ${await answer.text()}`);
        return (await answer.json()) as { header: { revision: string } };
      };
      const { header } = await ask("/v3/kv/range", { key: Buffer.from("/").toString("base64") });
      await ask("/v3/kv/compaction", { revision: header.revision, physical: true });
    },
    stop,
  };
}

/** A JSON Web Token with the claims that the API server asks of a ServiceAccount's. */
function mint(key: KeyObject, of: { namespace: string; name: string; uid: string; endsInSeconds: number }): string {
  const now = Math.floor(Date.now() / 1_000);
  const { namespace, name, uid, endsInSeconds } = of;
  const claims = {
    iss: issuer,
    aud: [issuer],
    sub: `system:serviceaccount:${namespace}:${name}`,
    iat: now - 3_600,
    nbf: now - 3_600,
    exp: now + endsInSeconds,
    "kubernetes.io": { namespace, serviceaccount: { name, uid } },
  };
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "ES256", typ: "JWT" })}.${part(claims)}`;
  const signature = sign("sha256", Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" }).toString("base64url");
  return `${signed}.${signature}`;
}
