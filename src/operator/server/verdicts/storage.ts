/** The volume: whether it is there, and whether it has the size that the spec says. */
import type { ChatmailServer, ChatmailServerStatus } from "../../../api/chatmail-server.ts";
import { childNames } from "../../../api/names.ts";
import { isOfEarlier } from "../../identity/secret.ts";
import type { Problem } from "../../problem.ts";
import { localVolume } from "../cluster-words.ts";
import type { LiveVolumeClaim } from "../live.ts";
import { isEnding, lossesIn, storageMemory } from "../losses.ts";
import { moveOf, stopsRelay } from "../move.ts";
import type { Verdict } from "../progress.ts";
import { isLarger, volumeSizes } from "../resources/volume-claim.ts";
import type { Seen } from "../seen.ts";
import { type Check, isAtRest, notCreated } from "./check.ts";
import { volumeIsNearlyFull } from "./volume-room.ts";

const volumeIsThere: Check = (seen, server) => {
  const { volumeClaim, claimEvent } = seen;
  const phase = volumeClaim?.status?.phase;
  const move = moveOf(server, seen);
  if (move && stopsRelay(move)) return { reason: "VolumeMoving", message: move.says };
  const [lost] = lossesIn(server, seen).filter(({ of }) => of === "volume");
  if (lost) return lost;
  if (!volumeClaim && isAtRest(server)) return notCreated(server, "volume");
  if (phase === "Lost") {
    const volume = volumeClaim?.spec?.volumeName ?? "of the claim";
    const message = `volume ${volume} no longer exists. Restore it under this name; to go on with another one, delete the claim and follow the message`;
    return { reason: "VolumeLost", message };
  }
  const endsWithEarlier = volumeClaim && isOfEarlier(server, volumeClaim);
  if (endsWithEarlier || (isEnding(volumeClaim) && volumeClaim?.metadata.uid !== server.status?.storage?.claimUID)) {
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
export const volumeIsNoCause: Check = (seen, server, now) => {
  const problem = volumeIsThere(seen, server, now);
  const waitsForPod =
    seen.claimEvent?.includes("waiting for first consumer") || seen.claimEvent?.includes("waiting for pod");
  return problem?.reason === "VolumePending" && waitsForPod ? undefined : problem;
};

export function storageVerdict(server: ChatmailServer, seen: Seen, now: Date): Verdict {
  const move = moveProblem(server, seen);
  const problem =
    volumeIsThere(seen, server, now) ??
    (move?.reason === "VolumeMoveFailed" ? move : undefined) ??
    resizeIsPossible(seen, server, now) ??
    volumeIsNearlyFull(server, seen);
  if (problem) return { status: "False", ...problem };
  if (move) return { status: "True", ...move };
  const growth = resizing(server, seen);
  if (growth) return { status: "True", ...growth };
  const { capacity, existing } = volumeSizes(server, seen.volumeClaim);
  const local = localVolume(seen.volumeClaim);
  const besides = keptBeside(server, seen);
  const where = local ? `; it is on one node only (${local})` : "";
  if (capacity === undefined)
    return { status: "True", reason: "VolumeBound", message: `the volume is bound${where}${besides}` };
  const size = server.spec.storage.size;
  const smaller = isLarger(existing ?? capacity, size) ? `; storage.size is ${size}, and volumes don't shrink` : "";
  const [wanted, has] = [server.spec.storage.storageClassName, seen.volumeClaim?.spec?.storageClassName];
  const otherClass =
    wanted !== undefined && wanted !== has
      ? `; it is of class ${has ?? ""}, and kubectl chatmail move-volume moves it to class ${wanted}`
      : "";
  return {
    status: "True",
    reason: "VolumeBound",
    message: `the volume is bound and has ${capacity}${smaller}${otherClass}${where}${besides}`,
  };
}

function moveProblem(server: ChatmailServer, seen: Seen): Problem | undefined {
  const move = moveOf(server, seen);
  const hasFailed = move?.is === "refused" || move?.is === "failed";
  return move && { reason: hasFailed ? "VolumeMoveFailed" : "VolumeMoving", message: move.says };
}

/** The relay serves meanwhile. */
export function moving(server: ChatmailServer, seen: Seen): Problem | undefined {
  const problem = moveProblem(server, seen);
  return problem?.reason === "VolumeMoving" ? problem : undefined;
}

/** What a person may delete once the move is found to be good. */
function keptBeside({ metadata: { namespace, name } }: ChatmailServer, { otherClaims = [] }: Seen): string {
  const kept = otherClaims.filter((claim) => !isEnding(claim));
  if (kept.length === 0) return "";
  const names = kept.map(({ metadata }) => metadata.name).join(", ");
  return `; kept beside it: ${names}, until kubectl chatmail -n ${namespace} move-volume ${name} --confirm`;
}

/** What the storage driver says of a volume that is to grow. */
export const resizeIsPossible: Check = ({ volumeClaim: claim }, server) => {
  const { existing, capacity } = volumeSizes(server, claim);
  const stage = claim?.status?.allocatedResourceStatuses?.storage ?? "";
  if (!/Infeasible$/.test(stage)) return undefined;
  const said = resizeWords(claim);
  const message = `the volume has ${capacity} and can't grow to ${existing}${said && `: ${said}`}. Set storage.size to a smaller size, above ${capacity}`;
  return { reason: "ResizeRefused", message };
};

/** While the volume has less than its claim requests. */
export function resizing(server: ChatmailServer, { volumeClaim: claim }: Seen): Problem | undefined {
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

export function storageOf(server: ChatmailServer, seen: Seen): Pick<ChatmailServerStatus, "storage"> {
  const { volumeClaim: claim } = seen;
  const memory = storageMemory(server, seen);
  if (!claim && memory.claimUID === undefined) return {};
  const { existing, capacity } = volumeSizes(server, claim);
  return {
    storage: {
      claimName: seen.claimName ?? childNames(server.metadata.name).volumeClaim,
      ...memory,
      ...(existing && { requested: existing }),
      ...(capacity && { capacity }),
    },
  };
}
