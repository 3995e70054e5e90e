/** What is wrong with servers, the worst first. Pure. */
import type { Condition, WrittenServer } from "../../api/chatmail-server.ts";
import { type Reason, reasons, type WhoActs, whoActs } from "../../api/reasons.ts";
import { ageText } from "../text/duration.ts";
import { harmless, type Paint, type Tone } from "../text/paint.ts";
import { pairs, table, wrapped } from "../text/table.ts";

/**
 * - act: a person has to do something.
 * - wait: it is not ready, and that passes by itself or is being worked on.
 * - aside: it is ready, and something beside it is not as it should be.
 * - fine: nothing.
 */
const levels = ["act", "wait", "aside", "fine"] as const;
export type Level = (typeof levels)[number];

export interface ServerProblem {
  condition: string;
  reason: string;
  message: string;
  /** Absent where this version does not know the reason. */
  who?: WhoActs;
}

export interface ServerSummary {
  namespace: string;
  name: string;
  domain: string;
  level: Level;
  ready: Condition["status"];
  reason: string;
  /** The first is what to do first. */
  problems: ServerProblem[];
  paused: boolean;
  dns?: string;
  certificateUntil?: string;
  version?: string;
  created?: string;
  address?: string;
  node?: string;
}

/** Of these, True is the trouble or the news. */
const aboutProgress = ["Ready", "Reconciling", "Stalled", "Paused"];

export function summaryOf({ metadata, spec, status }: WrittenServer): ServerSummary {
  const conditions = status?.conditions ?? [];
  const find = (type: string) => conditions.find((each) => each.type === type);
  const ready = find("Ready");
  const notReady = ready && ready.status !== "True" ? [ready] : [];
  const stalled = conditions.filter(({ type, status: is }) => type === "Stalled" && is === "True");
  const others = conditions.filter(({ type, status: is }) => is === "False" && !aboutProgress.includes(type));
  const seen = new Set<string>();
  const problems = [...stalled, ...notReady, ...others].flatMap((condition) => {
    const { type, reason, message } = condition;
    const who = whoOf(reason);
    // such as registration that is Closed: nobody has to act
    if (seen.has(reason) || (reason in reasons && who === undefined)) return [];
    seen.add(reason);
    return [{ condition: type, reason, message, ...(who && { who }) }];
  });
  if (!ready)
    problems.push({
      condition: "Ready",
      reason: "NotSeen",
      message: "no operator has looked at this server yet: is one running that watches this namespace?",
    });
  const isReady = ready?.status === "True";
  const needsPerson = stalled.length > 0 || notReady.some(({ reason }) => isOfPerson(whoOf(reason)));
  const level: Level = needsPerson ? "act" : !isReady ? "wait" : problems.length > 0 ? "aside" : "fine";
  return {
    namespace: metadata.namespace ?? "",
    name: metadata.name,
    domain: spec.domain,
    level,
    ready: ready?.status ?? "Unknown",
    reason: ready?.reason ?? "",
    problems: problems.sort((one, other) => rankOf(one) - rankOf(other)),
    paused: find("Paused")?.status === "True",
    ...defined({
      dns: status?.dns?.required,
      certificateUntil: status?.certificate?.notAfter,
      version: status?.relay?.version,
      created: metadata.creationTimestamp,
      address: status?.addresses?.[0]?.value,
      node: status?.relay?.node,
    }),
  };
}

const whoOf = (reason: string): WhoActs | undefined => (reason in reasons ? whoActs(reason as Reason) : undefined);
const isOfPerson = (who: WhoActs | undefined) => who === "needs person" || who === "needs edit";
/**
 * What keeps the server from being ready comes first, and what a person has to do before the rest.
 */
const rankOf = ({ condition, who }: ServerProblem) =>
  (condition === "Stalled" ? 0 : condition === "Ready" ? 1 : 2) + (isOfPerson(who) ? 0 : 3);

function defined<T extends object>(fields: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

/** The worst first, then by namespace and name. */
export const worstFirst = (summaries: readonly ServerSummary[]): ServerSummary[] =>
  summaries.toSorted(
    (one, other) =>
      levels.indexOf(one.level) - levels.indexOf(other.level) ||
      one.namespace.localeCompare(other.namespace) ||
      one.name.localeCompare(other.name),
  );

export const isWrong = ({ level }: ServerSummary): boolean => level === "act" || level === "wait";

const tones: Readonly<Record<Level, Tone>> = { act: "bad", wait: "doubtful", aside: "doubtful", fine: "good" };

export function statusTable(
  summaries: readonly ServerSummary[],
  { paint, now, wide, allNamespaces }: { paint: Paint; now: Date; wide: boolean; allNamespaces: boolean },
): string {
  const columns = ["NAMESPACE", "NAME", "DOMAIN", "READY", "REASON", "DNS", "CERT-UNTIL", "VERSION", "AGE"];
  const head = [...columns, ...(wide ? ["ADDRESS", "NODE", "MESSAGE"] : [])];
  const rows = summaries.map((each) => {
    const { reason, paused, dns, certificateUntil, version, created, address, node, problems } = each;
    const left = [allNamespaces ? each.namespace : "", each.name, each.domain].map(harmless);
    const right = [
      reason + (paused ? " (paused)" : ""),
      dns ?? "",
      certificateUntil?.slice(0, 10) ?? "",
      version ?? "",
      ageText(created, now),
      ...(wide ? [address ?? "", node ?? "", problems[0]?.message ?? ""] : []),
    ].map(harmless);
    return [...left, paint(tones[each.level], each.ready), ...right];
  });
  const list = table(head, rows);
  const wrong = summaries.filter(({ problems }) => problems.length > 0);
  if (wide || wrong.length === 0) return list;
  const lines = wrong.map(({ namespace, name, level, problems: [first, ...others] }) => {
    const more =
      others.length > 0 ? paint("quiet", ` (and ${others.length} more: kubectl chatmail status ${name})`) : "";
    const where = allNamespaces ? `${namespace}/${name}` : name;
    return `${paint(tones[level], where)}: ${harmless(first?.message ?? "")}${more}\n`;
  });
  return `${list}\n${lines.join("")}`;
}

const whoText: Readonly<Record<WhoActs, string>> = {
  "needs person": "you have to act",
  "needs edit": "you have to edit the spec",
  moving: "being worked on",
  passing: "tried again",
};

/** One server: what is wrong, and then what there is. */
export function statusPage(
  server: WrittenServer,
  { paint, now, columns }: { paint: Paint; now: Date; columns: number },
): string {
  const summary = summaryOf(server);
  const { status, metadata } = server;
  const said = { act: "needs you", wait: "is not ready", aside: "serves", fine: "serves" } as const;
  const title = `${summary.name} (${summary.domain}) ${said[summary.level]}${summary.paused ? ", paused" : ""}\n`;
  const problems = summary.problems.map((problem) => {
    const { condition, reason, message, who } = problem;
    const head = `${paint(who && isOfPerson(who) ? "bad" : "doubtful", reason)} (${condition}${who ? `, ${whoText[who]}` : ""})\n`;
    return head + wrapped(harmless(message), columns, "  ");
  });
  const entry = summary.problems.find(({ reason }) => reason in reasons);
  const hint = entry ? [paint("quiet", `More: docs/troubleshooting.md#${entry.reason.toLowerCase()}\n`)] : [];
  const facts = pairs([
    ["addresses", status?.addresses?.map(({ value }) => value).join(", ")],
    ["invite", status?.invite?.link ?? (status?.invite?.secretName && `in Secret ${status.invite.secretName}`)],
    ["page", status?.invite?.page],
    ["DNS records", dnsText(status?.dns)],
    ["certificate until", status?.certificate?.notAfter],
    ["volume", status?.storage?.capacity],
    ["version", status?.relay?.version],
    ["waits for version", status?.relay?.targetImage],
    ["node", status?.relay?.node],
    ["last expiry", status?.lastExpiry?.completionTime],
    ["age", ageText(metadata.creationTimestamp, now)],
  ]);
  return [paint("strong", title), ...problems, ...hint, harmless(facts)].join("\n").replace(/\n{3,}/g, "\n\n");
}

function dnsText(dns: NonNullable<WrittenServer["status"]>["dns"]): string | undefined {
  const parts = [dns?.required && `${dns.required} required`, dns?.recommended && `${dns.recommended} recommended`];
  return parts.filter(Boolean).join(", ");
}
