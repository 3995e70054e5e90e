/**
 * coturn, which carries calls. Whoever has an address here gets credentials (src/relay/metadata),
 * so what it may reach is what a stranger may reach: never the cluster's own networks.
 */
import { ports } from "../mail/ports.ts";
import { folders } from "./layout.ts";
import { mainDomain, type Plan } from "./plan.ts";

type Turn = NonNullable<Plan["turn"]>;

/** The key in the Secret, and so the file. */
export const turnSecretKey = "secret";
export const turnSecretFile = `${folders.turnSecret}/${turnSecretKey}`;
export const turnConfigFile = `${folders.turnConfig}/turnserver.conf`;

/**
 * Those of one credential at the same time: a device has one for each network it is in. An account
 * has two credentials at most that are valid.
 */
const allocationsPerCredential = 6;
/** Each way: 8 Mbit/s, twice what a video call takes. */
const bytesPerSecond = 1_000_000;

/**
 * No way into the cluster, the node or a private network: what is reserved (RFC 6890, as in
 * networks.ts), but for the blocks kept for documentation, where nothing is. In IPv6 also what
 * stands for an IPv4 address: mapped, NAT64, 6to4, Teredo. A range that begins with :: would hold
 * all of IPv4 for coturn
 * 4.6, which refuses :: itself by its own rule.
 */
export const deniedPeers = [
  "0.0.0.0-0.255.255.255",
  "10.0.0.0-10.255.255.255",
  "100.64.0.0-100.127.255.255",
  "127.0.0.0-127.255.255.255",
  "169.254.0.0-169.254.255.255",
  "172.16.0.0-172.31.255.255",
  "192.0.0.0-192.0.0.255",
  "192.88.99.0-192.88.99.255",
  "192.168.0.0-192.168.255.255",
  "198.18.0.0-198.19.255.255",
  "224.0.0.0-255.255.255.255",
  "::1-1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
  "2001::-2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
  "2002::-2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
  "4000::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
] as const;

export function relayPortsOf({ firstRelayPort, relayPorts }: Turn): number[] {
  return Array.from({ length: relayPorts }, (_, nth) => firstRelayPort + nth);
}

/**
 * How many allocations there may be in all, and by one credential. Fewer than ports: near the last
 * one coturn tries ports at random, and answers 508 and not 486. An account has a good half of them
 * at most, and of 28 or more ports less.
 */
function quotas(ports: number): { total: number; credential: number } {
  const total = ports - Math.ceil(ports / 10);
  return { total, credential: Math.min(allocationsPerCredential, Math.max(1, Math.floor(total / 4))) };
}

/**
 * None where there is no TURN server. The secret and the addresses are added when it starts
 * (image/start-turn).
 */
export function turnFiles(plan: Plan): Record<string, string> {
  return plan.turn ? { "turnserver.conf": turnConf(mainDomain(plan).domain, plan.turn) } : {};
}

function turnConf(domain: string, turn: Turn): string {
  const { total, credential } = quotas(turn.relayPorts);
  return `listening-port=${ports.turn}
min-port=${turn.firstRelayPort}
max-port=${turn.firstRelayPort + turn.relayPorts - 1}
realm=${domain}
use-auth-secret
stale-nonce=600
fingerprint
user-quota=${credential}
total-quota=${total}
max-bps=${bytesPerSecond}
# clients ask for UDP alone
no-tcp
no-tcp-relay
no-tls
no-dtls
no-cli
no-rfc5780
no-stun-backward-compatibility
no-software-attribute
no-multicast-peers
${deniedPeers.map((range) => `denied-peer-ip=${range}`).join("\n")}
log-file=stdout
simple-log
userdb=/tmp/turndb
pidfile=/tmp/turnserver.pid
`;
}
