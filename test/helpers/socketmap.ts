/** What Postfix would be told by the relay daemon, asked as Postfix asks. */
import { addressDomain } from "../../src/mail/address.ts";
import { ports } from "../../src/mail/ports.ts";
import { sockets } from "../../src/pod/layout.ts";
import { password } from "./accounts.ts";
import { ImapClient } from "./imap-client.ts";
import { encryptedMessage, randomName } from "./messages.ts";
import type { RelayPod } from "./relay-pod.ts";
import { SmtpClient } from "./smtp-client.ts";
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

/**
 * Postfix's queue manager remembers the route of one address, the last that it asked for, for 30 s.
 * A mail that passes the queue to another one, as mail of this size does within a relay, makes it
 * ask again.
 */
export async function askForRoutesAgain(pod: Pick<RelayPod, "at" | "domain">): Promise<void> {
  const user = `${randomName(9)}@${addressDomain(pod.domain)}`;
  await (await ImapClient.ready(pod.at(ports.imaps), user, password)).logout();
  const smtp = await SmtpClient.ready(pod.at(ports.submissions), user, password);
  const data = encryptedMessage({ from: user, to: [user], size: 2_000_000 });
  const { code, text } = await smtp.send({ from: user, to: [user], data });
  if (code !== 250) throw new Error(`a large mail: ${code} ${text}`);
  await smtp.quit();
}
