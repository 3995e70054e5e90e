/**
 * Traefik as a plain process beside a real API server, with the flags that k3s's chart gives it.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addresses } from "../lab/place.ts";
import { terminalProgress } from "../lab/progress.ts";
import { buildTraefik, traefikIsBuilt } from "../lab/traefik.ts";
import { accepts } from "./accepts.ts";
import type { ApiServer } from "./api-server.ts";
import { installCrds } from "./crds.ts";
import { startDaemon } from "./daemon.ts";
import type { Edge } from "./edge.ts";
import { freePorts } from "./free-port.ts";
import { writeKubeconfig } from "./kubeconfig.ts";
import { patienceMs, until } from "./until.ts";

/** Why it can't run here; undefined where it can. */
export const traefikIsMissing = (): string | undefined =>
  traefikIsBuilt() || process.env.REQUIRE_ALL === "1"
    ? undefined
    : "Traefik is not built: `npm test test/services/traefik.test.ts` once";

/** Its kinds, as its chart installs them. */
export async function installTraefikCrds(server: ApiServer): Promise<void> {
  const { crds } = await buildTraefik(terminalProgress());
  await installCrds(server, [crds]);
}

export interface Traefik extends Edge {
  log: () => string;
}

/** `flags`: beside those of k3s. It listens at all addresses, as there. */
export async function startTraefik(server: ApiServer, flags: readonly string[] = []): Promise<Traefik> {
  const { program } = await buildTraefik(terminalProgress());
  const host = addresses.gateway;
  const [web = 0, websecure = 0] = await freePorts(2, "::");
  const folder = mkdtempSync(join(tmpdir(), "chatmail-traefik-"));
  const usual = [
    "--global.checkNewVersion=false",
    "--global.sendAnonymousUsage=false",
    `--entryPoints.web.address=:${web}/tcp`,
    `--entryPoints.websecure.address=:${websecure}/tcp`,
    "--entryPoints.websecure.http.tls=true",
    "--providers.kubernetesCRD",
    "--providers.kubernetesCRD.allowEmptyServices=true",
    "--providers.kubernetesIngress",
    "--providers.kubernetesIngress.allowEmptyServices=true",
    "--log.level=INFO",
  ];
  const env = { KUBECONFIG: writeKubeconfig(server, folder, "default") };
  const daemon = startDaemon([program, ...usual, ...flags], folder, env);
  const stop = async () => {
    await daemon.kill();
    rmSync(folder, { recursive: true, force: true });
  };
  const listens = async () => daemon.hasEnded() || ((await accepts(host, web)) && (await accepts(host, websecure)));
  await until("Traefik to listen", listens, { patienceMs: patienceMs.client });
  if (daemon.hasEnded()) {
    const log = daemon.log();
    await stop();
    throw new Error(`Traefik ended: ${log}`);
  }
  return { https: { host, port: websecure }, http: { host, port: web }, log: daemon.log, stop };
}
