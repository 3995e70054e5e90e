/** What the status of a fleet says: its servers, added up. Pure. */
import type { ChatmailFleetStatus } from "../../api/chatmail-fleet.ts";
import type { Condition } from "../../api/chatmail-server.ts";
import { type Reason, reasons } from "../../api/reasons.ts";
import type { Problem } from "../problem.ts";
import { progressVerdicts, type Verdict } from "../server/progress.ts";
import { conditionOf } from "../server/status.ts";
import type { LiveServer } from "../server/world.ts";
import type { DoneServers } from "./act.ts";
import type { DesiredServers } from "./desired.ts";
import type { LiveFleet } from "./fleets.ts";
import { rolloutProblems, rolloutStatus, updateCounts } from "./rollout.ts";
import type { SeenFleet, SeenMember } from "./seen.ts";

/** What was judged and what was done. */
export interface JudgedFleet {
  fleet: LiveFleet;
  seen: SeenFleet;
  conflicts: DesiredServers["conflicts"];
  done: DoneServers;
}

export function fleetStatusOf(judged: JudgedFleet, now: Date): ChatmailFleetStatus {
  const { fleet, seen } = judged;
  const { generation } = fleet.metadata;
  const before = fleet.status?.conditions ?? [];
  const problems = problemsOf(judged);
  const [first] = problems;
  const settled = { reason: "Settled", message: reasons.Settled.meaning } as const;
  const verdicts: Record<string, Verdict | undefined> = {
    Ready: first
      ? { status: "False", ...first }
      : { status: "True", reason: "Serving", message: countText(seen.members) },
    ...progressVerdicts(problems, { before, generation, now }, settled),
    DomainsServed: domainsVerdict(judged),
  };
  const conditions = Object.entries(verdicts).flatMap(([type, verdict]) =>
    verdict ? [conditionOf({ type, verdict, before, generation, now })] : [],
  );
  const worst = worstOf(seen.members);
  return {
    observedGeneration: generation,
    conditions,
    servers: countsOf(seen.members),
    rollout: rolloutStatus(fleet, seen.members, seen.rollout, now),
    ...(worst.length > 0 && { worst }),
  };
}

const conditionIn = ({ status }: LiveServer, type: string) => status?.conditions?.find((each) => each.type === type);
const isTrue = (server: LiveServer, type: string) => conditionIn(server, type)?.status === "True";
const isReady = ({ server }: SeenMember) => isTrue(server, "Ready");
const isStalled = ({ server }: SeenMember) => isTrue(server, "Stalled");

function countsOf(members: readonly SeenMember[]): NonNullable<ChatmailFleetStatus["servers"]> {
  const count = (test: (member: SeenMember) => boolean) => members.filter(test).length;
  return {
    total: members.length,
    ready: count(isReady),
    stalled: count(isStalled),
    paused: count(({ server }) => isTrue(server, "Paused")),
    ...updateCounts(members),
  };
}

function countText(members: readonly SeenMember[]): string {
  if (members.length === 0) return "the fleet has no servers";
  return members.length === 1 ? "the only server is ready" : `all ${members.length} servers are ready`;
}

/** In the order in which a person would put things right. */
function problemsOf({ seen, conflicts, done }: JudgedFleet): Problem[] {
  const { members, refused, rollout } = seen;
  const notReady = members.filter((member) => !isReady(member));
  const stalled = members.filter(isStalled);
  const updates = rolloutProblems(members, rollout);
  return [
    ...(refused ? [refused] : []),
    ...about("ServerConflict", conflicts),
    ...about("ApplyFailed", done.failures),
    ...(done.left > 0 ? [missing(done.left)] : []),
    ...updates.filter(({ needsPerson }) => needsPerson).map(bare),
    ...(stalled.length > 0
      ? [{ reason: "ServersStalled", message: some(stalled, members, "need a person") } as const]
      : []),
    ...updates.filter(({ needsPerson }) => !needsPerson).map(bare),
    ...(notReady.length > 0
      ? [{ reason: "ServersNotReady", message: some(notReady, members, "are not ready") } as const]
      : []),
  ];
}

const bare = ({ reason, message }: Problem): Problem => ({ reason, message });

const about = (reason: Reason, sentences: readonly string[]): Problem[] =>
  sentences.length > 0 ? [{ reason, message: shortened(sentences) }] : [];

const missing = (left: number): Problem => ({
  reason: "ServersMissing",
  message: `${left} more ${left === 1 ? "server of domains is" : "servers of domains are"} about to be created`,
});

const mostSentences = 5;
function shortened(sentences: readonly string[]): string {
  const more = sentences.length - mostSentences;
  return [...sentences.slice(0, mostSentences), ...(more > 0 ? [`and ${more} more`] : [])].join("; ");
}

/** How many, and the first of them. */
function some(of: readonly SeenMember[], members: readonly SeenMember[], what: string): string {
  const [first] = of;
  const { reason = "not judged yet", message = "" } = (first && conditionIn(first.server, "Ready")) ?? {};
  const example = message === "" ? reason : `${reason}: ${message}`;
  return `${of.length} of ${members.length} servers ${what}; ${first?.server.metadata.name}: ${example}`.slice(
    0,
    1_000,
  );
}

const mostWorst = 20;
const worstMessage = 300;

/** Those first for which a person has to act; of equals by name: the list stays the same. */
function worstOf(members: readonly SeenMember[]): NonNullable<ChatmailFleetStatus["worst"]> {
  const notReady = members.filter((member) => !isReady(member));
  const [stalled, others] = [notReady.filter(isStalled), notReady.filter((member) => !isStalled(member))];
  return [...stalled, ...others].slice(0, mostWorst).map(({ server }) => {
    const { reason = "Unknown", message = "the operator has not judged it yet" } = conditionIn(server, "Ready") ?? {};
    return { name: server.metadata.name, reason, message: message.slice(0, worstMessage) };
  });
}

/** Only of a fleet that lists servers, or has listed some. */
function domainsVerdict({ seen, conflicts, done }: JudgedFleet): Verdict | undefined {
  const { rows, unlisted } = seen;
  if (rows.length === 0 && unlisted.length === 0) return undefined;
  const [problem] = [
    ...about("ServerConflict", conflicts),
    ...about("ApplyFailed", done.failures),
    ...(done.left > 0 ? [missing(done.left)] : []),
  ];
  if (problem) return { status: "False", ...problem };
  if (unlisted.length === 0)
    return { status: "True", reason: "ServersCreated", message: reasons.ServersCreated.meaning };
  const names = unlisted.map(({ metadata }) => metadata.name).sort();
  const which = shortened(names).replaceAll("; ", ", ");
  const message = `no longer in domains, and served on: ${which}. Nothing is deleted by an edit: list them again, or delete them (kubectl delete cms)`;
  return { status: "False", reason: "ServerUnlisted", message };
}

/** Whether a change of a server is one that its fleet shows. */
export function summaryOf(server: LiveServer): string {
  const shown = (type: string) => {
    const { status, reason } = conditionIn(server, type) ?? ({} as Partial<Condition>);
    return `${status} ${reason}`;
  };
  const { labels, deletionTimestamp, generation } = server.metadata;
  return JSON.stringify([
    server.status?.relay,
    ...["Ready", "Stalled", "Paused"].map(shown),
    labels,
    deletionTimestamp,
    generation,
  ]);
}
