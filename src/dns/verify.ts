/**
 * Whether the DNS says of a domain what it has to: every record at every name server of its zone,
 * asked directly, and the reverse names of its addresses.
 */
import { BoundedMap } from "../lib/bounded-map.ts";
import { type Agreement, agreementOf, permitsIssuer } from "./agreement.ts";
import type { Asked } from "./ask.ts";
import type { CaaIssuer, DomainFacts, PublishedType, RecordSet, ReverseName, Values } from "./records.ts";
import type { Zone, ZoneServer, Zones } from "./zone.ts";
import { valueText } from "./zone-text.ts";

export type RecordState = Agreement | "NotOurs" | "Unknown";

export interface VerifiedSet {
  name: string;
  type: PublishedType;
  state: RecordState;
  /** What stands there in its place, as in a zone file. */
  seen: string[];
  /** Name servers at which it is not as it has to be. */
  at: string[];
}

export interface VerifiedReverse {
  address: string;
  want: string;
  seen?: string;
  state: Agreement | "Unknown";
}

export interface Verification {
  /** Without a dot at the end. */
  zone: string;
  nameServers: string[];
  /**
   * Signed: the zone above vouches for its keys. Whether they are right only a validating resolver
   * knows.
   */
  dnssec: "Secure" | "Signed" | "Insecure" | "Bogus" | "Unknown";
  records: VerifiedSet[];
  reverse: VerifiedReverse[];
  /** What is wrong with name servers, one sentence for each. */
  faults: string[];
  /** Why our authority may not issue a certificate. */
  issuerProblem?: string;
}

export interface VerifyFacts extends Pick<DomainFacts, "domain" | "issuer"> {
  sets: readonly RecordSet[];
  reverse: readonly ReverseName[];
  /** Resolvers whose word on DNSSEC counts. */
  validators?: readonly string[] | undefined;
}

/** Questions to one name server at the same time. */
const atOnce = 4;
const healthKeptMs = 30_000;
const mostHealth = 4_000;

type Health = { serial: number } | { fault: string };

export class Verifier {
  readonly #zones: Zones;
  readonly #now: () => Date;
  readonly #health = new BoundedMap<string, { until: number; is: Promise<Health> }>(mostHealth);

  constructor(zones: Zones, options: { now: () => Date }) {
    this.#zones = zones;
    this.#now = options.now;
  }

  /** `unknown`: why nothing can be said. Never rejects. */
  async verify(facts: VerifyFacts): Promise<Verification | { unknown: string }> {
    let zone = await this.#zones.of(facts.domain);
    if ("unknown" in zone) return zone;
    let health = await this.#healthOf(zone);
    if (health.every((each) => "fault" in each)) {
      // it may have moved to other name servers
      zone = await this.#zones.of(facts.domain, { fresh: true });
      if ("unknown" in zone) return zone;
      health = await this.#healthOf(zone);
    }
    const found = zone;
    const serving = found.servers.filter((_, nth) => "serial" in (health[nth] ?? {}));
    const [perServer, reverse, dnssec, issuerProblem] = await Promise.all([
      Promise.all(serving.map(async (server) => ({ server, answers: await this.#answersOf(server, facts) }))),
      Promise.all(facts.reverse.map((each) => this.#reverse(each))),
      this.#dnssec(found, facts.validators),
      facts.issuer && this.#issuerProblem(facts.domain, facts.issuer, serving),
    ]);
    const faults = faultsOf(found.servers, health);
    const records = facts.sets.map((set, nth) => judgedSet(set, facts.domain, perServer, nth));
    return {
      zone: found.name,
      nameServers: found.servers.map(({ name }) => name),
      dnssec,
      // what is not wanted is told of only where it is there
      records: records.filter((each, nth) => (facts.sets[nth]?.values.length ?? 0) > 0 || each.state === "Different"),
      reverse,
      faults: [...faults, ...answerFaults(perServer)],
      ...(issuerProblem !== undefined && { issuerProblem }),
    };
  }

  /** Of each server, in their order; shared by the domains of a zone. */
  #healthOf(zone: Zone): Promise<Health[]> {
    return Promise.all(
      zone.servers.map((server) => {
        const key = `${zone.name} ${server.address}`;
        const now = this.#now().getTime();
        const known = this.#health.use(key);
        if (known && known.until > now) return known.is;
        const is = this.#zones.ask(server, { name: `${zone.name}.`, type: "SOA" }).then(healthFrom);
        this.#health.set(key, { until: now + healthKeptMs, is });
        return is;
      }),
    );
  }

  /** What the server has of each set, in their order. */
  async #answersOf(server: ZoneServer, { sets, domain }: VerifyFacts): Promise<Answer[]> {
    const answers: Answer[] = [];
    let next = 0;
    const work = async () => {
      for (let nth = next++; nth < sets.length; nth = next++) {
        const set = sets[nth];
        if (set) answers[nth] = await this.#answerOf(server, set, sets, domain);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    return answers;
  }

  async #answerOf(server: ZoneServer, set: RecordSet, sets: readonly RecordSet[], domain: string): Promise<Answer> {
    const answer = answerFrom(await this.#zones.ask(server, set), set);
    if (!("values" in answer) || set.type !== "CNAME" || answer.values.length > 0) return answer;
    // the same addresses as the domain's are as good as an alias
    const addresses = sets.filter((each) => each.name === `${domain}.` && (each.type === "A" || each.type === "AAAA"));
    const same = await Promise.all(
      addresses.map(async (each) => {
        const own = { ...each, name: set.name };
        const seen = answerFrom(await this.#zones.ask(server, own), own);
        return "values" in seen ? agreementOf(own, seen.values, domain) : "Missing";
      }),
    );
    const is = same.length > 0 && same.every((each) => each === "Published");
    return is ? { values: set.values } : answer;
  }

  async #reverse({ address, name, want }: ReverseName): Promise<VerifiedReverse> {
    const asked = await this.#zones.resolve({ name, type: "PTR" });
    if (!("reply" in asked)) return { address, want, state: "Unknown" };
    const names = asked.reply.answers.flatMap((each) => (each.type === "PTR" ? [each.value] : []));
    const [seen] = names;
    if (seen === undefined) return { address, want, state: "Missing" };
    if (!names.includes(want)) return { address, want, seen, state: "Different" };
    return { address, want, seen: want, state: "Published" };
  }

  async #dnssec(zone: Zone, validators: readonly string[] = []): Promise<Verification["dnssec"]> {
    if (zone.hasKeys === false) return "Insecure";
    const of = { name: `${zone.name}.`, type: "SOA" } as const;
    const asked = await this.#zones.resolve(of, validators);
    if ("reply" in asked && asked.reply.validated) return "Secure";
    // it has an answer, and gives it only to who does not ask whether it is right
    if ("fault" in asked && asked.fault === "failing") {
      const unchecked = await this.#zones.resolve({ ...of, unchecked: true }, validators);
      if ("reply" in unchecked) return "Bogus";
    }
    if (zone.hasKeys) return "Signed";
    return "reply" in asked ? "Insecure" : "Unknown";
  }

  /** CAA records of the nearest name that has some (RFC 8659 §3). */
  async #issuerProblem(domain: string, issuer: CaaIssuer, serving: readonly ZoneServer[]): Promise<string | undefined> {
    for (let name = domain; name !== ""; name = name.includes(".") ? name.slice(name.indexOf(".") + 1) : "") {
      const of = { name: `${name}.`, type: "CAA" } as const;
      const asked = name === domain ? await this.#askAny(serving, of) : await this.#zones.resolve(of);
      const records =
        asked && "reply" in asked
          ? asked.reply.answers.flatMap((each) => (each.type === "CAA" ? [each.value] : []))
          : [];
      if (records.length === 0) continue;
      if (permitsIssuer(records, issuer)) return undefined;
      const says = records.map((value) => valueText("CAA", value)).join(", ");
      const account = issuer.accountURI === undefined ? "" : ` for the account ${issuer.accountURI}`;
      const own = valueText("CAA", { critical: false, tag: "issue", value: issuer.domain });
      return `the CAA records of ${name} (${says}) do not let ${issuer.domain} issue a certificate${account}: add CAA ${own} at ${domain}, or correct them`;
    }
    return undefined;
  }

  /** The first of them that replies. */
  async #askAny(servers: readonly ZoneServer[], of: { name: string; type: "CAA" }): Promise<Asked | undefined> {
    let last: Asked | undefined;
    for (const server of servers) {
      last = await this.#zones.ask(server, of);
      if ("reply" in last) return last;
    }
    return last;
  }
}

type Answer = { values: readonly Values[PublishedType][] } | { fault: string };

interface OfServer {
  server: ZoneServer;
  answers: readonly Answer[];
}

function answerFrom(asked: Asked, { name, type }: Pick<RecordSet, "name" | "type">): Answer {
  if (!("reply" in asked)) return { fault: asked.says };
  if (!asked.reply.authoritative) return { fault: notAuthoritative };
  const own = asked.reply.answers.filter((each) => each.name === name && each.type === type);
  return { values: own.map(({ value }) => value as Values[PublishedType]) };
}

const notAuthoritative = "it answers without authority: it does not serve the zone";

function healthFrom(asked: Asked): Health {
  if (!("reply" in asked)) return { fault: asked.says };
  const soa = asked.reply.answers.find((each) => each.type === "SOA");
  if (!asked.reply.authoritative || soa?.type !== "SOA") return { fault: notAuthoritative };
  return { serial: soa.value.serial };
}

function judgedSet(set: RecordSet, domain: string, all: readonly OfServer[], nth: number): VerifiedSet {
  const { name, type } = set;
  const seen = new Set<string>();
  const at: string[] = [];
  const agreements = new Set<Agreement>();
  for (const { server, answers } of all) {
    const answer = answers[nth];
    if (!answer || !("values" in answer)) continue;
    const agreement = agreementOf(set, answer.values, domain);
    agreements.add(agreement);
    if (agreement === "Published") continue;
    at.push(server.name);
    for (const value of answer.values) seen.add(valueText(type as never, value as never));
  }
  const states: readonly RecordState[] = ["Different", "Missing", "Published"];
  const state = states.find((each) => agreements.has(each as Agreement)) ?? "Unknown";
  return { name, type, state, seen: [...seen].sort(), at: at.sort() };
}

/** Servers that do not answer for the zone, or are behind another. */
function faultsOf(servers: readonly ZoneServer[], health: readonly Health[]): string[] {
  const serials = health.flatMap((each) => ("serial" in each ? [each.serial] : []));
  const newest = serials.reduce((a, b) => (isNewer(b, a) ? b : a), serials[0] ?? 0);
  return servers.flatMap((server, nth) => {
    const is = health[nth];
    if (!is) return [];
    const called = `name server ${server.name} (${server.address})`;
    if ("fault" in is) return [`${called}: ${is.fault}`];
    return is.serial === newest ? [] : [`${called} is behind: another one has a newer version of the zone`];
  });
}

/** RFC 1982. */
const isNewer = (a: number, b: number) => a !== b && ((a - b) & 0xffffffff) > 0;

/** One for each server that answers for the zone but not for all records. */
function answerFaults(all: readonly OfServer[]): string[] {
  return all.flatMap(({ server, answers }) => {
    const fault = answers.find((each) => "fault" in each);
    return fault && "fault" in fault ? [`name server ${server.name} (${server.address}): ${fault.fault}`] : [];
  });
}
