/**
 * The data loss guard: what the status remembers of a server, held against what is there. An empty
 * volume in the place of a lost one would give existing addresses to whoever logs in first, and
 * mail that is signed with another key is rejected. Pure.
 */
import type { ChatmailServer, ChatmailServerStatus } from "../../api/chatmail-server.ts";
import { annotations, childNames } from "../../api/names.ts";
import { dkimFingerprint } from "../../dns/dkim-key.ts";
import type { KubeObject } from "../../kube/object.ts";
import { type DkimKeys, knowsKey, requiredKey } from "../identity/dkim.ts";
import { recordedFingerprint } from "../identity/recorded.ts";
import { isOfEarlier } from "../identity/secret.ts";
import type { Problem } from "../problem.ts";
import { isMovedFrom } from "./claims.ts";
import type { LivePod, LiveVolumeClaim } from "./live.ts";
import type { Seen } from "./seen.ts";

/** What may be lost, as the annotation has it. */
export type Losable = "volume" | "dkim";

export interface Loss extends Problem {
  of: Losable;
}

/** What was there and is missing or another now, unless its loss was accepted. */
export function lossesIn(server: ChatmailServer, seen: Seen): Loss[] {
  const accepted = acceptedNow(server);
  const found = [volumeLoss(server, seen), keyLoss(server, seen)];
  return found.filter((loss) => loss !== undefined).filter(({ of }) => !accepted.includes(of));
}

export const isLost = (of: Losable, server: ChatmailServer, seen: Seen): boolean =>
  lossesIn(server, seen).some((loss) => loss.of === of);

/** It is kept by the pod alone: whatever replaces the pod loses it. */
export const isEnding = (claim: LiveVolumeClaim | undefined): boolean =>
  claim?.metadata.deletionTimestamp !== undefined;

function volumeLoss(server: ChatmailServer, { volumeClaim: claim, claimName }: Seen): Loss | undefined {
  const { claimUID, volumeName } = server.status?.storage ?? {};
  // one that was never bound has never held anything
  if (claimUID === undefined || volumeName === undefined) return undefined;
  const name = claimName ?? childNames(server.metadata.name).volumeClaim;
  const restore = `Restore it: a claim ${name} with volumeName: ${volumeName} is used again, and so is any other one when you accept the loss: ${acceptCommand(server, "volume")}`;
  if (!claim) {
    const message = `claim ${name} with the mailboxes (volume ${volumeName}) no longer exists, and no empty one is created in its place. ${restore}`;
    return { of: "volume", reason: "VolumeLost", message };
  }
  if (claim.metadata.uid === claimUID || claim.spec?.volumeName === volumeName) return undefined;
  // the operator has copied the mailboxes, and swapped the claims
  if (isMovedFrom(claim, claimUID)) return undefined;
  const now = claim.spec?.volumeName ?? "no volume yet";
  const message = `claim ${name} was replaced: it had volume ${volumeName} with the mailboxes, and has ${now}. The relay does not run on it. ${restore}`;
  return { of: "volume", reason: "VolumeLost", message };
}

function keyLoss(server: ChatmailServer, { identity, volumeClaim }: Seen): Loss | undefined {
  const recorded = recordedFingerprint(server.status, volumeClaim);
  if (recorded === undefined || !identity.dkim) return undefined;
  const name = childNames(server.metadata.name).dkimSecret;
  const restore = `Restore it, or accept that the key is lost, and publish the record of the new one: ${acceptCommand(server, "dkim")}`;
  if (identity.dkim.state === "absent") {
    const message = `Secret ${name} with the DKIM key no longer exists, and no other key is created in its place: other relays would reject mail until its record is published. ${restore}`;
    return { of: "dkim", reason: "DKIMKeyLost", message };
  }
  // a Secret without a key has a problem of its own
  // one that a rotation has replaced is not lost, whatever was written of it before
  if (identity.dkim.state !== "present" || knowsKey(identity.dkim.value, recorded)) return undefined;
  const message = `the DKIM key in Secret ${name} was replaced: its record is another than the one in the status. A relay pod that runs goes on with the key that it has. ${restore}`;
  return { of: "dkim", reason: "DKIMKeyLost", message };
}

/** Of the key that mail can't do without; others may come and go. */
function fingerprintIn(keys: DkimKeys): string | undefined {
  const key = requiredKey(keys);
  return key && dkimFingerprint(key);
}

/** Each value counts for one loss: what stays on the object does not accept the next one. */
function acceptedNow({ metadata, status }: ChatmailServer): string[] {
  const value = acceptanceIn(metadata);
  return value === undefined || value === status?.acceptedDataLoss ? [] : value.split(/[\s,]+/);
}

export const isAccepted = (of: Losable, server: ChatmailServer): boolean => acceptedNow(server).includes(of);

const acceptanceIn = ({ annotations: all }: ChatmailServer["metadata"]) =>
  all?.[annotations.acceptDataLoss]?.slice(0, 63);

function acceptCommand({ metadata, status }: ChatmailServer, what: Losable): string {
  const { namespace, name } = metadata;
  const annotate = `kubectl -n ${namespace} annotate cms ${name} ${annotations.acceptDataLoss}`;
  const value = acceptanceIn(metadata);
  const isUsed = value !== undefined && value === status?.acceptedDataLoss;
  return isUsed ? `${annotate}-, then ${annotate}=${what}` : `${annotate}=${what} --overwrite`;
}

/**
 * A pod that has the recorded volume still: it is older than the claim that is there now, or there
 * is none.
 */
export function servesLostVolume(pod: LivePod | undefined, claim: LiveVolumeClaim | undefined): boolean {
  if (pod?.status?.phase !== "Running" || pod.metadata.deletionTimestamp) return false;
  return !claim || (pod.metadata.creationTimestamp ?? "") < (claim.metadata.creationTimestamp ?? "");
}

/**
 * Whether the end of this object would be a loss: not of one that ends with an earlier server of
 * the name, which the garbage collector may be about to delete.
 */
export const isToStay = (server: Pick<ChatmailServer, "metadata">, object: KubeObject): boolean =>
  object.metadata.deletionTimestamp === undefined && !isOfEarlier(server, object);

/** What the status has to remember of the volume: as long as it is lost, what it was. */
export function storageMemory(
  server: ChatmailServer,
  seen: Seen,
): Pick<NonNullable<ChatmailServerStatus["storage"]>, "claimUID" | "volumeName"> {
  const { volumeClaim: claim } = seen;
  const before = server.status?.storage ?? {};
  const lost = isLost("volume", server, seen);
  const isKnown = lost || claim?.metadata.uid === before.claimUID;
  if (!isKnown && claim && !isToStay(server, claim)) return {};
  const { claimUID, volumeName } = lost
    ? before
    : { claimUID: claim?.metadata.uid, volumeName: claim?.spec?.volumeName };
  return { ...(claimUID && { claimUID }), ...(volumeName && { volumeName }) };
}

/** What the claim has to remember of the key: it is restored with a cluster, the status is not. */
export function keyMemory(server: ChatmailServer, seen: Seen): string | undefined {
  const found = seen.identity.dkim;
  if (!found) return undefined;
  const recorded = recordedFingerprint(server.status, seen.volumeClaim);
  if (isAccepted("dkim", server)) return found.state === "present" ? fingerprintIn(found.value) : undefined;
  if (found.state !== "present" || isLost("dkim", server, seen)) return recorded;
  if (!isToStay(server, found.secret)) return recorded;
  return fingerprintIn(found.value);
}

/** The annotation that has been acted on. */
export function acceptanceMemory({ metadata }: ChatmailServer): Pick<ChatmailServerStatus, "acceptedDataLoss"> {
  const value = acceptanceIn(metadata);
  return value === undefined ? {} : { acceptedDataLoss: value };
}
