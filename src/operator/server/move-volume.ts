/**
 * Takes the next step of a volume that is moved (move.ts decides which). Each is one write, safe to
 * repeat.
 */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { annotations, childNames } from "../../api/names.ts";
import { isApiError } from "../../kube/client.ts";
import { resources, type StatefulSet } from "../../kube/kinds.ts";
import { applyChildren, type Done, noting } from "./act.ts";
import { retireJob } from "./check-image.ts";
import { nextNumber } from "./claims.ts";
import { copyClaim } from "./desired.ts";
import { type Move, moveOf, movesOver, wishIn } from "./move.ts";
import { podInputs } from "./pod-inputs.ts";
import { podPlan } from "./pod-plan.ts";
import { moveJob } from "./resources/move-job.ts";
import type { Seen } from "./seen.ts";
import type { World } from "./world.ts";

/** True where another claim is in use now. The pods are stopped and started with all that runs. */
export async function moveVolume(
  server: ChatmailServer,
  seen: Seen,
  done: Done,
  world: World,
  signal: AbortSignal,
): Promise<boolean> {
  const move = moveOf(server, seen);
  // a pod that has ended keeps its claims from being deleted
  for (const job of move ? movesOver(server, seen) : (seen.moveJobs ?? [])) await retireJob(job, world, signal);
  if (move?.is === "provide") await applyChildren(server, copyClaim(server, seen, move.to), done, world, signal);
  let swapped = false;
  const what = `PersistentVolumeClaim ${move?.to}`;
  if (move?.is === "copy" || move?.is === "swap")
    await noting(done, { what, concern: "StorageReady" }, async () => {
      if (await isBehind(server, move, seen, world, signal)) return;
      if (move.is === "copy") await startCopy(server, move, seen, done, world, signal);
      else swapped = await swap(server, move, seen, world, signal);
      if (swapped) done.sent.push(what);
    });
  return swapped;
}

/** The watch may not know yet that a pod was started again, so the API server is asked. */
async function isBehind(server: ChatmailServer, move: Move, seen: Seen, world: World, signal: AbortSignal) {
  if (move.is === "copy" && move.pass === "first") return false;
  const { namespace, name } = server.metadata;
  const names = childNames(name);
  const set = await world.client.get<StatefulSet>(
    resources.statefulSet,
    { namespace, name: names.statefulSet },
    signal,
  );
  const pod = await world.client.get(resources.pod, { namespace, name: names.pod }, signal);
  const known = seen.statefulSet?.metadata;
  return pod !== undefined || set?.metadata.uid !== known?.uid || set?.metadata.generation !== known?.generation;
}

async function startCopy(
  server: ChatmailServer,
  { to, pass, jobName: name }: Move & { is: "copy" },
  seen: Seen,
  done: Done,
  world: World,
  signal: AbortSignal,
): Promise<void> {
  if (seen.moveJobs?.some(({ metadata }) => metadata.name === name)) return;
  // as with the erase job: what the operator brings knows how to copy, an older pod may not
  const image = server.spec.image.reference ?? world.relayImage;
  const plan = { ...podPlan(server, podInputs(server, seen), image), claimName: seen.claimName, copyClaimName: to };
  const job = moveJob(plan, { name, pass, wish: wishIn(server) ?? "" });
  try {
    world.stores.jobs.wrote(await world.client.create(resources.job, job, signal));
    done.sent.push(`Job ${name}`);
  } catch (error) {
    if (!isApiError(error, 409)) throw error;
  }
}

/** From here on the other claim has the mailboxes; see claims.ts. */
async function swap(
  server: ChatmailServer,
  { to }: Move,
  seen: Seen,
  world: World,
  signal: AbortSignal,
): Promise<boolean> {
  const { volumeClaim: from, otherClaims = [] } = seen;
  const target = otherClaims.find(({ metadata }) => metadata.name === to);
  const { namespace } = server.metadata;
  const marks = {
    [annotations.volumeNumber]: String(nextNumber(server, [...otherClaims, ...(from ? [from] : [])])),
    // the status is what the claim is held against, also where that one is lost
    [annotations.copyOf]: server.status?.storage?.claimUID ?? from?.metadata.uid ?? "",
  };
  const patch = { metadata: { resourceVersion: target?.metadata.resourceVersion, annotations: marks } };
  const written = await world.client.merge(resources.volumeClaim, { namespace, name: to }, patch, signal);
  world.stores.volumeClaims.wrote(written);
  const note = `the mailboxes are on claim ${to} now; claim ${from?.metadata.name ?? ""} is kept`;
  world.events.note(server, { type: "Normal", reason: "VolumeMoving", note });
  return true;
}
