/**
 * The real controllers of cert-manager as a plain process beside a real API server. Without its
 * webhook, which only checks what people write.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildCertManager, certManagerIsBuilt } from "../lab/cert-manager.ts";
import { terminalProgress } from "../lab/progress.ts";
import type { ApiServer } from "./api-server.ts";
import { installCrds } from "./crds.ts";
import { startDaemon } from "./daemon.ts";
import { writeKubeconfig } from "./kubeconfig.ts";

/** Why it can't run here; undefined where it can. */
export const certManagerIsMissing = (): string | undefined =>
  certManagerIsBuilt() || process.env.REQUIRE_ALL === "1"
    ? undefined
    : "cert-manager is not built: `npm test test/services/operator-cert-manager.test.ts` once";

/** Its kinds, without anything that looks after them. */
export async function installCertManagerCrds(server: ApiServer): Promise<void> {
  const { crds } = await buildCertManager(terminalProgress());
  const files = readdirSync(crds).filter((name) => name.endsWith(".yaml"));
  await installCrds(
    server,
    files.map((file) => join(crds, file)),
  );
}

export interface RunningCertManager {
  log: () => string;
  stop: () => Promise<void>;
}

/** `nameServer`: "192.0.2.1:53", where it sees whether its DNS-01 records are there. */
export async function startCertManager(
  server: ApiServer,
  options: { nameServer?: string } = {},
): Promise<RunningCertManager> {
  const { program } = await buildCertManager(terminalProgress());
  const folder = mkdtempSync(join(tmpdir(), "chatmail-cert-manager-"));
  const kubeconfig = writeKubeconfig(server, folder, "default");
  const args = ["--kubeconfig", kubeconfig, ...(options.nameServer ? ["--nameserver", options.nameServer] : [])];
  const daemon = startDaemon([program, ...args], folder);
  return {
    log: daemon.log,
    stop: async () => {
      await daemon.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
