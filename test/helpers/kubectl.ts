/** kubectl as a user has it: run inside the lab, where KUBECONFIG and PATH are set. */
import { execFile } from "node:child_process";
import { apiVersion, chatmailServer } from "../../src/api/names.ts";
import { type KubeApi, kubeApi } from "../lab/kube-api.ts";

/** Runs kubectl and returns what it printed. Throws with its own words when it fails. */
export function kubectl(args: readonly string[], input?: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile("kubectl", args, { maxBuffer: 64 * 2 ** 20 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`kubectl ${args.join(" ")}: ${stderr.trim() || error.message}`));
      else resolve(stdout);
    });
    child.stdin?.on("error", () => undefined); // it may end before it has read all; why is in its own words
    child.stdin?.end(input ?? "");
  });
}

/** `kubectl get … -o json`, parsed. */
export async function kubectlJson<T>(args: readonly string[]): Promise<T> {
  return JSON.parse(await kubectl([...args, "-o", "json"])) as T;
}

/**
 * `kubectl apply -f -` of objects or YAML text. All of it is YAML from the first line: the kubectl
 * of 1.32 takes what begins with a brace for JSON, where documents are not separated so.
 */
export function apply(...objects: readonly (object | string)[]): Promise<string> {
  const documents = objects.map((each) => (typeof each === "string" ? each : JSON.stringify(each)));
  return kubectl(["apply", "-f", "-"], documents.map((each) => `---\n${each}\n`).join(""));
}

const core = (plural: string) => ({ root: "/api/v1", plural });
const apps = (plural: string) => ({ root: "/apis/apps/v1", plural });
const servers = { root: `/apis/${apiVersion}`, plural: chatmailServer.plural };
const kinds: Record<string, { root: string; plural: string }> = {
  cms: servers,
  chatmailserver: servers,
  pod: core("pods"),
  pvc: core("persistentvolumeclaims"),
  secret: core("secrets"),
  service: core("services"),
  configmap: core("configmaps"),
  sts: apps("statefulsets"),
  statefulset: apps("statefulsets"),
  cronjob: { root: "/apis/batch/v1", plural: "cronjobs" },
};

let api: KubeApi | undefined;

/**
 * The object KIND/NAME as it is now; undefined where there is none. By one connection that is kept:
 * what waits asks ten times a second, and a kubectl for each time takes most of a processor.
 */
export async function objectIn<T>(namespace: string, what: string): Promise<T | undefined> {
  const [kind = "", name = ""] = what.split("/");
  const found = kinds[kind];
  if (!found || !name) throw new Error(`${what}: of no kind that is known here`);
  api ??= kubeApi(process.env.KUBECONFIG ?? "");
  const path = `${found.root}/namespaces/${namespace}/${found.plural}/${name}`;
  return api.get<T>(path).catch((thrown: Error) => {
    if (thrown.message.startsWith(`GET ${path}: 404 `)) return undefined;
    throw thrown;
  });
}

/** As `objectIn`, of what has to be there. */
export async function theObject<T>(namespace: string, what: string): Promise<T> {
  const found = await objectIn<T>(namespace, what);
  if (found === undefined) throw new Error(`there is no ${what} in namespace ${namespace}`);
  return found;
}
