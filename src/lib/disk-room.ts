/** Space of a file system, as df counts it. Pure. */
import type { StatsFs } from "node:fs";

/** In bytes. What is reserved for root (in ext4 one part in twenty, or more) is in neither. */
export interface DiskRoom {
  bytes: number;
  freeBytes: number;
}

export function diskRoom({
  blocks,
  bfree,
  bavail,
  bsize,
}: Pick<StatsFs, "blocks" | "bfree" | "bavail" | "bsize">): DiskRoom {
  return { bytes: (blocks - bfree + bavail) * bsize, freeBytes: bavail * bsize };
}
