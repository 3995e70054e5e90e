/**
 * Publishes records through a zone's own name server (RFC 2136, signed by RFC 8945). Nothing is
 * touched that is not ours: the server itself checks, in the same message, that what we read is
 * still so.
 */
import { Failure } from "../../api/failure.ts";
import type { Reason } from "../../api/reasons.ts";
import { messageOf } from "../../lib/text.ts";
import { askByTcp, askByUdp, type NameServer, parseServer } from "../exchange.ts";
import {
  type FoundSet,
  type NotOurs,
  type Ownership,
  ownedSets,
  ownerName,
  planPublication,
  planWithdrawal,
  readOwnership,
  textsOf,
} from "../publication.ts";
import { type Question, type Reply, readReply, type SeenRecord } from "../query.ts";
import { codeOf, flag, renderQuestion } from "../question.ts";
import type { PublishedType, RecordSet } from "../records.ts";
import { signMessage, type TsigKey, verifyAnswer } from "../tsig.ts";
import { type Prerequisite, renderUpdate, type Update } from "../update.ts";
import { dataOf } from "../values.ts";
import { DnsFormatError, udpBytes } from "../wire.ts";

export interface Rfc2136Options {
  domain: string;
  /** The first is written into the zone; records of any of them are ours. */
  owners: readonly [string, ...string[]];
  ttlSeconds: number;
  /**
   * The first that answers is taken: "192.0.2.1", "ns1.example.org:5353", "[2001:db8::1]:53".
   */
  servers: readonly [string, ...string[]];
  /** Without it the one that the server has for the domain. */
  zone?: string | undefined;
  key: TsigKey;
  /** A whole number from 0 up to, not including, `below`; has to be hard to guess. */
  random: (below: number) => number;
  now: () => Date;
  signal?: AbortSignal;
  timeoutMs?: number;
}

export interface PublishResult {
  zone: string;
  /** The one that took the update. */
  server: string;
  /** Records that were added or deleted; 0: all was as it has to be. */
  changed: number;
  notOurs: NotOurs[];
}

/** How often a plan is made again because somebody else has written meanwhile. */
const mostTries = 3;
/** Questions to one server at the same time. */
const atOnce = 4;

/** Throws Failure with a reason and a sentence that says what to do. */
export async function publish(wanted: readonly RecordSet[], options: Rfc2136Options): Promise<PublishResult> {
  const { domain, owners, ttlSeconds } = options;
  const session = await openSession(options);
  const { zone } = session;
  let inUse: ReadonlySet<string> = new Set();
  for (let tried = 1; ; tried++) {
    const { ownership, found } = await readZone(session, wanted);
    const base = { domain, owners, wanted, ownership, ttlSeconds, inUse };
    const first = planPublication({ ...base, found });
    const plan =
      first.notOurs.length > 0
        ? planPublication({ ...base, found: await withoutWildcards(session, found, first.notOurs) })
        : first;
    if (plan.changes.length === 0) return { zone, server: session.name, changed: 0, notOurs: plan.notOurs };
    const code = await send(session, plan);
    if (code === "NOERROR") return { zone, server: session.name, changed: plan.changes.length, notOurs: plan.notOurs };
    if (tried === mostTries)
      throw new Failure(
        "DnsUpdateConflict",
        `${session.name} has other records in zone ${zone} at each try (${code}): something else writes the records of ${domain}, too`,
      );
    // something stands at a name that is to have a CNAME record, and may be of any type
    if (code === "YXDOMAIN") inUse = await namesInUse(session, plan.prerequisites);
    options.signal?.throwIfAborted();
  }
}

/**
 * Takes our records away. routes: the MX record alone. all: whatever is left. Safe to repeat, also
 * from another process: what it has to remember is in the zone. `routesUntil`: when nobody
 * remembers the MX record any more, where it was ours. Throws Failure as `publish` does.
 */
export async function withdraw(part: "routes" | "all", options: Rfc2136Options): Promise<{ routesUntil?: Date }> {
  const { domain, owners, ttlSeconds, now } = options;
  const session = await openSession(options);
  for (let tried = 1; ; tried++) {
    const { ownership, found } = await readZone(session, []);
    const nowSeconds = Math.floor(now().getTime() / 1000);
    const plan = planWithdrawal({ domain, owners, ttlSeconds, ownership, found, nowSeconds, part });
    const result = plan.routesUntil === undefined ? {} : { routesUntil: new Date(plan.routesUntil * 1000) };
    if (plan.changes.length === 0) return result;
    const code = await send(session, plan);
    if (code === "NOERROR") return result;
    if (tried === mostTries)
      throw new Failure(
        "DnsUpdateConflict",
        `${session.name} has other records in zone ${session.zone} at each try (${code}): something else writes the records of ${domain}, too`,
      );
    options.signal?.throwIfAborted();
  }
}

interface Session {
  options: Rfc2136Options;
  server: NameServer;
  /** As it was given. */
  name: string;
  zone: string;
}

/** The first server that answers, and the zone. */
export async function openSession(options: Rfc2136Options): Promise<Session> {
  const silent: string[] = [];
  for (const name of options.servers) {
    options.signal?.throwIfAborted();
    const session = { options, server: parseServer(name), name, zone: options.zone ?? "" };
    try {
      const zone = await zoneAt(session);
      return { ...session, zone };
    } catch (thrown) {
      if (!(thrown instanceof Failure) || thrown.reason !== "DnsServerUnreachable") throw thrown;
      silent.push(thrown.message);
    }
  }
  throw new Failure("DnsServerUnreachable", silent.join("; "));
}

/** The zone that has the domain, by the SOA record that the server gives for it. */
async function zoneAt(session: Session): Promise<string> {
  const { domain, zone } = session.options;
  const reply = await ask(session, { name: `${zone ?? domain}.`, type: "SOA" });
  const soa = [...reply.answers, ...reply.authorities].find(({ type }) => type === "SOA");
  if (!reply.authoritative || !soa) {
    const of = zone === undefined ? `a zone that has ${domain}` : `zone ${zone}`;
    throw new Failure("DnsZoneNotServed", `${session.name} does not serve ${of}: ${help.primary}`);
  }
  const found = soa.name.replace(/\.$/, "");
  if (zone !== undefined && found !== zone)
    throw new Failure(
      "DnsZoneNotServed",
      `${session.name} serves zone ${found}, and no zone ${zone}: correct dns.rfc2136.zone, or leave it out`,
    );
  return found;
}

const help = {
  primary: "name its primary server in dns.rfc2136.servers",
} as const;

interface ZoneNow {
  ownership: Ownership | undefined;
  found: FoundSet[];
}

/** Throws Failure where the zone says that the records are another's. */
async function readZone(session: Session, wanted: readonly RecordSet[]): Promise<ZoneNow> {
  const { domain, owners } = session.options;
  const owner = await readSet(session, { name: ownerName(domain), type: "TXT" });
  const [own] = owner;
  const ownership = textsOf(own)
    .map((text) => readOwnership(text, domain))
    .find((each) => each !== undefined);
  if (ownership && !owners.includes(ownership.owner))
    throw new Failure(
      "DnsOwnedByOther",
      `the TXT record ${ownerName(domain)} says that another operator publishes the records of ${domain} (owner=${ownership.owner}): delete the other server, or, if there is none any more, that record`,
    );
  const sets = new Map(
    [...wanted, ...(ownership ? ownedSets(ownership) : [])].map((set) => [`${set.name} ${set.type}`, set]),
  );
  const found = new Map(owner.map((set) => [`${set.name} ${set.type}`, set]));
  const left = [...sets.values()];
  const work = async () => {
    for (let set = left.shift(); set; set = left.shift())
      for (const each of await readSet(session, set)) found.set(`${each.name} ${each.type}`, each);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return { ownership, found: [...found.values()] };
}

/** The set, and a CNAME record that stands in its place. */
async function readSet(session: Session, { name, type }: { name: string; type: PublishedType }): Promise<FoundSet[]> {
  const { code, answers, authoritative } = await ask(session, { name, type });
  if ((code !== "NOERROR" && code !== "NXDOMAIN") || !authoritative)
    throw new Failure("DnsZoneNotServed", `${session.name} does not serve ${name}: ${help.primary}`);
  const own = answers.filter((each) => each.name === name && (each.type === type || each.type === "CNAME"));
  const of = Map.groupBy(own, (each) => each.type);
  return [...of].map(([kind, records]) => ({
    name,
    type: kind as PublishedType,
    values: records.map(({ value }) => value) as FoundSet["values"],
    data: records.map((each) => dataAsIs(each)),
    ttlSeconds: Math.min(...records.map(({ ttlSeconds }) => ttlSeconds)),
  }));
}

/** Names in records may be compressed in the answer; all else is taken as it is. */
function dataAsIs({ type, value, data }: SeenRecord): Buffer {
  return type === "CNAME" || type === "MX" || type === "SRV" ? dataOf(type, value as never) : Buffer.from(data);
}

/** Records that a wildcard gives are in nobody's way: the zone itself has none of that name. */
async function withoutWildcards(
  session: Session,
  found: readonly FoundSet[],
  notOurs: readonly NotOurs[],
): Promise<FoundSet[]> {
  const suspects = found.filter((set) => notOurs.some(({ name }) => name === set.name));
  const fromWildcard = new Set<FoundSet>();
  for (const set of suspects) {
    const { name, type } = set;
    if ((await probe(session, { is: "present", name, type })) === "NXRRSET") fromWildcard.add(set);
  }
  return found.filter((set) => !fromWildcard.has(set));
}

async function namesInUse(session: Session, prerequisites: readonly Prerequisite[]): Promise<Set<string>> {
  const inUse = new Set<string>();
  for (const each of prerequisites)
    if (each.is === "unused" && (await probe(session, each)) === "YXDOMAIN") inUse.add(each.name);
  return inUse;
}

/** A message that changes nothing asks the server itself. */
const probe = (session: Session, prerequisite: Prerequisite) =>
  send(session, { prerequisites: [prerequisite], changes: [] });

/** Answers of the server that say that a prerequisite does not hold. */
const conflicts: readonly string[] = ["YXDOMAIN", "YXRRSET", "NXRRSET", "NXDOMAIN"];

/** NOERROR, or which prerequisite does not hold. */
export async function send(
  session: Session,
  { prerequisites, changes }: Pick<Update, "prerequisites" | "changes">,
): Promise<string> {
  const { options, zone } = session;
  const id = options.random(0x10000);
  const message = renderUpdate({ id, zone, prerequisites, changes });
  const isAnswer = (bytes: Buffer) =>
    bytes.length >= 12 && bytes.readUInt16BE(0) === id && (bytes.readUInt16BE(2) & 0xf800) === 0xa800;
  const answer = await exchange(session, message, isAnswer);
  const code = codeOf(answer.readUInt16BE(2));
  if (code !== "NOERROR" && !conflicts.includes(code)) throw refusal(session, code, "updates of");
  return code;
}

/** The reply to a signed question. */
async function ask(session: Session, of: Pick<Question, "name" | "type">): Promise<Reply> {
  const asked = { ...of, id: session.options.random(0x10000) };
  const bytes = await exchange(session, renderQuestion(asked), (each) => readReply(each, asked) !== undefined);
  const reply = readReply(bytes, asked) as Reply;
  if (reply.code === "NOERROR" || reply.code === "NXDOMAIN") return reply;
  throw refusal(session, reply.code, "questions about");
}

/**
 * The answer to a signed message: by UDP where it fits, else, or where the answer does not fit, by
 * TCP. Throws Failure where there is none, or where it is not signed as it has to be.
 */
async function exchange(session: Session, message: Buffer, isAnswer: (bytes: Buffer) => boolean): Promise<Buffer> {
  const { options, server, name } = session;
  const { key, timeoutMs = 4_000 } = options;
  const nowSeconds = () => Math.floor(options.now().getTime() / 1000);
  const { bytes: query, mac } = signMessage(message, key, nowSeconds());
  const read = (bytes: Buffer) => (isAnswer(bytes) ? Buffer.from(bytes) : undefined);
  const asking = { query, read, timeoutMs };
  let answer: Buffer;
  try {
    const byUdp = query.length <= udpBytes ? await askByUdp(server, asking).catch(() => undefined) : undefined;
    const isWhole = byUdp && (byUdp.readUInt16BE(2) & flag.truncated) === 0;
    answer = isWhole ? byUdp : await askByTcp(server, asking);
  } catch (thrown) {
    throw new Failure("DnsServerUnreachable", `name server ${name}: ${messageOf(thrown)}`, { cause: thrown });
  }
  const code = codeOf(answer.readUInt16BE(2));
  let problem: ReturnType<typeof verifyAnswer>;
  try {
    problem = verifyAnswer(answer, { key, requestMac: mac, nowSeconds: nowSeconds() });
  } catch (thrown) {
    if (!(thrown instanceof DnsFormatError)) throw thrown;
    problem = { kind: "forged", why: thrown.message };
  }
  if (!problem) return answer;
  switch (problem.kind) {
    case "BADKEY":
      throw new Failure(
        "TsigKeyUnknown",
        `${name} does not know the TSIG key ${key.name} with ${key.algorithm} (BADKEY), or does not let it do this (Knot says the same then): add the key there and allow it to query and update, or correct dns.rfc2136.tsig`,
      );
    case "BADSIG":
    case "BADTRUNC":
      throw new Failure(
        "TsigSecretWrong",
        `${name} has another secret for the TSIG key ${key.name} (${problem.kind}): put its secret into the Secret that dns.rfc2136.tsig.secretRef names`,
      );
    case "BADTIME": {
      const behind = problem.serverSeconds === undefined ? undefined : nowSeconds() - problem.serverSeconds;
      const said =
        behind === undefined
          ? "another time"
          : `a clock that is ${Math.abs(behind)} s ${behind > 0 ? "behind" : "ahead of"} the operator's`;
      throw new Failure(
        "TsigTimeWrong",
        `${name} has ${said} (BADTIME): signatures hold for 300 s, so set the clock of one of the two`,
      );
    }
    case "unsigned":
      if (code !== "NOERROR") throw refusal(session, code, "requests for");
      throw new Failure(
        "DnsAnswerForged",
        `the answer of ${name} is not signed, so it may come from anybody: check that ${name} is the server itself, and that nothing changes its answers`,
      );
    case "forged":
      throw new Failure("DnsAnswerForged", `an answer in the name of ${name} is not taken: ${problem.why}`);
  }
}

const refusals: Readonly<Record<string, { reason: Reason; says: string }>> = {
  REFUSED: {
    reason: "DnsUpdateRefused",
    says: "allow them (BIND: update-policy or allow-update, Knot: an acl with action update and query); BIND also refuses an MX record whose host has no address",
  },
  NOTAUTH: { reason: "DnsZoneNotServed", says: help.primary },
  NOTZONE: { reason: "DnsNotInZone", says: "correct dns.rfc2136.zone, or leave it out" },
  SERVFAIL: { reason: "DnsServerFailed", says: "see its log; the operator tries again" },
};

function refusal({ name, zone, options }: Session, code: string, what: string): Failure {
  const { reason, says } = refusals[code] ?? { reason: "DnsUpdateRefused" as const, says: "see its log" };
  const of = zone === "" ? options.domain : `zone ${zone}`;
  return new Failure(reason, `${name} answers ${code} to ${what} ${of} with the TSIG key ${options.key.name}: ${says}`);
}
