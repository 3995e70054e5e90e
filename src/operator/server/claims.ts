/**
 * Which volume claim has the mailboxes of a server. A volume that was moved is on another claim
 * than the first one; what says so is written on the claim itself, in one write, so that it
 * survives a status that is lost and an operator that is killed at any line. Pure.
 */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { annotations, childNames } from "../../api/names.ts";
import type { LiveVolumeClaim } from "./live.ts";

type Named = Pick<ChatmailServer, "metadata" | "status">;

/** Undefined of a copy that was never in use, and of a claim that the operator did not make. */
export function numberOf(server: Pick<ChatmailServer, "metadata">, { metadata }: LiveVolumeClaim): number | undefined {
  const number = Number(metadata.annotations?.[annotations.volumeNumber]);
  if (Number.isSafeInteger(number) && number > 0) return number;
  return metadata.name === childNames(server.metadata.name).volumeClaim ? 0 : undefined;
}

/** The number of the next claim in use. */
export const nextNumber = (server: Pick<ChatmailServer, "metadata">, claims: readonly LiveVolumeClaim[]): number =>
  Math.max(0, ...claims.map((claim) => numberOf(server, claim) ?? 0)) + 1;

/**
 * The name of the claim in use: the highest number. Where the status remembers another one, only
 * if the operator itself has moved the mailboxes from that; else the one that is remembered is
 * lost, and an earlier one is not used in its place.
 */
export function claimNameOf(server: Named, claims: readonly LiveVolumeClaim[]): string {
  const { claimName, claimUID } = server.status?.storage ?? {};
  const [newest] = claims
    .filter((claim) => numberOf(server, claim) !== undefined)
    .sort((a, b) => (numberOf(server, b) ?? 0) - (numberOf(server, a) ?? 0));
  const recorded = claimUID === undefined ? undefined : claimName;
  if (recorded !== undefined && newest?.metadata.name !== recorded && !isMovedFrom(newest, claimUID)) return recorded;
  return newest?.metadata.name ?? childNames(server.metadata.name).volumeClaim;
}

/** The operator has made it the one in use, instead of that with this UID. */
export const isMovedFrom = (claim: LiveVolumeClaim | undefined, uid: string | undefined): boolean =>
  uid !== undefined &&
  claim?.metadata.annotations?.[annotations.volumeNumber] !== undefined &&
  claim.metadata.annotations[annotations.copyOf] === uid;
