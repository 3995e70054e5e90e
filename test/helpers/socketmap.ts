/** What Postfix would be told by the relay daemon, asked as Postfix asks. */
import { sockets } from "../../src/mail/layout.ts";
import type { RelayPod } from "./relay-pod.ts";

/** The answer of a table for a key; empty where it has none. */
export async function tableAnswer(
  pod: Pick<RelayPod, "exec">,
  table: "transport" | "tls-policy",
  key: string,
): Promise<string> {
  const map = `socketmap:unix:${sockets.roads}:${table}`;
  return (await pod.exec("postfix", "sh", "-c", 'postmap -q "$1" "$0" || true', map, key)).trim();
}

export const hasHttpsRoad = async (pod: Pick<RelayPod, "exec">, domain: string): Promise<boolean> =>
  (await tableAnswer(pod, "transport", `x@${domain}`)).startsWith("road:");
