/**
 * The DNS questions of the routes. All by Node's own resolver: the system's would block its four
 * threads for one slow name server, and would try search domains.
 */
import { Resolver } from "node:dns/promises";
import type { LookupFunction } from "node:net";
import { codeOf, messageOf } from "../../lib/text.ts";
import { isHostName, literalAddress } from "./domain.ts";
import { isNumericName } from "./peers-of-postfix.ts";

/** `none`: there is no such domain, or it takes no mail (null MX, RFC 7505). */
export type Exchangers =
  | { kind: "hosts"; hosts: readonly string[] }
  | { kind: "none" }
  | { kind: "failed"; why: string };

export interface RouteResolver {
  /**
   * In the order they are to be tried; a domain without MX is its own. A literal is its address.
   */
  exchangers(destination: string): Promise<Exchangers>;
  /** The texts of a name, none where it has none. Throws when the DNS does not answer. */
  texts(name: string): Promise<readonly string[]>;
  /** For sockets. */
  lookup: LookupFunction;
}

const notThere = ["ENOTFOUND", "ENODATA"];

/**
 * `servers`: addresses with ports, in place of the system's. `family`: of addresses, where a host
 * has any of it, the only ones. The proof of a relay whose domain is an IP address is that address
 * (src/relay/filter/origin.ts).
 */
export function createRouteResolver({
  servers,
  family = () => undefined,
}: {
  servers?: readonly string[];
  family?: () => 4 | 6 | undefined;
} = {}): RouteResolver {
  const resolver = new Resolver({ timeout: 2000, tries: 2 });
  if (servers) resolver.setServers(servers);
  const orNone = async <T>(asked: Promise<T[]>): Promise<T[]> => {
    try {
      return await asked;
    } catch (thrown) {
      if (notThere.includes(codeOf(thrown) ?? "")) return [];
      throw thrown;
    }
  };
  const addressesOf = async (host: string) => {
    const both = await Promise.allSettled([orNone(resolver.resolve6(host)), orNone(resolver.resolve4(host))]);
    const found = both.flatMap((each) => (each.status === "fulfilled" ? each.value : []));
    const failed = both.find((each) => each.status === "rejected");
    if (found.length === 0 && failed) throw failed.reason;
    const all = found.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
    const own = all.filter((each) => each.family === family());
    return own.length > 0 ? own : all;
  };
  return {
    async exchangers(destination) {
      const literal = literalAddress(destination);
      if (literal !== undefined) return { kind: "hosts", hosts: [literal] };
      try {
        return exchangersFrom(destination, await resolver.resolveMx(destination));
      } catch (thrown) {
        const code = codeOf(thrown);
        if (code === "ENODATA") return { kind: "hosts", hosts: [destination] };
        return code === "ENOTFOUND" ? { kind: "none" } : { kind: "failed", why: messageOf(thrown) };
      }
    },
    texts: async (name) => (await orNone(resolver.resolveTxt(name))).map((parts) => parts.join("")),
    lookup: (host, _options, done) => {
      addressesOf(host).then(
        (all) => (all.length === 0 ? done(notFound(host), []) : done(null, all)),
        (thrown) => done(thrown, []),
      );
    },
  };
}

function notFound(host: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${host} has no address`), { code: "ENOTFOUND" });
}

/** Pure. */
export function exchangersFrom(
  destination: string,
  records: readonly { exchange: string; priority: number }[],
): Exchangers {
  if (records.length === 0) return { kind: "hosts", hosts: [destination] };
  const sorted = records
    .map(({ exchange, priority }) => ({ host: exchange.toLowerCase().replace(/\.$/, ""), priority }))
    .filter(({ host }) => isHostName(host) && !isNumericName(host))
    .sort((a, b) => a.priority - b.priority || (a.host < b.host ? -1 : 1));
  const hosts = [...new Set(sorted.map(({ host }) => host))];
  return hosts.length === 0 ? { kind: "none" } : { kind: "hosts", hosts };
}
