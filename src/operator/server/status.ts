/**
 * What the status says. Pure: the same server, the same observations, the same minute give the same
 * text.
 */
import type { ChatmailServer, ChatmailServerStatus, Condition } from "../../api/chatmail-server.ts";
import { isAside, type Reason } from "../../api/reasons.ts";
import type { OwnedFailure, Problem } from "../problem.ts";
import { addressesOf } from "./addresses.ts";
import { confirmedWithinMs } from "./cluster-words.ts";
import { acceptanceMemory, lossesIn } from "./losses.ts";
import { countsFrom, progressVerdicts, type Verdict } from "./progress.ts";
import type { Judged, Seen } from "./seen.ts";
import { timeText } from "./time-text.ts";
import { acceptingVerdict } from "./verdicts/accepting.ts";
import { accountsOf } from "./verdicts/accounts.ts";
import { addressesMessage, addressIsKnown } from "./verdicts/addresses.ts";
import { backupOf, backupVerdict } from "./verdicts/backup.ts";
import { certificateIsFine, certificateOrigin, keyIsFine } from "./verdicts/certificate.ts";
import { type Check, fine, firstProblem, isAtRest, notCreated } from "./verdicts/check.ts";
import { deliverableVerdict, mailIsDelivered } from "./verdicts/deliverable.ts";
import { dnsVerdict, recordsArePublished, unpublished } from "./verdicts/dns.ts";
import { expiryLateAfterMs, expiryVerdict } from "./verdicts/expiry.ts";
import { inviteOf, invitesVerdict } from "./verdicts/invites.ts";
import { renewalNote } from "./verdicts/order.ts";
import { podIsCurrent, podIsReady } from "./verdicts/pod.ts";
import { queueVerdict } from "./verdicts/queue.ts";
import { recordsIn } from "./verdicts/records.ts";
import { certificateIn, servedDeadlines, servedIsValid, servedVerdict } from "./verdicts/served.ts";
import { sourceIsHidden } from "./verdicts/source-addresses.ts";
import { moving, resizeIsPossible, resizing, storageOf, storageVerdict, volumeIsNoCause } from "./verdicts/storage.ts";
import { restVerdict, upToDateVerdict } from "./verdicts/up-to-date.ts";
import { relayOf } from "./verdicts/update.ts";
import { websiteVerdict } from "./verdicts/website.ts";

/** In the order in which a person would put things right. */
const readyChecks: readonly Check[] = [
  certificateIsFine,
  servedIsValid,
  keyIsFine,
  volumeIsNoCause,
  podIsReady,
  podIsCurrent,
  mailIsDelivered,
  addressIsKnown,
  recordsArePublished,
];

export function statusOf(judged: Judged, now: Date): ChatmailServerStatus {
  const { refused } = judged;
  const { metadata, status } = judged.server;
  const { generation } = metadata;
  const verdicts: Record<string, Verdict | undefined> = {
    ...readyVerdicts(judged, now),
    ...(judged.seen && {
      ...concernVerdicts(judged.server, judged.seen, now),
      ...failureVerdicts([...(judged.failures ?? []), ...(judged.pending ?? [])]),
    }),
  };
  const before = status?.conditions ?? [];
  const conditions = Object.entries(verdicts).flatMap(([type, verdict]) =>
    verdict ? [conditionOf({ type, verdict, before, generation, now })] : [],
  );
  // A fault of the operator, or of its rights, says nothing of the relay: what is known of it
  // stays.
  if (refused?.reason === "InternalError" || refused?.reason === "NamespaceForbidden") {
    const known = before.filter(({ type }) => !(type in verdicts));
    return { ...status, observedGeneration: generation, conditions: [...conditions, ...known] };
  }
  // What was true of the relay when its spec could be read: it goes on by that spec.
  if (!judged.seen) return { ...status, observedGeneration: generation, conditions };

  const { server, seen } = judged;
  const addresses = addressesOf(server, seen);
  const completionTime = seen.cronJob?.status?.lastSuccessfulTime;
  return {
    observedGeneration: generation,
    conditions,
    ...relayOf(server, seen),
    ...inviteOf(server, seen),
    ...(addresses.length > 0 && { addresses }),
    ...certificateIn(server, seen),
    ...recordsIn(server, seen, timeText(now)),
    ...storageOf(server, seen),
    ...acceptanceMemory(server),
    ...accountsOf(server, seen),
    ...(completionTime && { lastExpiry: { ...server.status?.lastExpiry, ...seen.expiryCounts, completionTime } }),
    ...backupOf(server, seen),
  };
}

/**
 * What was refused, by the condition that it belongs to; it goes before what is judged of the
 * objects that are there.
 */
function failureVerdicts(failures: readonly OwnedFailure[]): Record<string, Verdict> {
  const of = Map.groupBy(failures, ({ concern }) => concern);
  const verdicts = [...of].flatMap(([concern, [first, ...others]]): [string, Verdict][] => {
    if (!first) return [];
    const message = [first, ...others].map((each) => each.message).join("; ");
    return [[concern, { status: "False", reason: first.reason, message }]];
  });
  return Object.fromEntries(verdicts);
}

/**
 * In the order in which a person would put things right: a volume that does not grow keeps nobody
 * from their mail.
 */
function problemsOf(judged: Judged, now: Date): Problem[] {
  const { refused, failures = [] } = judged;
  if (refused) return [refused];
  const lost = judged.seen ? lossesIn(judged.server, judged.seen) : [];
  // what runs goes on
  const isMinor = ({ reason }: Problem) => reason === "ResizeRefused" || reason === "UpdateHeld";
  const checked = judged.seen && firstProblem(readyChecks, judged.seen, judged.server, now);
  const infeasible = judged.seen && resizeIsPossible(judged.seen, judged.server, now);
  return [
    ...lost,
    ...failures.filter((each) => !isMinor(each)),
    ...(checked ? [checked] : []),
    ...failures.filter(isMinor),
    ...(infeasible ? [infeasible] : []),
  ];
}

/** The first, and the names of the conditions that tell of others. */
function summary(problem: Problem, failures: readonly OwnedFailure[]): string {
  const others = failures.filter((each) => each.message !== problem.message).map(({ concern }) => concern);
  return others.length > 0 ? `${problem.message}; see also ${[...new Set(others)].join(", ")}` : problem.message;
}

/** What is judged of a server as a whole. */
function readyVerdicts(judged: Judged, now: Date): Record<string, Verdict> {
  const { failures = [], server } = judged;
  const problems = problemsOf(judged, now);
  const [problem] = problems;
  const unfinished =
    judged.seen && !judged.refused ? [...(judged.pending ?? []), ...unfinishedIn(judged.server, judged.seen)] : [];
  const past = { before: server.status?.conditions ?? [], generation: server.metadata.generation, now };
  const management = judged.seen ? judged.server.spec.management : judged.management;
  const settled = management === "Managed" ? fine("Settled") : restVerdict(server, management);
  return {
    Ready: problem
      ? { status: "False", reason: problem.reason, message: summary(problem, failures) }
      : {
          status: "True",
          ...((judged.seen && unpublished(judged.server, judged.seen)) ?? {
            reason: "Serving",
            message: `${server.spec.domain} is served`,
          }),
        },
    ...progressVerdicts([...problems, ...unfinished], past, settled),
    Paused: { status: management === "Managed" ? "False" : "True", ...restVerdict(server, management) },
  };
}

/** The relay serves, but not yet all that the spec says. */
function unfinishedIn(server: ChatmailServer, seen: Seen): Problem[] {
  const { status, reason, message } = upToDateVerdict(server, seen);
  const growth = moving(server, seen) ?? resizing(server, seen);
  return [...(status === "False" && !isAside(reason) ? [{ reason, message }] : []), ...(growth ? [growth] : [])];
}

function concernVerdicts(server: ChatmailServer, seen: Seen, now: Date): Record<string, Verdict> {
  const verdict = (check: Check, fine: { reason: Reason; message: string }): Verdict => {
    const problem = check(seen, server, now);
    return problem ? { status: "False", ...problem } : { status: "True", ...fine };
  };
  const { facts } = seen.certificate;
  const from = certificateOrigin(server, seen);
  const until = facts ? `, until ${facts.changesAt.toISOString().slice(0, 10)}` : "";
  const missing = facts?.missingNames.length ? `; not for ${facts.missingNames.join(" and ")}` : "";
  return {
    CertificateReady: verdict(certificateIsFine, {
      reason: "CertificateIssued",
      message: `${from}${until}${missing}${renewalNote(seen)}`,
    }),
    ...condition("CertificateServed", servedVerdict(server, seen, now)),
    StorageReady: storageVerdict(server, seen, now),
    AddressesReady: verdict(addressesAreFine, {
      reason: "AddressesKnown",
      message: addressesMessage(server, seen),
    }),
    ...condition("DNSReady", dnsVerdict(server, seen, now)),
    PodReady: verdict(podIsReady, fine("RelayRunning")),
    ...(seen.invites && { InvitesReady: invitesVerdict(seen.invites) }),
    ...(seen.website && { WebsiteReady: websiteVerdict(seen.website) }),
    AcceptingAccounts: acceptingVerdict(server, seen),
    Deliverable: deliverableVerdict(server, seen),
    QueueHealthy: queueVerdict(server, seen),
    UpToDate: upToDateVerdict(server, seen),
    ExpiryHealthy:
      !seen.cronJob && isAtRest(server)
        ? { status: "Unknown", ...notCreated(server, "CronJob") }
        : expiryVerdict(server, seen, now),
    ...condition("BackupReady", backupVerdict(server, seen, now)),
  };
}

const addressesAreFine: Check = (seen, server, now) =>
  addressIsKnown(seen, server, now) ?? sourceIsHidden(server, seen);

const condition = (type: string, verdict: Verdict | undefined) => (verdict ? { [type]: verdict } : {});

/** When something here changes by the passing of time alone; undefined when nothing does. */
export function nextDeadline(seen: Seen, now: Date): Date | undefined {
  const since = seen.cronJob?.status?.lastSuccessfulTime ?? seen.cronJob?.metadata.creationTimestamp;
  const ending = seen.pod?.metadata.deletionTimestamp;
  const dates = [
    ...(seen.certificate.facts ? [seen.certificate.facts.changesAt] : []),
    ...servedDeadlines(seen),
    ...(since ? [new Date(Date.parse(since) + expiryLateAfterMs)] : []),
    ...(ending ? [new Date(Date.parse(ending) + confirmedWithinMs)] : []),
    ...[seen.turn?.update.deadline, seen.turn?.update.waits?.until].filter((date) => date !== undefined),
  ];
  return dates.filter((date) => date > now).sort((a, b) => a.getTime() - b.getTime())[0];
}

export function conditionOf(options: {
  type: string;
  verdict: Verdict;
  before: readonly Condition[];
  generation: number;
  now: Date;
}): Condition {
  const { type, verdict, before, generation, now } = options;
  const last = before.find((condition) => condition.type === type);
  const isAsBefore =
    last?.status === verdict.status &&
    (countsFrom({ type }) === "status" || (last.reason === verdict.reason && last.observedGeneration === generation));
  const lastTransitionTime = last && isAsBefore ? last.lastTransitionTime : timeText(now);
  // The API server refuses longer ones; what matters comes first.
  const message = verdict.message.slice(0, 4_000);
  return {
    type,
    status: verdict.status,
    reason: verdict.reason,
    message,
    lastTransitionTime,
    observedGeneration: generation,
  };
}
