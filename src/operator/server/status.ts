/**
 * What the status says. Pure: the same server, the same observations, the same minute give the same
 * text.
 */
import type { ChatmailServer, ChatmailServerStatus, Condition } from "../../api/chatmail-server.ts";
import { annotations, childNames } from "../../api/names.ts";
import { acceptingReasons, type Reason, reasons } from "../../api/reasons.ts";
import { dkimFingerprint, type PublicDkimKey } from "../../dns/dkim-key.ts";
import { type DnsRecord, dkimRecord, recordsOf } from "../../dns/records.ts";
import { signsMail } from "../../mail/address.ts";
import { publicInvite } from "../../mail/invite.ts";
import { ports } from "../../mail/ports.ts";
import { planFile } from "../../pod/layout.ts";
import { planHash } from "../../pod/plan-files.ts";
import { presentIn, problemOf } from "../identity/read.ts";
import type { OwnedFailure, Problem } from "../problem.ts";
import { addressesOf, bySide, type SeenAddress } from "./addresses.ts";
import { confirmedWithinMs, localVolume, missingPod } from "./cluster-words.ts";
import { expiryTime } from "./expiry-time.ts";
import type { LiveVolumeClaim } from "./live.ts";
import { acceptanceMemory, isAccepted, isEnding, isLost, isToStay, lossesIn, storageMemory } from "./losses.ts";
import { podProblem } from "./pod-problem.ts";
import { podWaitsFor } from "./pod-waits.ts";
import { countsFrom, progressVerdicts, type Verdict } from "./progress.ts";
import { isLarger, volumeSizes } from "./resources/volume-claim.ts";
import type { Judged, Seen, SeenFiles, SeenInvites } from "./seen.ts";
import { isPauseAnnotated, type Management } from "./spec.ts";

/** A reason whose meaning says all. */
const fine = (reason: Reason) => ({ reason, message: reasons[reason].meaning });

/** One question; the answer is what is wrong. */
type Check = (seen: Seen, server: ChatmailServer, now: Date) => Problem | undefined;

const certificateIsFine: Check = ({ certificate, identity }, server) =>
  identity.tls?.state === "absent" && server.spec.management === "Unmanaged"
    ? notCreated(server, "certificate")
    : certificate.problem;

const keyIsFine: Check = (seen, server) =>
  lossesIn(server, seen).find(({ of }) => of === "dkim") ?? problemOf(seen.identity.dkim);

/** Nothing is created: what is missing stays missing until a person changes that. */
const isAtRest = ({ spec }: ChatmailServer) => spec.management !== "Managed";

const notCreated = (server: ChatmailServer, what: string): Problem => {
  const { management } = server.spec;
  const reason = management === "Unmanaged" ? "Unmanaged" : "Paused";
  return { reason, message: `there is no ${what}, and none is created while the server is ${management}` };
};

const volumeIsThere: Check = (seen, server) => {
  const { volumeClaim, claimEvent } = seen;
  const phase = volumeClaim?.status?.phase;
  const [lost] = lossesIn(server, seen).filter(({ of }) => of === "volume");
  if (lost) return lost;
  if (!volumeClaim && isAtRest(server)) return notCreated(server, "volume");
  if (phase === "Lost") {
    const volume = volumeClaim?.spec?.volumeName ?? "of the claim";
    const message = `volume ${volume} no longer exists. Restore it under this name; to go on with another one, delete the claim and follow the message`;
    return { reason: "VolumeLost", message };
  }
  if (isEnding(volumeClaim) && volumeClaim?.metadata.uid !== server.status?.storage?.claimUID) {
    const message = `claim ${volumeClaim?.metadata.name} of an earlier server is being deleted; a new one is created when it is gone`;
    return { reason: "VolumePending", message };
  }
  if (isEnding(volumeClaim)) {
    const volume = volumeClaim?.spec?.volumeName;
    const message = `claim ${volumeClaim?.metadata.name} was deleted: the mailboxes exist only as long as the relay pod runs, so it is not replaced. Set the reclaim policy of volume ${volume} to Retain, save the mailboxes, delete the pod, then create the claim again with volumeName: ${volume}`;
    return { reason: "VolumeEnding", message };
  }
  if (phase === "Bound") return undefined;
  const why = claimEvent ?? "the cluster has reported no cause";
  return {
    reason: "VolumePending",
    message: `claim ${volumeClaim?.metadata.name ?? "for the volume"} is not bound: ${why}`,
  };
};

/** A claim that waits for its pod is no cause: the pod's own trouble is. */
const volumeIsNoCause: Check = (seen, server, now) => {
  const problem = volumeIsThere(seen, server, now);
  const waitsForPod =
    seen.claimEvent?.includes("waiting for first consumer") || seen.claimEvent?.includes("waiting for pod");
  return problem?.reason === "VolumePending" && waitsForPod ? undefined : problem;
};

const podIsReady: Check = (seen, server, now) => {
  const { pod, podEvent, setEvent, statefulSet, volumeClaim: claim } = seen;
  if (pod) return podProblem(pod, { now, event: podEvent, claim });
  if (!statefulSet && isAtRest(server)) return notCreated(server, "relay pod");
  if (isLost("volume", server, seen))
    return { reason: "PodMissing", message: "no relay pod is started while its volume is lost" };
  const waits = podWaitsFor(server, seen);
  if (!statefulSet && waits.length > 0)
    return { reason: "PodMissing", message: `the relay pod is created when it has what it needs: ${waits.join("; ")}` };
  return setEvent ? missingPod(setEvent) : { reason: "PodMissing", message: "the relay pod is about to be created" };
};

const podIsCurrent: Check = ({ statefulSet }) => {
  const { status, metadata } = statefulSet ?? { metadata: { generation: 0 } };
  const current =
    status?.observedGeneration === metadata.generation && status?.currentRevision === status?.updateRevision;
  return current
    ? undefined
    : { reason: "Progressing", message: "the relay pod is being replaced to apply new settings" };
};

const addressIsKnown: Check = (seen, server) => {
  const addresses = addressesOf(server, seen);
  if (addresses.length > 0) return privateAlone(server, addresses);
  if (!seen.service && isAtRest(server)) return notCreated(server, "Service");
  const cure = {
    LoadBalancer:
      "the cluster has given the Service no address; without a load balancer set network.exposure to HostPort or NodePort",
    NodePort: "the pod's node has no address yet",
    HostPort: "the pod's node has no address yet",
  }[server.spec.network.exposure];
  return { reason: "AddressPending", message: cure };
};

/**
 * A relay for a private network says so by `network.privatePeers`. One whose domain is an address
 * has been given it by a person.
 */
function privateAlone(server: ChatmailServer, addresses: readonly SeenAddress[]): Problem | undefined {
  const { domain } = server.spec;
  const { inside, outside } = bySide(server, addresses);
  if (!signsMail(domain) || outside.length > 0) return undefined;
  const which = `${valuesOf(inside)} ${inside.length === 1 ? "is a private address" : "are private addresses"}`;
  const message = `${which}, at which other relays can't reach ${domain}: set network.addresses to the public ones, or list the network in network.privatePeers if all who use the relay are in it`;
  return { reason: "PrivateAddress", message };
}

/** Where the relay is, and what a person has to know of it. */
function addressesMessage(server: ChatmailServer, seen: Seen): string {
  const { inside, outside } = bySide(server, addressesOf(server, seen));
  const names = outside.filter(({ type }) => type === "Hostname");
  const notes = [
    ...(names.length > 0 && signsMail(server.spec.domain)
      ? [
          `${valuesOf(names)} is a host name: let ${server.spec.domain} follow it by an ALIAS or ANAME record, if your DNS provider has these (a CNAME record may not stand beside the MX record), or set network.addresses to its fixed addresses`,
        ]
      : []),
    ...(inside.length > 0 ? [`${valuesOf(inside)} is private and in no DNS record`] : []),
  ];
  return [valuesOf(outside), ...notes].filter((text) => text !== "").join("; ");
}

const valuesOf = (addresses: readonly SeenAddress[]) => addresses.map(({ value }) => value).join(", ");

/** In the order in which a person would put things right. */
const readyChecks: readonly Check[] = [
  certificateIsFine,
  keyIsFine,
  volumeIsNoCause,
  podIsReady,
  podIsCurrent,
  addressIsKnown,
];

export function statusOf(judged: Judged, now: Date): ChatmailServerStatus {
  const { refused } = judged;
  const { metadata, status } = judged.server;
  const { generation } = metadata;
  const verdicts: Record<string, Verdict | undefined> = {
    ...readyVerdicts(judged, now),
    ...(judged.seen && {
      ...concernVerdicts(judged.server, judged.seen, now),
      ...failureVerdicts(judged.failures ?? []),
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
  const { facts, source, secretName } = seen.certificate;
  const addresses = addressesOf(server, seen);
  const completionTime = seen.cronJob?.status?.lastSuccessfulTime;
  return {
    observedGeneration: generation,
    conditions,
    ...inviteOf(server, seen),
    ...(addresses.length > 0 && { addresses }),
    ...(facts && {
      certificate: { source, secretName, notAfter: timeText(facts.notAfter), sha256: facts.sha256 },
    }),
    ...recordsIn(server, seen),
    ...storageOf(server, seen),
    ...acceptanceMemory(server),
    ...(completionTime && { lastExpiry: { completionTime } }),
  };
}

/** A key that is not yet in the cluster is not for the DNS. */
function recordsIn(server: ChatmailServer, seen: Seen): Pick<ChatmailServerStatus, "dkim" | "dns"> {
  const { domain } = server.spec;
  const found = seen.identity.dkim;
  const isUnknown = found !== undefined && found.state !== "present" && !isAccepted("dkim", server);
  // what is published is the record of the key that was; also a Secret that is broken is not
  // forgotten
  if (isLost("dkim", server, seen) || (isUnknown && server.status?.dkim)) {
    const { dkim, dns } = server.status ?? {};
    return { ...(dkim && { dkim }), ...(dns && { dns }) };
  }
  const published = presentIn(found)?.published ?? [];
  const stays = found?.state === "present" && isToStay(server, found.secret);
  const addresses = bySide(server, addressesOf(server, seen)).outside.map(({ value }) => value);
  const records = recordSets(recordsOf({ domain, addresses, keys: published }));
  const keys = published.map(({ selector, key }) => {
    const { name, value } = dkimRecord({ domain, selector, key });
    const fingerprint = stays ? { fingerprint: dkimFingerprint(key) } : {};
    return { selector, algorithm: keyAlgorithms[key.type], ...fingerprint, record: { name, value } };
  });
  return { ...(keys.length > 0 && { dkim: { keys } }), ...(records.length > 0 && { dns: { records } }) };
}

const keyAlgorithms = { rsa: "RSA", ed25519: "Ed25519" } as const satisfies Record<PublicDkimKey["type"], string>;

/** All values of one name and type together, as the DNS has them. */
function recordSets(records: readonly DnsRecord[]): NonNullable<NonNullable<ChatmailServerStatus["dns"]>["records"]> {
  const sets = Map.groupBy(records, ({ name, type }) => `${name} ${type}`);
  return [...sets.values()].flatMap((set) =>
    set.slice(0, 1).map(({ name, type }) => ({
      name,
      type,
      values: set.map(({ value }) => value),
      need: set.some(({ required }) => required) ? ("Required" as const) : ("Recommended" as const),
    })),
  );
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

function storageOf(server: ChatmailServer, seen: Seen): Pick<ChatmailServerStatus, "storage"> {
  const { volumeClaim: claim } = seen;
  const memory = storageMemory(server, seen);
  if (!claim && memory.claimUID === undefined) return {};
  const { existing, capacity } = volumeSizes(server, claim);
  return {
    storage: {
      claimName: childNames(server.metadata.name).volumeClaim,
      ...memory,
      ...(existing && { requested: existing }),
      ...(capacity && { capacity }),
    },
  };
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
  const unfinished = judged.seen && !judged.refused ? unfinishedIn(judged.server, judged.seen) : [];
  const past = { before: server.status?.conditions ?? [], generation: server.metadata.generation, now };
  const management = judged.seen ? judged.server.spec.management : judged.management;
  const settled = management === "Managed" ? fine("Settled") : restVerdict(server, management);
  return {
    Ready: problem
      ? { status: "False", reason: problem.reason, message: summary(problem, failures) }
      : { status: "True", reason: "Serving", message: `${server.spec.domain} is served` },
    ...progressVerdicts([...problems, ...unfinished], past, settled),
    Paused: { status: management === "Managed" ? "False" : "True", ...restVerdict(server, management) },
  };
}

/** The relay serves, but not yet all that the spec says. */
function unfinishedIn(server: ChatmailServer, seen: Seen): Problem[] {
  const { status, reason, message } = upToDateVerdict(server, seen);
  const growth = resizing(server, seen);
  return [...(status === "False" ? [{ reason, message }] : []), ...(growth ? [growth] : [])];
}

function restVerdict({ spec, metadata }: Judged["server"], management: Management): Problem {
  switch (management) {
    case "Managed":
      return fine("Managed");
    case "Unmanaged":
      return {
        reason: "Unmanaged",
        message: "management is Unmanaged: the operator changes nothing, and reports health",
      };
    case "Paused": {
      const isByAnnotation = spec?.management !== "Paused" && isPauseAnnotated(metadata);
      const why = isByAnnotation ? `annotation ${annotations.pause} is set` : "management is Paused";
      return { reason: "Paused", message: `${why}: changes of the spec are not applied` };
    }
  }
}

function concernVerdicts(server: ChatmailServer, seen: Seen, now: Date): Record<string, Verdict> {
  const verdict = (check: Check, fine: { reason: Reason; message: string }): Verdict => {
    const problem = check(seen, server, now);
    return problem ? { status: "False", ...problem } : { status: "True", ...fine };
  };
  const { facts, source } = seen.certificate;
  const from = source === "SelfSigned" ? "self-signed" : `from Secret ${seen.certificate.secretName}`;
  const until = facts ? `, until ${facts.changesAt.toISOString().slice(0, 10)}` : "";
  const missing = facts?.missingNames.length ? `; not for ${facts.missingNames.join(" and ")}` : "";
  return {
    CertificateReady: verdict(certificateIsFine, { reason: "CertificateIssued", message: `${from}${until}${missing}` }),
    StorageReady: storageVerdict(server, seen, now),
    AddressesReady: verdict(addressIsKnown, {
      reason: "AddressesKnown",
      message: addressesMessage(server, seen),
    }),
    PodReady: verdict(podIsReady, fine("RelayRunning")),
    ...(seen.invites && { InvitesReady: invitesVerdict(seen.invites) }),
    ...(seen.website && { WebsiteReady: websiteVerdict(seen.website) }),
    AcceptingAccounts: acceptingVerdict(server, seen),
    UpToDate: upToDateVerdict(server, seen),
    ExpiryHealthy:
      !seen.cronJob && isAtRest(server)
        ? { status: "Unknown", ...notCreated(server, "CronJob") }
        : expiryVerdict(server, seen, now),
  };
}

function storageVerdict(server: ChatmailServer, seen: Seen, now: Date): Verdict {
  const problem = volumeIsThere(seen, server, now) ?? resizeIsPossible(seen, server, now);
  if (problem) return { status: "False", ...problem };
  const growth = resizing(server, seen);
  if (growth) return { status: "True", ...growth };
  const { capacity, existing } = volumeSizes(server, seen.volumeClaim);
  const local = localVolume(seen.volumeClaim);
  const where = local ? `; it is on one node only (${local})` : "";
  if (capacity === undefined) return { status: "True", reason: "VolumeBound", message: `the volume is bound${where}` };
  const size = server.spec.storage.size;
  const smaller = isLarger(existing ?? capacity, size) ? `; storage.size is ${size}, and volumes don't shrink` : "";
  return {
    status: "True",
    reason: "VolumeBound",
    message: `the volume is bound and has ${capacity}${smaller}${where}`,
  };
}

/** What the storage driver says of a volume that is to grow. */
const resizeIsPossible: Check = ({ volumeClaim: claim }, server) => {
  const { existing, capacity } = volumeSizes(server, claim);
  const stage = claim?.status?.allocatedResourceStatuses?.storage ?? "";
  if (!/Infeasible$/.test(stage)) return undefined;
  const said = resizeWords(claim);
  const message = `the volume has ${capacity} and can't grow to ${existing}${said && `: ${said}`}. Set storage.size to a smaller size, above ${capacity}`;
  return { reason: "ResizeRefused", message };
};

/** While the volume has less than its claim requests. */
function resizing(server: ChatmailServer, { volumeClaim: claim }: Seen): Problem | undefined {
  const { existing, capacity } = volumeSizes(server, claim);
  if (existing === undefined || capacity === undefined || !isLarger(existing, capacity)) return undefined;
  const waitsForPod = claim?.status?.conditions?.some(
    ({ type, status }) => type === "FileSystemResizePending" && status === "True",
  );
  const said = resizeWords(claim);
  const stage = waitsForPod
    ? "the disk has grown, the file system follows on the node; if it does not, the pod has to be restarted once"
    : said || "the storage driver is working on it";
  return { reason: "VolumeResizing", message: `the volume has ${capacity} and grows to ${existing}: ${stage}` };
}

/** The words of an error; a step on the way has none that help. */
function resizeWords(claim: LiveVolumeClaim | undefined): string {
  const errors = (claim?.status?.conditions ?? []).filter(
    ({ type, status }) => /Error$/.test(type) && status === "True",
  );
  return errors.map(({ message, reason }) => message ?? reason ?? "").join("; ");
}

/**
 * What may be told to everybody who may read the resource; an invite's token stays in its Secret.
 */
function inviteOf({ spec }: ChatmailServer, { invites }: Seen): Pick<ChatmailServerStatus, "invite"> {
  const { registration } = spec.accounts;
  if (registration === "Closed") return {};
  if (invites) return { invite: { secretName: invites.secretName } };
  return { invite: publicInvite(spec.domain, spec.accounts) };
}

function websiteVerdict({ pages, appVersions }: SeenFiles): Verdict {
  const problems = [pages?.problem, appVersions?.problem].filter((problem) => problem !== undefined);
  if (problems.length > 0) return { status: "False", reason: "WebsiteMissing", message: problems.join(". ") };
  const names = [pages, appVersions].flatMap((each) => each?.configMapName ?? []);
  return { status: "True", reason: "WebsiteServed", message: `from ConfigMap ${names.join(" and ")}` };
}

function invitesVerdict({ secretName, count, unusable }: SeenInvites): Verdict {
  if (unusable) {
    const message = `Secret ${secretName} can't be used for invites: it must be of type Opaque and must not be created by the operator for another purpose`;
    return { status: "False", reason: "InvitesMissing", message };
  }
  if (count > 0) return { status: "True", reason: "InvitesThere", message: `${count} in Secret ${secretName}` };
  const message = `nobody new can join: no key of Secret ${secretName} holds an invite (8 to 128 letters, digits, - and _)`;
  return { status: "False", reason: "InvitesMissing", message };
}

/**
 * Whether the pod goes by the plan that follows from the spec. One that it can't use changes
 * nothing: what was served is served on.
 */
function upToDateVerdict(server: ChatmailServer, { relay, configMap, waiting = [] }: Seen): Verdict {
  if (waiting.length > 0) {
    const { message } = restVerdict(server, server.spec.management);
    return { status: "False", reason: "EditWaiting", message: `${message}, and ${waiting.join(", ")} would change` };
  }
  const plan = relay && "report" in relay ? relay.report.plan : undefined;
  const text = configMap?.data?.[planFile];
  if (!plan || text === undefined)
    return { status: "Unknown", reason: "RelayNotAsked", message: "the relay pod has not reported its plan" };
  const wanted = planHash(text);
  if (plan.used === wanted && plan.problem === undefined)
    return { status: "True", reason: "PlanUsed", message: "the relay goes by the newest plan" };
  if (plan.given === wanted && plan.problem !== undefined)
    return {
      status: "False",
      reason: "PlanRefused",
      message: `the relay goes on as before, because its image can't use the new settings: ${plan.problem}`,
    };
  return { status: "False", reason: "PlanPending", message: "the new settings are on their way to the relay pod" };
}

/** As the relay reports it: whoever has an address already is served all the same. */
function acceptingVerdict({ spec: { domain } }: ChatmailServer, { relay }: Seen): Verdict {
  if (!relay)
    return {
      status: "Unknown",
      reason: "RelayNotAsked",
      message: "the relay pod has not reported since it became ready",
    };
  if ("unreachable" in relay)
    return {
      status: "Unknown",
      reason: "RelayUnreachable",
      message: `the operator can't read the relay pod's health port, ${ports.health}: ${relay.unreachable}`,
    };
  const accepting = relay.report.acceptingAccounts[domain];
  if (!accepting)
    return { status: "Unknown", reason: "RelayNotAsked", message: `the relay pod does not report on ${domain}` };
  if (accepting.status) return { status: "True", ...fine("AccountsOpen") };
  const { message, reason: reported } = accepting;
  const reason = acceptingReasons.find((each) => each === reported);
  return {
    status: "False",
    reason: reason ?? "AccountsRefused",
    message: `no new accounts are created: ${message}. Existing accounts are served`,
  };
}

const dayMs = 86_400_000;
/** It runs each day: two days without success is not a matter of minutes. */
const expiryLateAfterMs = 2 * dayMs;

function expiryVerdict(server: ChatmailServer, { cronJob, jobs }: Seen, now: Date): Verdict {
  const succeeded = cronJob?.status?.lastSuccessfulTime;
  const failures = jobs.flatMap((job) =>
    (job.status?.conditions ?? [])
      .filter((condition) => condition.type === "Failed" && condition.status === "True")
      .map((condition) => ({
        job: job.metadata.name,
        at: condition.lastTransitionTime ?? "",
        message: condition.message,
      })),
  );
  const failure = failures.filter(({ at }) => !succeeded || at > succeeded).sort((a, b) => (a.at < b.at ? 1 : -1))[0];
  if (failure)
    return {
      status: "False",
      reason: "ExpiryFailed",
      message: `job ${failure.job} failed: ${failure.message ?? "see its logs"}`,
    };
  const since = succeeded ?? cronJob?.metadata.creationTimestamp;
  if (since && now.getTime() - Date.parse(since) > expiryLateAfterMs)
    return { status: "False", reason: "ExpiryLate", message: `no run has succeeded since ${since}` };
  if (!succeeded) {
    const { hour, minute } = expiryTime(server);
    const time = [hour, minute].map((each) => String(each).padStart(2, "0")).join(":");
    return { status: "Unknown", reason: "ExpiryNotYetRun", message: `the first run is at ${time} UTC` };
  }
  return { status: "True", ...fine("ExpiryOnTime") };
}

/** When something here changes by the passing of time alone; undefined when nothing does. */
export function nextDeadline(seen: Seen, now: Date): Date | undefined {
  const since = seen.cronJob?.status?.lastSuccessfulTime ?? seen.cronJob?.metadata.creationTimestamp;
  const ending = seen.pod?.metadata.deletionTimestamp;
  const dates = [
    ...(seen.certificate.facts ? [seen.certificate.facts.changesAt] : []),
    ...(since ? [new Date(Date.parse(since) + expiryLateAfterMs)] : []),
    ...(ending ? [new Date(Date.parse(ending) + confirmedWithinMs)] : []),
  ];
  return dates.filter((date) => date > now).sort((a, b) => a.getTime() - b.getTime())[0];
}

function firstProblem(checks: readonly Check[], seen: Seen, server: ChatmailServer, now: Date): Problem | undefined {
  for (const check of checks) {
    const problem = check(seen, server, now);
    if (problem) return problem;
  }
  return undefined;
}

/** As Kubernetes writes times (metav1.Time): seconds, in UTC. */
const timeText = (date: Date): string => date.toISOString().replace(/[.]\d+Z$/, "Z");

function conditionOf(options: {
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
