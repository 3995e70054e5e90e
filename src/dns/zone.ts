/**
 * Which name servers answer for a domain, by the delegation of its zone: the servers of the zone
 * above are asked, not the caches of resolvers. What is found is shared for a while: a thousand
 * domains in one zone cost one search.
 */
import { BoundedMap } from "../lib/bounded-map.ts";
import { type Asked, type AskOptions, askServer } from "./ask.ts";
import { parseServer } from "./exchange.ts";
import type { Reply, SeenRecord } from "./query.ts";
import type { SeenType } from "./values.ts";

export interface ZoneServer {
  /** Its name, without a dot at the end. */
  name: string;
  address: string;
}

export interface Zone {
  /** Without a dot at its end; the root is "". */
  name: string;
  servers: readonly ZoneServer[];
  /** Whether the zone above vouches for its keys; undefined where that can't be known. */
  hasKeys: boolean | undefined;
}

export interface ZonesOptions extends AskOptions {
  /**
   * For the names of name servers, and for reverse names: as `getServers()` of node:dns gives them.
   */
  resolvers: readonly string[];
  /** Of name servers. */
  port?: number;
  now: () => Date;
  /** For how long a zone's servers are known. */
  keepMs?: number;
}

const mostServers = 13;
const mostSteps = 8;
const mostZones = 2_000;

export class Zones {
  readonly #options: ZonesOptions;
  readonly #known = new BoundedMap<string, { until: number; zone: Promise<Zone | { unknown: string }> }>(mostZones);

  constructor(options: ZonesOptions) {
    this.#options = options;
  }

  /** `unknown`: why there is none. Never rejects. */
  async of(domain: string, options: { fresh?: boolean } = {}): Promise<Zone | { unknown: string }> {
    const now = this.#options.now().getTime();
    if (!options.fresh) {
      for (const name of namesUpFrom(domain)) {
        const known = this.#known.use(name);
        if (!known || known.until < now) continue;
        const zone = await known.zone;
        if (name === domain) return zone;
        if ("name" in zone && zone.name === name && (await this.#isIn(zone, domain))) return zone;
      }
    }
    const zone = this.#find(domain);
    const until = now + (this.#options.keepMs ?? 300_000);
    this.#known.set(domain, { until, zone });
    const found = await zone;
    if (!("name" in found)) this.#known.delete(domain);
    else this.#known.set(found.name, { until, zone });
    return found;
  }

  /** Asks a server of a zone; never rejects. */
  ask(server: Pick<ZoneServer, "address">, of: { name: string; type: SeenType }): Promise<Asked> {
    return askServer({ host: server.address, port: this.#options.port ?? 53 }, of, this.#options);
  }

  /** Asks the resolvers in turn; never rejects. */
  async resolve(
    of: { name: string; type: SeenType; unchecked?: boolean },
    resolvers: readonly string[] = this.#options.resolvers,
  ): Promise<Asked> {
    let last: Asked = { fault: "silent", says: "no resolver is configured" };
    for (const resolver of resolvers) {
      last = await askServer(parseServer(resolver), { ...of, recursive: true }, this.#options);
      if ("reply" in last) return last;
    }
    return last;
  }

  /** Whether the name has no zone of its own below. */
  async #isIn(zone: Zone, domain: string): Promise<boolean> {
    return (await this.#below(zone, domain))?.name === zone.name;
  }

  async #find(domain: string): Promise<Zone | { unknown: string }> {
    const nearest = await this.#cutAt(domain);
    if (!nearest) return { unknown: `no resolver knows a name server for ${domain} or a zone above it` };
    const above = nearest.name === "" ? nearest : await this.#cutAt(parentOf(nearest.name));
    let zone: Zone = above ? { ...above, hasKeys: undefined } : { ...nearest, hasKeys: undefined };
    let from = above;
    for (let steps = 0; from && steps < mostSteps; steps++) {
      const next = await this.#below(from, domain);
      if (!next) break;
      const isEnd = next.name === zone.name;
      zone = next;
      from = isEnd ? undefined : next;
    }
    // whoever delegates can't be asked: what the resolvers know is better than nothing
    if (zone.name !== nearest.name && isBelow(nearest.name, zone.name) && !(await this.#serves(zone, domain)))
      zone = { ...nearest, hasKeys: undefined };
    if (zone.name === "") return { unknown: `no zone has ${domain}: its domain is not delegated to name servers` };
    if (zone.servers.length === 0) return { unknown: `the name servers of zone ${zone.name} have no address` };
    return zone;
  }

  /** Whether a server of the zone answers with authority about the name. */
  async #serves(zone: Zone, domain: string): Promise<boolean> {
    for (const server of zone.servers) {
      const asked = await this.ask(server, { name: `${domain}.`, type: "SOA" });
      if ("reply" in asked) return asked.reply.authoritative;
    }
    return false;
  }

  /** The nearest name, going up, that resolvers know name servers for. */
  async #cutAt(from: string): Promise<Omit<Zone, "hasKeys"> | undefined> {
    for (const name of [...namesUpFrom(from), ""]) {
      const asked = await this.resolve({ name: `${name}.`, type: "NS" });
      if (!("reply" in asked)) continue;
      const records = nsRecords(asked.reply.answers, name);
      if (records.length > 0) return { name, servers: await this.#serversOf(records, asked.reply) };
    }
    return undefined;
  }

  /** The zone that the servers of another delegate the domain to, or themselves have it in. */
  async #below(zone: Omit<Zone, "hasKeys">, domain: string): Promise<Zone | undefined> {
    for (const server of zone.servers) {
      const asked = await this.ask(server, { name: `${domain}.`, type: "NS" });
      if (!("reply" in asked)) continue;
      const { reply } = asked;
      const all = [...reply.answers, ...reply.authorities];
      const delegated = all.find((each) => each.type === "NS" && isBelow(plain(each.name), zone.name));
      // of the zone itself the answer is its own NS records, without an SOA record
      const own = all.find((each) => each.type === "NS" && plain(each.name) === zone.name);
      const name = plain((delegated ?? all.find(({ type }) => type === "SOA") ?? own)?.name ?? ".");
      if (delegated)
        return {
          name,
          servers: await this.#serversOf(nsRecords(all, name), reply),
          hasKeys: await this.#hasKeys(server, name),
        };
      if (!reply.authoritative) continue;
      if (name === zone.name) return { ...zone, hasKeys: "hasKeys" in zone ? (zone as Zone).hasKeys : undefined };
      // the same servers have the zone below, too
      const below = await this.ask(server, { name: `${name}.`, type: "NS" });
      if (!("reply" in below)) continue;
      return {
        name,
        servers: await this.#serversOf(nsRecords(below.reply.answers, name), below.reply),
        hasKeys: await this.#hasKeys(server, name),
      };
    }
    return undefined;
  }

  async #hasKeys(parent: ZoneServer, name: string): Promise<boolean | undefined> {
    const asked = await this.ask(parent, { name: `${name}.`, type: "DS" });
    return "reply" in asked ? asked.reply.answers.some(({ type }) => type === "DS") : undefined;
  }

  /** With the addresses that come with the answer, else those that resolvers know. */
  async #serversOf(records: readonly string[], reply: Reply): Promise<ZoneServer[]> {
    const names = [...new Set(records)].sort().slice(0, mostServers);
    const found = await Promise.all(
      names.map(async (host) => {
        const given = addressesIn(reply.additionals, host);
        const addresses = given.length > 0 ? given : await this.#addressesOf(host);
        const [address] = addresses;
        return address === undefined ? [] : [{ name: plain(host), address }];
      }),
    );
    return found.flat();
  }

  async #addressesOf(host: string): Promise<string[]> {
    for (const type of ["A", "AAAA"] as const) {
      const asked = await this.resolve({ name: host, type });
      const found = "reply" in asked ? addressesOfType(asked.reply.answers, type) : [];
      if (found.length > 0) return found;
    }
    return [];
  }
}

const plain = (name: string) => name.replace(/\.$/, "");

function parentOf(name: string): string {
  const dot = name.indexOf(".");
  return dot < 0 ? "" : name.slice(dot + 1);
}

/** The name, the one above it and so on, without the root. */
function namesUpFrom(name: string): string[] {
  const names: string[] = [];
  for (let each = name; each !== ""; each = parentOf(each)) names.push(each);
  return names;
}

const isBelow = (name: string, zone: string) => name !== zone && (zone === "" || name.endsWith(`.${zone}`));

const nsRecords = (records: readonly SeenRecord[], zone: string): string[] =>
  records.flatMap((each) => (each.type === "NS" && plain(each.name) === zone ? [each.value] : []));

function addressesIn(records: readonly SeenRecord[], host: string): string[] {
  const own = records.filter(({ name }) => name === host);
  return [...addressesOfType(own, "A"), ...addressesOfType(own, "AAAA")];
}

const addressesOfType = (records: readonly SeenRecord[], type: "A" | "AAAA"): string[] =>
  records.flatMap((each) => ((each.type === "A" || each.type === "AAAA") && each.type === type ? [each.value] : []));
