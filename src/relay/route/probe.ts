/**
 * The two questions to web servers of others: is `/mxdeliv` there, and what is the MTA-STS policy.
 */
import type { Peers, Target } from "../https/peers.ts";

/**
 * A relay answers 405 to a GET of `/mxdeliv` (chatmail protocol §7); any other server something
 * else. Nothing is sent for a look, so a server that says yes to everything is not taken for a
 * relay.
 * Throws where the server can't be reached.
 */
export async function hasHttpsRoute(peers: Pick<Peers, "get">, target: Target): Promise<"yes" | "no" | "unreached"> {
  const { status } = await peers.get(target, "/mxdeliv");
  if (status === 405) return "yes";
  // its web server is up and what is behind it is not
  return status >= 500 || status === 429 ? "unreached" : "no";
}

/** Verified, no redirects (RFC 8461 §3.3). */
export async function fetchStsPolicy(peers: Pick<Peers, "get">, host: string): Promise<string> {
  const { status, text } = await peers.get({ host, unverified: false }, "/.well-known/mta-sts.txt");
  if (status !== 200) throw new Error(`${host} answered ${status} to the question for its MTA-STS policy`);
  return text;
}
