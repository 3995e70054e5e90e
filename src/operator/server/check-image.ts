/**
 * Lets another image check the plan on the node of the running pod, before it replaces that pod's
 * image. The job is the memory: an operator that restarts goes on where it was.
 */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { childNames, labels } from "../../api/names.ts";
import { isApiError } from "../../kube/client.ts";
import { type Job, resources } from "../../kube/kinds.ts";
import { keyOf } from "../../kube/object.ts";
import { planFile } from "../../pod/layout.ts";
import { planHash } from "../../pod/plan-files.ts";
import { refusedPod } from "./cluster-words.ts";
import { dryRunError } from "./dry-run.ts";
import { type CheckOutcome, checkOutcome } from "./image-check.ts";
import type { LiveJob, LivePod } from "./live.ts";
import { checkComponent, imageCheckJob } from "./resources/image-check-job.ts";
import type { World } from "./world.ts";

export interface ImageCheck {
  /** The name of its job. */
  name: string;
  outcome: CheckOutcome;
}

/** What is known of the image by now; begins the check where nothing is. Safe to repeat. */
export async function checkImage(
  server: ChatmailServer,
  image: string,
  running: LivePod,
  world: World,
  signal: AbortSignal,
): Promise<ImageCheck | undefined> {
  const { namespace, name } = server.metadata;
  const plan = world.stores.configMaps.get(namespace, childNames(name).planConfigMap)?.data?.[planFile];
  const nodeName = running.spec?.nodeName;
  // without a plan there is no pod either; one that serves has a node
  if (plan === undefined || nodeName === undefined) return undefined;
  const wanted = imageCheckJob({ server, image, planHash: planHash(plan), nodeName });
  return { name: wanted.metadata.name, outcome: await outcomeOf(wanted, server, world, signal) };
}

/** What was interrupted is tried again after so long. */
const againMs = 5 * 60_000;

async function outcomeOf(wanted: Job, server: ChatmailServer, world: World, signal: AbortSignal) {
  const job = checksOf(server, world).find(({ metadata }) => metadata.name === wanted.metadata.name);
  const pod = job && podOf(job, server, world);
  const outcome: CheckOutcome = job ? checkOutcome(job, pod, world.now()) : { state: "pending" };
  if (job && outcome.state === "interrupted") {
    const since = Date.parse(job.metadata.creationTimestamp ?? "");
    if (world.now().getTime() - since >= againMs) await retireJob(job, world, signal);
  }
  if (pod || outcome.state !== "pending") return outcome;
  // the job's controller retries for ever, and says so in an event alone
  const refused = await podRefusal(wanted, world, signal);
  if (refused !== undefined) return { state: "unchecked", why: refused } as const;
  return job ? outcome : begin(wanted, world, signal);
}

async function begin(wanted: Job, world: World, signal: AbortSignal): Promise<CheckOutcome> {
  try {
    await world.client.create(resources.job, wanted, signal);
    return { state: "pending" };
  } catch (error) {
    // an earlier one of this name is about to be removed
    if (isApiError(error, 409)) return { state: "pending" };
    if (!isApiError(error, 403, 422)) throw error;
    return { state: "unchecked", why: error instanceof Error ? error.message : "" };
  }
}

/** Such as a quota that the running pod has used up. */
async function podRefusal(wanted: Job, world: World, signal: AbortSignal): Promise<string | undefined> {
  const { name, namespace } = wanted.metadata;
  const template = wanted.spec?.template ?? {};
  const error = await dryRunError(template, { name, ...(namespace && { namespace }) }, world, signal);
  const isOfPod = isApiError(error, 403, 422) && !/cannot create resource "pods"/.test(error.message);
  return isOfPod ? refusedPod(error.message) : undefined;
}

/**
 * Jobs of checks that nobody waits for end, and remove themselves: the operator deletes nothing.
 */
export async function retireChecks(
  server: ChatmailServer,
  unless: string | undefined,
  world: World,
  signal: AbortSignal,
): Promise<void> {
  for (const job of checksOf(server, world)) if (job.metadata.name !== unless) await retireJob(job, world, signal);
}

/** It ends, and the cluster removes it. */
export async function retireJob({ metadata, spec }: LiveJob, world: World, signal: AbortSignal): Promise<void> {
  if (spec?.ttlSecondsAfterFinished === 0 || metadata.deletionTimestamp) return;
  const { namespace, name } = metadata;
  const patch = { spec: { activeDeadlineSeconds: 1, ttlSecondsAfterFinished: 0 } };
  try {
    await world.client.merge(resources.job, { ...(namespace && { namespace }), name }, patch, signal);
  } catch (error) {
    // it is gone, or the operator's Role is one of an earlier version
    if (!isApiError(error, 403, 404)) throw error;
  }
}

function checksOf(server: ChatmailServer, { jobsByServer }: Pick<World, "jobsByServer">): LiveJob[] {
  return jobsByServer
    .get(keyOf(server))
    .filter(({ metadata }) => metadata.labels?.[labels.component] === checkComponent);
}

function podOf({ metadata: { uid } }: LiveJob, server: ChatmailServer, { podsByServer }: Pick<World, "podsByServer">) {
  const isOfJob = ({ metadata }: LivePod) => metadata.ownerReferences?.some((owner) => owner.uid === uid);
  const time = ({ metadata }: LivePod) => metadata.creationTimestamp ?? "";
  const pods = podsByServer.get(keyOf(server)).filter(isOfJob);
  return pods.sort((a, b) => (time(a) < time(b) ? 1 : -1))[0];
}
