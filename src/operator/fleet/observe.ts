/** Reads what is known about a fleet and its servers from what the watches keep. */
import { keyOf } from "../../kube/object.ts";
import { type MemberState, turnsOf } from "../rollout/gate.ts";
import { resolveServer, type ServerDefaults } from "../server/spec.ts";
import type { World } from "../server/world.ts";
import type { LiveFleet } from "./fleets.ts";
import { isMadeBy } from "./made-by.ts";
import { rolloutProblem } from "./policy.ts";
import { rollbackIn } from "./rollback.ts";
import type { Row, SeenFleet, SeenMember } from "./seen.ts";

export function observeFleet(fleet: LiveFleet, world: World): SeenFleet {
  const { namespace, name } = fleet.metadata;
  const members = world.fleets.membersOf(keyOf(fleet));
  const rows: readonly Row[] = fleet.spec?.domains ?? [];
  const listed = new Set(rows.map((row) => row.name));
  const defaults = world.fleets.defaultsOf(fleet);
  const group = world.fleets.groupAt(keyOf(fleet));
  const inRollout = world.rollouts.membersOf(group.id);
  const turns = turnsOf(inRollout, group.policy, world.now());
  const states = new Map(inRollout.map(({ key, state }) => [key, state]));
  const awaited = new Set(turns.awaited);
  const wanted = world.fleets.imageOf(fleet);
  return {
    rollout: { wanted, rollback: rollbackIn(fleet, wanted), turns },
    members: members
      .filter(({ metadata }) => !metadata.deletionTimestamp)
      .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
      .map((server) => ({ server, update: updateOf(states.get(keyOf(server)), awaited.has(keyOf(server))) })),
    rows: rows.map((row) => ({ row, server: world.stores.servers.get(namespace, row.name) })),
    unlisted: members.filter((server) => isMadeBy(fleet, server) && !listed.has(server.metadata.name)),
    refused: rolloutProblem(fleet.spec?.rollout) ?? problemOfDefaults(name, defaults, world.serverDefaults),
  };
}

/** As those of a server that says nothing else. */
function problemOfDefaults(name: string, defaults: ServerDefaults, serverDefaults: ServerDefaults) {
  const anyServer = { spec: { domain: "any.example" }, metadata: {} };
  const resolved = resolveServer(anyServer, serverDefaults, { name, defaults });
  if ("spec" in resolved) return undefined;
  const { reason, message } = resolved.problem;
  return { reason, message: message.replaceAll(/\bspec\./g, "spec.defaults.") };
}

/** Undefined where its rollout does not concern it. */
function updateOf(state: MemberState | undefined, isAwaited: boolean): SeenMember["update"] {
  switch (state?.is) {
    case undefined:
      return undefined;
    case "Waiting":
    case "Held":
      return "Waiting";
    case "Failed":
      return "Failed";
    case "OnTarget":
      return isAwaited ? "Updating" : "Updated";
  }
}
