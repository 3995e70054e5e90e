/** For kubectl and helm against an API server of the tests. */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { programsDir } from "../lab/programs.ts";
import type { ApiServer } from "./api-server.ts";

/** Writes FOLDER/kubeconfig, for the administrator of this API server. Returns its path. */
export function writeKubeconfig({ url, tls, token }: ApiServer, folder: string, namespace: string): string {
  const ca = Buffer.from(tls.cert).toString("base64");
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "it", cluster: { server: url.origin, "certificate-authority-data": ca } }],
    users: [{ name: "admin", user: { token } }],
    contexts: [{ name: "it", context: { cluster: "it", user: "admin", namespace } }],
    "current-context": "it",
  };
  const path = join(folder, "kubeconfig");
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
  return path;
}

/** PATH with the lab's kubectl and helm in front. */
export const programsPath = () => `${programsDir()}${delimiter}${process.env.PATH}`;

/** What a program printed. Throws with its own words when it fails. */
export function ranWith(
  kubeconfig: string,
  program: "helm" | "kubectl",
  args: readonly string[],
  input = "",
): Promise<string> {
  const env = { ...process.env, KUBECONFIG: kubeconfig, PATH: programsPath() };
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, { env, maxBuffer: 2 ** 26 }, (error, stdout, stderr) =>
      error ? reject(new Error(`${program} ${args.join(" ")}: ${stderr.trim() || error.message}`)) : resolve(stdout),
    );
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
  });
}
