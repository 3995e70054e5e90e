/**
 * The real controllers of cert-manager as a plain process beside a real API server. Without its
 * webhook, which only checks what people write.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import type { KubeObject } from "../../src/kube/object.ts";
import { buildCertManager, certManagerIsBuilt } from "../lab/cert-manager.ts";
import { terminalProgress } from "../lab/progress.ts";
import type { ApiServer } from "./api-server.ts";
import { patienceMs, until } from "./until.ts";

/** Why it can't run here; undefined where it can. */
export const certManagerIsMissing = (): string | undefined =>
  certManagerIsBuilt() || process.env.REQUIRE_ALL === "1"
    ? undefined
    : "cert-manager is not built: `npm test test/services/operator-cert-manager.test.ts` once";

/** Its kinds, without anything that looks after them. */
export async function installCertManagerCrds(server: ApiServer): Promise<void> {
  const { crds } = await buildCertManager(terminalProgress());
  for (const file of readdirSync(crds).filter((name) => name.endsWith(".yaml"))) {
    const crd = parse(readFileSync(join(crds, file), "utf8")) as KubeObject;
    const { status, body } = await server.request(
      "POST",
      "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
      crd,
    );
    if (status !== 201 && status !== 409) throw new Error(`${file}: ${JSON.stringify(body)}`);
  }
  const served = async () => {
    const answers = await Promise.all(
      ["certificates", "issuers", "clusterissuers", "certificaterequests"].map((plural) =>
        server.request("GET", `/apis/cert-manager.io/v1/${plural}`),
      ),
    );
    return answers.every(({ status }) => status === 200);
  };
  await until("the CRDs of cert-manager to be served", served, { patienceMs: patienceMs.client });
}

export interface RunningCertManager {
  log: () => string;
  stop: () => Promise<void>;
}

/** `nameServer`: "192.0.2.1:53", where it sees whether its DNS-01 records are there. */
export async function startCertManager(
  { url, tls, token }: Pick<ApiServer, "url" | "tls" | "token">,
  options: { nameServer?: string } = {},
): Promise<RunningCertManager> {
  const { program } = await buildCertManager(terminalProgress());
  const folder = mkdtempSync(join(tmpdir(), "chatmail-cert-manager-"));
  const kubeconfig = join(folder, "kubeconfig");
  const cluster = { server: url.href, "certificate-authority-data": Buffer.from(tls.cert).toString("base64") };
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster }],
    users: [{ name: "test", user: { token } }],
    contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
    "current-context": "test",
  };
  writeFileSync(kubeconfig, JSON.stringify(config), { mode: 0o600 });
  const log = openSync(join(folder, "log"), "a");
  const args = ["--kubeconfig", kubeconfig, ...(options.nameServer ? ["--nameserver", options.nameServer] : [])];
  // it ends with us, however we end
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", program, ...args], { stdio: ["ignore", log, log] });
  closeSync(log);
  return {
    log: () => readFileSync(join(folder, "log"), "utf8"),
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        const ended = once(child, "exit");
        child.kill("SIGKILL");
        await ended;
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
