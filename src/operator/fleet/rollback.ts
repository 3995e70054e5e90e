/**
 * Whether a fleet goes back to the image that it had: it is given to all servers as any other
 * image is, so that those that have it already stay as they are, and the others take turns. Pure.
 */
import type { ChatmailFleetStatus, WrittenFleet } from "../../api/chatmail-fleet.ts";

/** An image that was given up, and the one that takes its place. */
export interface Rollback {
  from: string;
  to: string;
}

/** In force as long as the fleet wants the image that was given up. */
export function rollbackIn({ status }: Pick<WrittenFleet, "status">, wanted: string): Rollback | undefined {
  const { givenUp: from, instead: to } = status?.rollout ?? {};
  return from !== undefined && to !== undefined && from === wanted ? { from, to } : undefined;
}

export const rollbackFields = (
  rollback: Rollback | undefined,
): Pick<NonNullable<ChatmailFleetStatus["rollout"]>, "givenUp" | "instead"> =>
  rollback ? { givenUp: rollback.from, instead: rollback.to } : {};

/**
 * The image that most of the servers have that do not have the one that failed: those that failed
 * went back to it themselves, and those that waited never left it. Undefined where no server has
 * another one, as in a fleet that begins with it.
 */
export function rollbackFrom(wanted: string, images: readonly (string | undefined)[]): Rollback | undefined {
  const counts = new Map<string, number>();
  for (const image of images)
    if (image !== undefined && image !== wanted) counts.set(image, (counts.get(image) ?? 0) + 1);
  const [most] = [...counts].sort(([a, many], [b, more]) => more - many || (a < b ? -1 : 1));
  return most && { from: wanted, to: most[0] };
}
