/** kubectl as a user has it: run inside the lab, where KUBECONFIG and PATH are set. */
import { execFile } from "node:child_process";

/** Runs kubectl and returns what it printed. Throws with its own words when it fails. */
export function kubectl(args: readonly string[], input?: string): Promise<string> {
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

/** `kubectl apply -f -` of objects or YAML text. */
export function apply(...objects: readonly (object | string)[]): Promise<string> {
  const documents = objects.map((each) => (typeof each === "string" ? each : JSON.stringify(each)));
  return kubectl(["apply", "-f", "-"], documents.join("\n---\n"));
}
