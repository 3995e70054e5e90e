/** All that is known about one fleet at one moment. */
import type { WrittenFleetSpec } from "../../api/chatmail-fleet.ts";
import type { Problem } from "../problem.ts";
import type { Turns } from "../rollout/gate.ts";
import type { LiveServer } from "../server/world.ts";
import type { Rollback } from "./rollback.ts";

export type Row = NonNullable<WrittenFleetSpec["domains"]>[number];

/** A server of the fleet, as far as the fleet is concerned. */
export interface SeenMember {
  server: LiveServer;
  /** Undefined where the rollout does not concern it, such as one that is paused. */
  update?: "Updated" | "Waiting" | "Updating" | "Failed" | undefined;
}

export interface SeenRollout {
  /** The image that the fleet asks for. */
  wanted: string;
  /** It was given up, and another one takes its place. */
  rollback?: Rollback | undefined;
  turns: Turns;
}

export interface SeenFleet {
  members: readonly SeenMember[];
  /** By the name that each row has: the server that exists. */
  rows: readonly { row: Row; server?: LiveServer | undefined }[];
  /** Servers that the fleet made and that it no longer lists. */
  unlisted: readonly LiveServer[];
  rollout: SeenRollout;
  /** What keeps the defaults from being those of any server. */
  refused?: Problem | undefined;
}
