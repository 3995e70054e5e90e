/** What Postfix would be told by the relay daemon, asked as Postfix asks. */
import { sockets } from "../../src/pod/layout.ts";
import type { RelayPod } from "./relay-pod.ts";
import { until } from "./until.ts";

/** The answer of a table for a key; empty where it has none. */
export async function tableAnswer(
  pod: Pick<RelayPod, "exec">,
  table: "transport" | "tls-policy" | "dns-reply",
  key: string,
): Promise<string> {
  const map = `socketmap:unix:${sockets.routes}:${table}`;
  return (await pod.exec("postfix", "sh", "-c", 'postmap -q "$1" "$0" || true', map, key)).trim();
}

/** Requests the TLS policy too, as a delivery does: from there on the domain is discovered. */
export async function hasHttpsRoute(pod: Pick<RelayPod, "exec">, domain: string): Promise<boolean> {
  await tableAnswer(pod, "tls-policy", domain);
  return (await tableAnswer(pod, "transport", `x@${domain}`)).startsWith("https:");
}

/** Deliveries of this pod that a peer took by HTTPS. */
export const goneByHttps = async (pod: Pick<RelayPod, "logs">): Promise<number> =>
  (await pod.logs("postfix")).match(/status=sent .*OK \(HTTPS\)/g)?.length ?? 0;

/** Until there are so many: Postfix writes down what a peer took after the mail is there. */
export const haveGoneByHttps = (pod: Pick<RelayPod, "logs">, count: number): Promise<boolean> =>
  until(`${count} by HTTPS`, async () => (await goneByHttps(pod)) === count);
