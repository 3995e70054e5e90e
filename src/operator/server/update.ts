/**
 * Which revision the relay pod is to have now, and which one later: an edit is applied at once, a
 * new version of the operator when the server's turn comes, and a revision that fails is taken
 * back. Pure.
 */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { annotations } from "../../api/names.ts";
import type { Problem } from "../problem.ts";
import { opensAt } from "../rollout/window.ts";
import type { LiveStatefulSet } from "./live.ts";
import { podInputs } from "./pod-inputs.ts";
import { podPlan } from "./pod-plan.ts";
import { podProblem } from "./pod-problem.ts";
import { imageOf, renderedOf, revisionOf } from "./rendered.ts";
import { podTemplate } from "./resources/stateful-set.ts";
import type { Cause, FailedRevision, Rendered, Revision, Update } from "./revision.ts";
import type { Seen } from "./seen.ts";
import { isServing, runsRevision } from "./serving.ts";
import { timeText } from "./time-text.ts";

/** What the operator brings with it. */
export interface OperatorTarget {
  relayImage: string;
  /** See `configurationOf`. */
  configuration: string;
  /** The server as it would be with this spec, by the defaults of today. */
  serverWith: (written: unknown) => ChatmailServer | undefined;
  /** What a person has written, without defaults. */
  written: unknown;
}

export function updateOf(server: ChatmailServer, seen: Seen, operator: OperatorTarget, now: Date): Update {
  const live = seen.statefulSet;
  const inputs = podInputs(server, seen);
  const render = (image: string) => revisionOf(podTemplate(podPlan(server, inputs, image)));
  const target = render(server.spec.image.reference ?? operator.relayImage);
  const fresh = (revision: Revision, cause: Cause, more: Partial<Rendered> = {}): Rendered => {
    const { configuration, written } = operator;
    return { revision, cause, since: timeText(now), written, inputs, configuration, ...more };
  };
  if (!live) return { target, next: fresh(target, "created") };

  const known = renderedOf(live);
  const has = known?.revision ?? takenOver(live);
  const serving = isServing(seen.pod);
  const isReady = known ? runsRevision(seen.pod, has.id) : serving;
  const isProven = isReady || server.status?.relay?.revision === has.id;
  const deadline = known && !isProven ? deadlineOf(known, server) : undefined;
  const isLate = deadline !== undefined && now >= deadline;
  // What served when the change came. While a change is not proven, it is the one before it.
  const good = isReady ? has : isProven ? undefined : known?.good;
  const kept = known ?? (has.id === target.id ? fresh(target, "created") : undefined);
  const about = { target, kept, ...(deadline && !isLate && { deadline }) };

  // an image that was named, that did not start, and that is no longer named is not the server's
  const lasting = known && !isProven && namesImage(known, operator) ? known.good : has;
  const ownImage = server.spec.image.reference ?? (lasting && imageOf(lasting.template)) ?? operator.relayImage;
  const own = ownImage === imageOf(target.template) ? target : render(ownImage);
  const isEdit = known !== undefined && own.id !== has.id && isEdited(known, target, operator);
  const wanted = isEdit ? own : target;
  const retries = isRetried(server, known?.failed);
  const failed = known?.failed && [own.id, target.id].includes(known.failed.id) && !retries ? known.failed : undefined;
  const served = good && { good };
  if (isEdit && !failed) {
    // one that does not bring the server to the target leaves it where it was in the rollout
    const configuration = own.id === target.id ? operator.configuration : known.configuration;
    return { ...about, next: fresh(own, "edit", { ...served, configuration }) };
  }
  if (known?.good && isLate) {
    const fails = failureOf(known, server, seen, now);
    const { written, inputs: before, configuration } = known;
    if (server.spec.updatePolicy.onFailure === "Rollback") {
      const back = fresh(known.good, "rollback", { written, inputs: before, configuration, failed: fails });
      return { ...about, next: back, failed: fails };
    }
    // another version may be its cure
    if (wanted.id === has.id) return { ...about, failed: fails };
  }
  if (failed) return { ...about, failed };
  if (wanted.id === has.id) return about;

  const retried = [own, target].find(({ id }) => retries && id === known?.failed?.id);
  const next = fresh(retried ?? target, (retried && known?.failed?.cause) ?? "upgrade", served);
  if (retried || server.metadata.annotations?.[annotations.update] === target.id) return { ...about, next };
  const waits = policyWait(server, target, now);
  if (waits) return { ...about, next, waits };
  // One change after the other: within its deadline it is known what the first one comes to.
  if (known?.good && about.deadline)
    return { ...about, next, waits: { message: "another change is being applied", until: about.deadline } };
  return { ...about, next, needsTurn: true };
}

/** By when a revision has to be ready. */
const deadlineOf = ({ since }: Rendered, { spec }: ChatmailServer): Date =>
  new Date(Date.parse(since) + spec.updatePolicy.progressDeadlineSeconds * 1_000);

/** In the pod's own words. */
function failureOf({ revision, cause }: Rendered, server: ChatmailServer, seen: Seen, now: Date): FailedRevision {
  const { message } = podFailure(seen, now);
  const retry = server.metadata.annotations?.[annotations.retryUpdate];
  const { progressDeadlineSeconds } = server.spec.updatePolicy;
  return {
    id: revision.id,
    cause,
    message: `revision ${revision.id} was not ready within ${progressDeadlineSeconds} seconds: ${message}`,
    ...(retry !== undefined && { retry }),
  };
}

/** A StatefulSet of which it is not known how its template was made. */
function takenOver({ spec }: LiveStatefulSet): Revision {
  const template = spec?.template ?? {};
  return { id: template.metadata?.annotations?.[annotations.revision] ?? "", template };
}

/**
 * Whether a person's change makes the difference: rendered in the same way, what was written then
 * and what is written now give two templates. A change of built-in values, of defaults or of the
 * operator's image gives the same twice.
 */
function isEdited(known: Rendered, target: Revision, { serverWith, relayImage, written }: OperatorTarget): boolean {
  const before = serverWith(known.written);
  // by the rules of today nobody could write that
  if (!before) return JSON.stringify(known.written) !== JSON.stringify(written);
  const image = before.spec.image.reference ?? relayImage;
  return revisionOf(podTemplate(podPlan(before, known.inputs, image))).id !== target.id;
}

const namesImage = ({ written }: Rendered, { serverWith }: OperatorTarget): boolean =>
  serverWith(written)?.spec.image.reference !== undefined;

function isRetried({ metadata }: ChatmailServer, failed: FailedRevision | undefined): boolean {
  const asked = metadata.annotations?.[annotations.retryUpdate];
  return failed !== undefined && asked !== undefined && asked !== failed.retry;
}

/** The spec says when, whatever the other servers do. */
function policyWait({ spec, metadata }: ChatmailServer, target: Revision, now: Date): Update["waits"] {
  const { mode, window } = spec.updatePolicy;
  if (mode === "Manual") {
    const command = `kubectl -n ${metadata.namespace} annotate --overwrite chatmailserver ${metadata.name} ${annotations.update}=${target.id}`;
    return { message: `updatePolicy.mode is Manual. To update: ${command}` };
  }
  const until = window && opensAt(window, now);
  if (!until) return undefined;
  return { message: `the window of updatePolicy opens at ${timeText(until)}`, until };
}

function podFailure({ pod, podEvent, setEvent, volumeClaim }: Seen, now: Date): Problem {
  const problem = pod && podProblem(pod, { now, event: podEvent, claim: volumeClaim });
  if (problem) return problem;
  const message = setEvent ?? (pod ? "the pod of the revision before it was not replaced" : "there is no pod");
  return { reason: "PodMissing", message };
}
