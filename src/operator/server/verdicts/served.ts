/** Whether the ports of the relay present the certificate that they have to, and until when. */
import type { ChatmailServer, ChatmailServerStatus } from "../../../api/chatmail-server.ts";
import type { Reason } from "../../../api/reasons.ts";
import type { Note } from "../../../kube/events.ts";
import type { Problem } from "../../problem.ts";
import { firstEnd, type ServedPort, type ServedState, type WantedServed } from "../../tasks/served.ts";
import type { Verdict } from "../progress.ts";
import type { Seen } from "../seen.ts";
import { isServing } from "../serving.ts";
import { timeText } from "../time-text.ts";
import type { Check } from "./check.ts";
import { orderIn } from "./order.ts";

/** What is asked of the pod; undefined while it is not ready, or nothing is known to compare. */
export function wantedServed(server: ChatmailServer, { certificate, pod }: Seen): WantedServed | undefined {
  // a Secret that is gone or broken takes nothing away: what was served last is served on
  const sha256 = certificate.facts?.sha256 ?? certificate.last?.sha256 ?? server.status?.certificate?.sha256;
  const host = pod?.status?.podIP;
  if (!pod?.metadata.uid || !isServing(pod) || host === undefined || sha256 === undefined) return undefined;
  const { domain, network } = server.spec;
  const proxyProtocol = network.proxyProtocol !== undefined;
  const edge = network.web.mode === "Edge";
  return { podUid: pod.metadata.uid, host, domain, sha256, proxyProtocol, ...(edge && { edge }) };
}

/** Undefined where there is no certificate to serve. */
export function servedVerdict(server: ChatmailServer, seen: Seen, now: Date): Verdict | undefined {
  const { certificate, served } = seen;
  const notChecked = (message: string): Verdict => ({ status: "Unknown", reason: "CertificateNotChecked", message });
  if (!served) {
    if (certificate.facts === undefined && server.status?.certificate === undefined) return undefined;
    return notChecked("the ports have not been asked since the relay pod became ready");
  }
  const { ports } = served;
  const ended = endedPorts(ports, now);
  if (ended) return { status: "False", ...ended };
  const wanted = wantedServed(server, seen)?.sha256 ?? served.of.sha256;
  if (wanted !== served.of.sha256) return notChecked(`the ports have not been asked for ${wanted} yet`);
  const outdated = withState(ports, "Outdated");
  const unreachable = withState(ports, "Unreachable");
  const whys = [
    ...(outdated.length > 0
      ? [`${named(outdated)} another certificate than ${served.of.sha256} (${wordsOf(outdated)})`]
      : []),
    ...(unreachable.length > 0
      ? [`${named(unreachable, "does not answer", "do not answer")} with TLS (${wordsOf(unreachable)})`]
      : []),
  ];
  const message = whys.join("; ");
  if (outdated.length > 0) return { status: "False", reason: "CertificateOutdated", message };
  if (unreachable.length > 0) return { status: "Unknown", reason: "CertificateUnreachable", message };
  return untilVerdict(ports, now);
}

/** All is as it has to be; the time left may be short. */
function untilVerdict(ports: readonly ServedPort[], now: Date): Verdict {
  const end = firstEnd(ports);
  const until = end ? `, until ${end.toISOString().slice(0, 10)}` : "";
  const [warning, alarm] = warningDates(ports);
  const message = `every port presents it${until}, and no renewed one has come`;
  if (alarm && alarm <= now) return { status: "False", reason: "CertificateEndsSoon", message };
  if (warning && warning <= now) return { status: "True", reason: "CertificateEnding", message };
  return { status: "True", reason: "CertificateCurrent", message: `every port presents it${until}` };
}

const dayMs = 86_400_000;
/** Left, of a certificate for 90 days or more; of a shorter one the same share of its life. */
const warnings = [21, 7] as const;
const usualDays = 90;

/** When it is told that no renewed certificate has come: at first, and once more. */
function warningDates(ports: readonly ServedPort[]): Date[] {
  const [first] = ports
    .flatMap(({ notBefore, notAfter }) => (notBefore && notAfter ? [{ notBefore, notAfter }] : []))
    .sort((a, b) => a.notAfter.getTime() - b.notAfter.getTime());
  if (!first) return [];
  const endMs = first.notAfter.getTime();
  const share = Math.min(1, (endMs - first.notBefore.getTime()) / (usualDays * dayMs));
  return warnings.map((days) => new Date(endMs - days * dayMs * share));
}

/** When what is said of it changes by time alone. */
export function servedDeadlines({ served }: Seen): Date[] {
  const end = served && firstEnd(served.ports);
  return served && end ? [...warningDates(served.ports), end] : [];
}

/** A port on which clients meet a certificate that has ended is down for them. */
export const servedIsValid: Check = ({ served }, _, now) => served && endedPorts(served.ports, now);

function endedPorts(ports: readonly ServedPort[], now: Date): Problem | undefined {
  const ended = ports.filter(({ notAfter }) => notAfter && notAfter <= now);
  const [first] = ended;
  if (!first?.notAfter) return undefined;
  const message = `${named(ended)} a certificate that ended at ${timeText(first.notAfter)}`;
  return { reason: "CertificateExpired", message };
}

/** The certificate in the status. What was known of one that is gone stays: it is served on. */
export function certificateIn(server: ChatmailServer, seen: Seen): Pick<ChatmailServerStatus, "certificate"> {
  const { facts, last, source, secretName, onItsWay } = seen.certificate;
  const { notAfter, sha256 } = server.status?.certificate ?? {};
  const from = facts ?? last;
  const known = from
    ? { ...(!onItsWay && { notAfter: timeText(from.notAfter) }), sha256: from.sha256 }
    : { ...(notAfter && { notAfter }), ...(sha256 && { sha256 }) };
  if (!from && (source === "None" || sha256 === undefined || !seen.statefulSet)) return {};
  const served = seen.served?.ports.map(({ port, state, notAfter: end }) => ({
    port,
    state,
    ...(end && { notAfter: timeText(end) }),
  }));
  return { certificate: { source, secretName, ...known, ...orderIn(server, seen), ...(served && { served }) } };
}

const shortReasons: readonly Reason[] = ["CertificateEnding", "CertificateEndsSoon"];

/** An event for each of the two warnings, when it begins. */
export function endingNote(before: ChatmailServerStatus | undefined, after: ChatmailServerStatus): Note | undefined {
  const of = (status: ChatmailServerStatus | undefined) =>
    status?.conditions?.find(({ type }) => type === "CertificateServed");
  const now = of(after);
  const reason = shortReasons.find((each) => each === now?.reason);
  if (!now || !reason || of(before)?.reason === reason) return undefined;
  return { type: "Warning", reason, note: now.message };
}

const withState = (ports: readonly ServedPort[], wanted: ServedState) => ports.filter(({ state }) => state === wanted);

function named(of: readonly ServedPort[], one = "presents", more = "present"): string {
  const numbers = of.map(({ port }) => `${port}`);
  const last = numbers.at(-1);
  return numbers.length > 1 ? `ports ${numbers.slice(0, -1).join(", ")} and ${last} ${more}` : `port ${last} ${one}`;
}

const wordsOf = (of: readonly ServedPort[]) => [...new Set(of.flatMap(({ why }) => why ?? []))].join("; ");
