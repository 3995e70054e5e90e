/**
 * DANE for SMTP (RFC 7672): whether a domain says in signed DNS which certificates its mail servers
 * have. Postfix looks the records up again and verifies by them; here is only decided that it has
 * to. The DNS is the memory: nothing is kept longer than its TTL, or over a restart.
 */

import type { Lookup } from "../../dns/lookup.ts";
import type { DnsAnswer, RecordData } from "../../dns/message.ts";
import { BoundedMap } from "../../lib/bounded-map.ts";
import { within } from "../../lib/within.ts";

/**
 * `unknown`: the DNS could not say, which may be an attack; never taken for `absent` (RFC 7672
 * §2.1.2).
 */
export type DaneFinding = "published" | "absent" | "unknown";

interface Found {
  finding: DaneFinding;
  ttlSeconds: number;
}

/** Hosts that are asked for, in the order mail goes to them; Postfix tries fewer. */
const mostHosts = 10;
/** How long it is not asked again after a failure, for a queue full of mail to one domain. */
const unknownSeconds = 5;
const mostSeconds = 3600;

/**
 * As many digest bytes as a matching type has (RFC 6698 §2.1.3); a whole certificate has some more.
 */
const digestBytes: Readonly<Record<number, number>> = { 1: 32, 2: 64 };

/**
 * RFC 7672 §3.1: DANE-TA and DANE-EE; what names a public authority is of no use to a mail client.
 */
export function isUsable({ usage, selector, matching, bytes }: RecordData["TLSA"]): boolean {
  if ((usage !== 2 && usage !== 3) || selector > 1) return false;
  return matching === 0 ? bytes > 0 : bytes === digestBytes[matching];
}

/** One host that publishes is enough: mail goes to no other then. */
function together(all: readonly Found[]): Found {
  const ttlSeconds = Math.min(...all.map((each) => each.ttlSeconds));
  const has = (finding: DaneFinding) => all.some((each) => each.finding === finding);
  return { finding: has("published") ? "published" : has("unknown") ? "unknown" : "absent", ttlSeconds };
}

const unknown: Found = { finding: "unknown", ttlSeconds: unknownSeconds };
const absent = (...answers: readonly DnsAnswer<"A" | "AAAA" | "MX" | "TLSA">[]): Found => {
  const ttls = answers.map((each) => (each.kind === "failed" ? unknownSeconds : each.ttlSeconds));
  return { finding: "absent", ttlSeconds: Math.min(...ttls) };
};

/**
 * From the MX records down: as soon as a step is not validated, what is below proves nothing and is
 * not asked for.
 */
export async function findDane(domain: string, lookup: Lookup): Promise<Found> {
  const mx = await lookup(domain, "MX");
  if (mx.kind === "failed") return unknown;
  if (!mx.secure) return absent(mx);
  const hosts = mx.kind === "none" ? [domain] : hostsOf(mx.records);
  const found = await Promise.all(hosts.map((host) => findAtHost(host, lookup)));
  return together([absent(mx), ...found]);
}

function hostsOf(records: readonly RecordData["MX"][]): readonly string[] {
  const sorted = [...records].sort((a, b) => a.preference - b.preference).map(({ host }) => host);
  return [...new Set(sorted)].filter((host) => host !== "").slice(0, mostHosts);
}

/**
 * A server whose address is not validated is not asked for TLSA: many of those answer it wrongly
 * (RFC 7672 §2.2.2).
 */
async function findAtHost(host: string, lookup: Lookup): Promise<Found> {
  const addresses = await Promise.all([lookup(host, "A"), lookup(host, "AAAA")]);
  const found = addresses.filter((each) => each.kind === "found");
  if (found.length === 0 && addresses.some((each) => each.kind === "failed")) return unknown;
  const secure = found.find((each) => each.secure);
  if (!secure) return absent(...addresses);
  // RFC 7672 §2.2.3: at the name that an alias leads to, else at the alias
  let denied = absent(...addresses);
  for (const name of new Set([secure.name, host])) {
    const tlsa = await lookup(`_25._tcp.${name}`, "TLSA");
    if (tlsa.kind === "failed") return unknown;
    denied = together([denied, absent(tlsa)]);
    if (tlsa.kind === "none" || !tlsa.secure) continue;
    return tlsa.records.some(isUsable) ? { ...denied, finding: "published" } : denied;
  }
  return denied;
}

export interface DaneOptions {
  lookup: Lookup;
  now: () => number;
  /** Domains remembered; the one looked up longest ago goes first. */
  size?: number;
}

export class Dane {
  readonly #options: DaneOptions;
  readonly #known: BoundedMap<string, { finding: DaneFinding; endsAt: number }>;
  readonly #running = new Map<string, Promise<DaneFinding>>();

  constructor(options: DaneOptions) {
    this.#options = options;
    this.#known = new BoundedMap(options.size ?? 10_000);
  }

  /**
   * What is known after the patience; a lookup that takes longer goes on, for the next question.
   */
  async of(domain: string, patienceMs: number): Promise<DaneFinding> {
    const known = this.#known.get(domain);
    if (known && known.endsAt > this.#options.now()) return known.finding;
    return within(this.#ask(domain), patienceMs, "unknown");
  }

  #ask(domain: string): Promise<DaneFinding> {
    const running = this.#running.get(domain);
    if (running) return running;
    const { lookup, now } = this.#options;
    const asking = findDane(domain, lookup).then(({ finding, ttlSeconds }) => {
      this.#running.delete(domain);
      this.#known.set(domain, { finding, endsAt: now() + Math.min(ttlSeconds, mostSeconds) * 1000 });
      return finding;
    });
    this.#running.set(domain, asking);
    return asking;
  }
}
