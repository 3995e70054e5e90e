/**
 * Whether the pod that would replace a running one could start: asked of the API server, and where
 * it has another image of the node, before anything is replaced. The old pod serves until all is
 * well.
 */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import type { Reason } from "../../api/reasons.ts";
import { ApiError } from "../../kube/client.ts";
import { canonical } from "../../kube/fields.ts";
import { resources, type StatefulSet } from "../../kube/kinds.ts";
import type { OwnedFailure } from "../problem.ts";
import { checkImage, type ImageCheck, retireChecks } from "./check-image.ts";
import { refusedPod } from "./cluster-words.ts";
import { dryRunError } from "./dry-run.ts";
import type { LivePod, LiveStatefulSet } from "./live.ts";
import { quotaHasRoom } from "./quota.ts";
import { imageOf } from "./rendered.ts";
import type { PodTemplate } from "./revision.ts";
import type { Seen } from "./seen.ts";
import { isServing } from "./serving.ts";
import type { World } from "./world.ts";

/** `held`: a person has to act first. `pending`: the answer comes by itself. */
export type Preflight = { held: OwnedFailure } | { pending: OwnedFailure };

/**
 * Undefined where the StatefulSet may be applied: its template stays, no pod is served by now, or
 * the new one would start.
 */
export async function preflight(
  server: ChatmailServer,
  wanted: StatefulSet,
  seen: Seen,
  world: World,
  signal: AbortSignal,
): Promise<Preflight | undefined> {
  const replaced = await replacedPod(wanted, seen, world, signal);
  const why = replaced && (missingReference(replaced, seen) ?? (await refusal(server, replaced, world, signal)));
  const image = replaced && why === undefined ? otherImage(replaced) : undefined;
  const check = replaced && image !== undefined && (await checkImage(server, image, replaced.pod, world, signal));
  await retireChecks(server, check ? check.name : undefined, world, signal);
  if (why !== undefined) return { held: held(why) };
  return check ? checked(server, image, replaced.pod, check, world) : undefined;
}

/** That of the successor, where it is another one. All containers of a relay pod have the same. */
function otherImage({ live, next }: Replaced): string | undefined {
  const image = imageOf(next);
  return image === imageOf(live) ? undefined : image;
}

const held = (why: string): OwnedFailure => ({
  reason: "UpdateHeld",
  message: `the running pod is not replaced: ${why}`,
  concern: "UpToDate",
});

/** A pod that serves, and the templates of it and of its successor. */
interface Replaced {
  pod: LivePod;
  live: PodTemplate;
  next: PodTemplate;
}

async function replacedPod(
  wanted: StatefulSet,
  { pod, statefulSet }: Seen,
  world: World,
  signal: AbortSignal,
): Promise<Replaced | undefined> {
  const live = statefulSet?.spec?.template;
  // one that does not serve can't be hurt, and its cure must not be held back
  if (!live || !pod || !isServing(pod) || wanted.spec?.replicas === 0) return undefined;
  if (world.applier.isApplied(resources.statefulSet, wanted, statefulSet)) return undefined;
  const next = await templateAfter(wanted, world, signal);
  return next && canonical(next) !== canonical(live) ? { pod, live, next } : undefined;
}

/** What is made of the answer of another image. */
function checked(
  server: ChatmailServer,
  image: string,
  pod: LivePod,
  { name, outcome }: ImageCheck,
  world: World,
): Preflight | undefined {
  const node = pod.spec?.nodeName;
  const { namespace } = server.metadata;
  const pending = (reason: Reason, message: string): Preflight => ({
    pending: { reason, message, concern: "UpToDate" },
  });
  switch (outcome.state) {
    case "passed":
      return undefined;
    case "unchecked": {
      const note = `${image} could not be checked before it replaces the image of the relay pod: ${outcome.why}`;
      world.events.note(server, { type: "Warning", reason: "ImageUnchecked" satisfies Reason, note });
      return undefined;
    }
    case "refused":
      return {
        held: held(
          `${image} can't use the present settings: ${outcome.words}. To check it again: kubectl -n ${namespace} delete job ${name}`,
        ),
      };
    case "interrupted":
      return { held: held(`the check of ${image} on node ${node} was interrupted and is repeated: ${outcome.why}`) };
    case "pending": {
      const { problem } = outcome;
      if (problem?.reason === "ImageUnavailable") {
        const said = problem.message.replace(/^container \S+: /, "");
        return pending("ImageUnavailable", `the running pod is not replaced: ${said}`);
      }
      const message = `the running pod goes on while ${image} is checked on node ${node}`;
      return pending("UpdateChecking", problem ? `${message}: ${problem.message}` : message);
    }
  }
}

/**
 * As the API server would keep it, with its defaults; undefined where it would refuse the
 * StatefulSet, which the apply reports.
 */
async function templateAfter(wanted: StatefulSet, world: World, signal: AbortSignal): Promise<PodTemplate | undefined> {
  const how = { fieldManager: world.fieldManager, force: true, dryRun: true };
  try {
    const after = (await world.client.apply(resources.statefulSet, wanted, how, signal)) as LiveStatefulSet;
    return after.spec?.template;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return undefined;
  }
}

/**
 * The certificate is the one Secret that a person names and that the pod can't serve without,
 * unless it has the last one.
 */
function missingReference({ live, next }: Replaced, { certificate }: Seen): string | undefined {
  const { problem, last } = certificate;
  if (!problem) return undefined;
  const nameIn = (template: PodTemplate) => {
    const volume = template.spec?.volumes?.find(({ name }) => name === "tls");
    return volume?.projected?.sources?.[0]?.secret?.name ?? volume?.secret?.secretName;
  };
  const isAnother = nameIn(live) !== nameIn(next);
  // one that is in use and has ended keeps nobody from an upgrade
  return isAnother || (problem.reason === "CertificateMissing" && !last) ? problem.message : undefined;
}

/**
 * What the API server says to such a pod: Pod Security, quota, LimitRange, PriorityClass, policies.
 * Nothing is created.
 */
async function refusal(
  { metadata: { namespace, name } }: ChatmailServer,
  { next, pod: running }: Replaced,
  world: World,
  signal: AbortSignal,
): Promise<string | undefined> {
  const error = await dryRunError(next, { namespace, name: `${name}-preflight` }, world, signal);
  if (!error || saysNothing(error.message) || quotaHasRoom(error.message, running)) return undefined;
  return `the cluster would refuse its successor: ${refusedPod(error.message)}`;
}

/** A Role of an earlier version, or a webhook that can't be asked: no news about the pod. */
const saysNothing = (said: string) =>
  /cannot create resource "pods"/.test(said) || /does not support dry run/.test(said);
