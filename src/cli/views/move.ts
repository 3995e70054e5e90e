/** How far a volume is that is moved. Pure. */
import * as z from "zod";
import type { WrittenServer } from "../../api/chatmail-server.ts";
import { annotations } from "../../api/names.ts";
import { sizeText } from "../../lib/size-text.ts";

export type MoveState =
  | { is: "done" }
  | { is: "given up" }
  | { is: "failed"; says: string }
  | { is: "moves"; says: string; copies: boolean };

/** `to`: the claim that the mailboxes go to. */
export function moveState({ metadata, status }: WrittenServer, to: string): MoveState {
  const condition = (type: string) => status?.conditions?.find((each) => each.type === type);
  const storage = condition("StorageReady");
  if (status?.storage?.claimName === to) {
    if (condition("PodReady")?.status === "True" && storage?.reason !== "VolumeMoving") return { is: "done" };
    return { is: "moves", says: `the relay starts on claim ${to}`, copies: false };
  }
  if (!metadata.annotations?.[annotations.moveVolume]?.startsWith(to)) return { is: "given up" };
  if (storage?.reason === "VolumeMoveFailed") return { is: "failed", says: storage.message };
  if (storage?.reason !== "VolumeMoving") return { is: "moves", says: "the operator begins", copies: false };
  return { is: "moves", says: storage.message, copies: /cop(ying|ied)/.test(storage.message) };
}

const Line = z.object({ bytes: z.number(), copiedBytes: z.number(), volumeBytes: z.number() });

/** Of a line of the log; undefined where it is about something else. */
export function copyProgress(line: string): string | undefined {
  try {
    const { bytes, copiedBytes, volumeBytes } = Line.parse(JSON.parse(line));
    return `${sizeText(bytes)} of about ${sizeText(volumeBytes)}, ${sizeText(copiedBytes)} of them copied`;
  } catch {
    return undefined;
  }
}
