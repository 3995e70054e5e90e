/**
 * Whether the pod that would replace a running one could start: asked of the API server before
 * anything is replaced. The old pod serves until all is well.
 */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { ApiError } from "../../kube/client.ts";
import { canonical } from "../../kube/fields.ts";
import { type Pod, resources, type StatefulSet } from "../../kube/kinds.ts";
import type { OwnedFailure } from "../problem.ts";
import { refusedPod } from "./cluster-words.ts";
import type { LivePod, LiveStatefulSet } from "./live.ts";
import { quotaHasRoom } from "./quota.ts";
import type { Seen } from "./seen.ts";
import type { World } from "./world.ts";

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
): Promise<OwnedFailure | undefined> {
  const { pod, statefulSet: live } = seen;
  if (!live || !pod || !isServing(pod) || wanted.spec?.replicas === 0) return undefined;
  if (world.applier.isApplied(resources.statefulSet, wanted, live)) return undefined;
  const next = await templateAfter(wanted, world, signal);
  if (!next || canonical(next) === canonical(live.spec?.template)) return undefined;
  const why = missingReference(live, next, seen) ?? (await refusal(server, next, pod, world, signal));
  if (why === undefined) return undefined;
  return { reason: "UpdateHeld", message: `the running pod is not replaced: ${why}`, concern: "UpToDate" };
}

/** One that does not serve can't be hurt, and its cure must not be held back. */
const isServing = ({ metadata, status }: LivePod) =>
  !metadata.deletionTimestamp && status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True");

type Template = NonNullable<NonNullable<StatefulSet["spec"]>["template"]>;

/**
 * As the API server would keep it, with its defaults; undefined where it would refuse the
 * StatefulSet, which the apply reports.
 */
async function templateAfter(wanted: StatefulSet, world: World, signal: AbortSignal): Promise<Template | undefined> {
  const how = { fieldManager: world.fieldManager, force: true, dryRun: true };
  try {
    const after = (await world.client.apply(resources.statefulSet, wanted, how, signal)) as LiveStatefulSet;
    return after.spec?.template;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return undefined;
  }
}

/** The certificate is the one Secret that a person names and that the pod can't start without. */
function missingReference(live: LiveStatefulSet, next: Template, { certificate }: Seen): string | undefined {
  const { problem } = certificate;
  if (!problem) return undefined;
  const nameIn = (template: Template | undefined) =>
    template?.spec?.volumes?.find(({ name }) => name === "tls")?.secret?.secretName;
  const isAnother = nameIn(live.spec?.template) !== nameIn(next);
  // one that is in use and has ended keeps nobody from an upgrade
  return isAnother || problem.reason === "CertificateMissing" ? problem.message : undefined;
}

/**
 * What the API server says to such a pod: Pod Security, quota, LimitRange, PriorityClass, policies.
 * Nothing is created.
 */
async function refusal(
  { metadata: { namespace, name } }: ChatmailServer,
  { metadata = {}, spec }: Template,
  running: LivePod,
  world: World,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { labels, annotations } = metadata;
  const pod: Pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: `${name}-preflight`, namespace, ...(labels && { labels }), ...(annotations && { annotations }) },
    ...(spec && { spec }),
  };
  try {
    await world.client.create(resources.pod, pod, signal, { dryRun: true });
    return undefined;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (saysNothing(error.message) || quotaHasRoom(error.message, running)) return undefined;
    return `the cluster would refuse its successor: ${refusedPod(error.message)}`;
  }
}

/** A Role of an earlier version, or a webhook that can't be asked: no news about the pod. */
const saysNothing = (said: string) =>
  /cannot create resource "pods"/.test(said) || /does not support dry run/.test(said);
