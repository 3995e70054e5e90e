/** All that is known about one fleet at one moment. */
import type { WrittenFleetSpec } from "../../api/chatmail-fleet.ts";
import type { Problem } from "../problem.ts";
import type { LiveServer } from "../server/world.ts";

export type Row = NonNullable<WrittenFleetSpec["domains"]>[number];

/** A server of the fleet, as far as the fleet is concerned. */
export interface SeenMember {
  server: LiveServer;
  update: "Updated" | "Waiting" | "Updating" | "Failed";
}

export interface SeenFleet {
  members: readonly SeenMember[];
  /** By the name that each row has: the server that exists. */
  rows: readonly { row: Row; server?: LiveServer | undefined }[];
  /** Servers that the fleet made and that it no longer lists. */
  unlisted: readonly LiveServer[];
  /** What keeps the defaults from being those of any server. */
  refused?: Problem | undefined;
}
