/** Whether the DNS has what the domain needs. Pure. */
import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { isStalled, type Reason, reasons } from "../../../api/reasons.ts";
import { isCarried } from "../../../dns/external-dns.ts";
import type { Need, PublishedType } from "../../../dns/records.ts";
import type { RecordState, VerifiedSet } from "../../../dns/verify.ts";
import type { Problem } from "../../problem.ts";
import type { Verdict } from "../progress.ts";
import type { Seen } from "../seen.ts";
import type { Check } from "./check.ts";
import { rotationWaits } from "./dkim.ts";

/** A record set with what is known of it. */
export interface KnownSet extends Omit<VerifiedSet, "state"> {
  need: Need;
  state: RecordState;
}

/**
 * Of what was wanted when it was verified; undefined where nothing is known. Until this operator
 * has looked itself, what the status remembers.
 */
export function knownSets(server: Pick<ChatmailServer, "status">, { dns }: Seen): KnownSet[] | undefined {
  if (!dns) return undefined;
  const { status } = dns;
  if (!status) return rememberedSets(server);
  if ("unknown" in status.verification) return undefined;
  const needs = new Map(status.of.sets.map(({ name, type, need }) => [`${name} ${type}`, need]));
  const inTheWay = new Map(status.notOurs.map(({ name, type, seen }) => [`${name} ${type}`, seen]));
  return status.verification.records.map((each) => {
    const key = `${each.name} ${each.type}`;
    const seen = each.state === "Published" ? undefined : inTheWay.get(key);
    const need = needs.get(key) ?? "Recommended";
    return seen ? { ...each, need, state: "NotOurs", seen } : { ...each, need };
  });
}

function rememberedSets({ status }: Pick<ChatmailServer, "status">): KnownSet[] | undefined {
  const sets = (status?.dns?.records ?? []).flatMap(({ name, type, need, state, seen = [], at = [] }) =>
    state === undefined ? [] : [{ name, type: type as PublishedType, need, state, seen, at }],
  );
  return sets.length > 0 ? sets : undefined;
}

/** What the condition says; undefined where it says nothing. */
function rememberedVerdict({ status }: Pick<ChatmailServer, "status">): Verdict | undefined {
  const is = status?.conditions?.find(({ type }) => type === "DNSReady");
  return is && is.reason in reasons ? { ...is, reason: is.reason as Reason } : undefined;
}

/** "6/6": how many of those are published. */
export function publishedOf(sets: readonly KnownSet[], need: Need): string {
  const of = sets.filter((each) => each.need === need);
  return `${of.filter(({ state }) => state === "Published").length}/${of.length}`;
}

const named = (sets: readonly KnownSet[]) =>
  sets.map(({ name, type, state, seen, at }) => {
    const instead = seen.length > 0 ? ` (there is ${seen.slice(0, 3).join(", ").slice(0, 200)})` : "";
    const where = at.length > 0 ? ` at ${at.join(", ")}` : "";
    return `${type} ${name} is ${words[state]}${where}${instead}`;
  });

const words: Readonly<Record<RecordState, string>> = {
  Published: "published",
  Missing: "missing",
  Different: "different",
  NotOurs: "not ours",
  Unknown: "unknown",
};

const isWrong = ({ state }: KnownSet) => state === "Missing" || state === "Different" || state === "NotOurs";
const isNeeded = ({ need }: KnownSet) => need === "Required";

/** Required records that are not as they have to be. */
const missingIn = (server: ChatmailServer, seen: Seen): KnownSet[] =>
  (knownSets(server, seen) ?? []).filter((each) => isNeeded(each) && isWrong(each));

const isUpdated = ({ spec: { dns } }: ChatmailServer) => dns.mode === "RFC2136" || dns.mode === "ExternalDNS";

/** What external-dns is to publish, and can't. */
function uncarried({ spec: { dns } }: ChatmailServer, wrong: readonly KnownSet[]): string[] {
  const types = [...new Set(wrong.filter((set) => !isCarried(set)).map(({ type }) => type))];
  if (dns.mode !== "ExternalDNS" || types.length === 0) return [];
  return [
    `external-dns can't publish ${types.join(" and ")} records: publish them by hand, or set dns.mode to RFC2136`,
  ];
}

/** What keeps Ready: only records that the operator itself is to publish. */
export const recordsArePublished: Check = (seen, server) => {
  if (!isUpdated(server) || !seen.dns) return undefined;
  const { tsig, status } = seen.dns;
  if (!status) {
    const before = rememberedVerdict(server);
    const { reason, message } = before ?? {
      reason: "RecordsPending",
      message: "the DNS records are about to be published",
    };
    return before?.status === "True" ? undefined : { reason, message };
  }
  const missing = missingIn(server, seen);
  const isKnown = !("unknown" in status.verification) && missing.length === 0;
  // an update that fails hurts nobody as long as the records are there
  if (isKnown || ("unknown" in status.verification && werePublished(server))) return undefined;
  if (tsig && "problem" in tsig) return tsig.problem;
  if (status.problem) return status.problem;
  const others = missing.filter(({ state }) => state === "NotOurs");
  if (others.length > 0)
    return {
      reason: "RecordsNotOurs",
      message: `records that the operator did not write are in the way: ${named(others).join("; ")}. Delete them, or set dns.mode to Manual`,
    };
  if (missing.length > 0)
    return {
      reason: "RecordsPending",
      message: `not every name server has the records yet: ${named(missing).join("; ")}${publisher(server)}`,
    };
  return undefined;
};

/** What the condition says only where every required record was there when it was last known. */
const saidWhilePublished: readonly string[] = [
  "RecordsPublished",
  "RecordsUnknown",
  "DnssecBogus",
  "CaaForbidsIssuer",
  "DKIMRotationWaits",
] satisfies Reason[];

/** While nothing can be said, what was published is still taken to be there. */
function werePublished({ metadata: { generation }, status }: ChatmailServer): boolean {
  const is = status?.conditions?.find(({ type }) => type === "DNSReady");
  return is !== undefined && is.observedGeneration === generation && saidWhilePublished.includes(is.reason);
}

/** Why the next update would fail, where only a person helps. */
function updateIsBlocked(server: ChatmailServer, { tsig, status }: NonNullable<Seen["dns"]>): Problem | undefined {
  if (!isUpdated(server)) return undefined;
  if (tsig && "problem" in tsig) return tsig.problem;
  return status?.problem && isStalled(status.problem.reason) ? status.problem : undefined;
}

const publisher = ({ spec, metadata }: ChatmailServer) =>
  spec.dns.mode === "ExternalDNS" ? `. external-dns publishes DNSEndpoint ${metadata.name}: its log says why not` : "";

/** Undefined where nobody looks after the records, or the domain needs none. */
export function dnsVerdict(server: ChatmailServer, seen: Seen, now: Date): Verdict | undefined {
  if (!seen.dns) return undefined;
  const before = seen.dns.status ? undefined : rememberedVerdict(server);
  if (before) return before;
  const problem = recordsArePublished(seen, server, now);
  if (problem) return { status: "False", ...problem };
  const { status } = seen.dns;
  if (!status)
    return { status: "Unknown", reason: "RecordsNotVerified", message: "the DNS records have not been verified yet" };
  const { verification } = status;
  const failed = status.problem ? [status.problem.message] : [];
  if ("unknown" in verification)
    return { status: "Unknown", reason: "RecordsUnknown", message: [verification.unknown, ...failed].join("; ") };
  const sets = knownSets(server, seen) ?? [];
  const wrong = sets.filter(isWrong);
  const notes = [...named(wrong.filter(isNeeded)), ...named(wrong.filter((each) => !isNeeded(each)))];
  notes.push(...uncarried(server, wrong));
  const faults = [...verification.faults, ...failed];
  const { issuerProblem } = verification;
  const bogus =
    verification.dnssec === "Bogus"
      ? `the DNSSEC signatures of zone ${verification.zone} are wrong: the resolvers in network.dnssecResolvers refuse its records, as others that validate do. Sign the zone again, or correct the DS record above it`
      : undefined;
  const rest = [bogus, issuerProblem, ...faults].filter((each) => each !== undefined);
  if (wrong.some(isNeeded))
    return { status: "False", reason: "RecordsIncomplete", message: [...notes, ...rest].join("; ") };
  if (sets.some((each) => isNeeded(each) && each.state === "Unknown"))
    return { status: "Unknown", reason: "RecordsUnknown", message: rest.join("; ") || "no name server answers" };
  const [aside] = [bogus && "DnssecBogus", issuerProblem && "CaaForbidsIssuer"].filter((each) => each !== undefined);
  if (aside) return { status: "False", reason: aside as Reason, message: [...rest, ...notes].join("; ") };
  const all = `${publishedOf(sets, "Required")} required and ${publishedOf(sets, "Recommended")} recommended records are at every name server of zone ${verification.zone}`;
  const blocked = updateIsBlocked(server, seen.dns);
  if (blocked)
    return {
      status: "False",
      reason: blocked.reason,
      message: [`${blocked.message}. Until then nothing can be changed in the zone`, all, ...notes].join("; "),
    };
  const waits = rotationWaits(server, seen, now);
  if (waits) return { status: "False", ...waits };
  return { status: "True", reason: "RecordsPublished", message: [all, ...notes, ...rest].join("; ") };
}

/** Ready is True all the same where a person publishes the records. */
export function unpublished(server: ChatmailServer, seen: Seen): Problem | undefined {
  const missing = isUpdated(server) ? [] : missingIn(server, seen);
  if (missing.length === 0) return undefined;
  const { domain } = server.spec;
  return {
    reason: "ServingUnpublished",
    message: `${domain} is served, but DNS records that mail needs are not as they have to be: ${named(missing).join("; ")}. ConfigMap ${server.metadata.name}-dns has them as text`,
  };
}
