/** Reads what is known about a fleet and its servers from what the watches keep. */
import { childNames } from "../../api/names.ts";
import { keyOf } from "../../kube/object.ts";
import { resolveServer, type ServerDefaults } from "../server/spec.ts";
import type { LiveServer, World } from "../server/world.ts";
import type { LiveFleet } from "./fleets.ts";
import { isMadeBy } from "./made-by.ts";
import type { Row, SeenFleet, SeenMember } from "./seen.ts";

export function observeFleet(fleet: LiveFleet, world: World): SeenFleet {
  const { namespace, name } = fleet.metadata;
  const members = world.fleets.membersOf(keyOf(fleet));
  const rows: readonly Row[] = fleet.spec?.domains ?? [];
  const listed = new Set(rows.map((row) => row.name));
  const defaults = world.fleets.defaultsOf(fleet);
  return {
    members: members
      .filter(({ metadata }) => !metadata.deletionTimestamp)
      .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
      .map((server) => ({ server, update: updateOf(server, world) })),
    rows: rows.map((row) => ({ row, server: world.stores.servers.get(namespace, row.name) })),
    unlisted: members.filter((server) => isMadeBy(fleet, server) && !listed.has(server.metadata.name)),
    refused: problemOfDefaults(name, defaults, world.serverDefaults),
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

/** Whether the pod's StatefulSet has the image that the server is to have. */
function updateOf(server: LiveServer, world: World): SeenMember["update"] {
  const { namespace, name } = server.metadata;
  const set = world.stores.statefulSets.get(namespace, childNames(name).statefulSet);
  const resolved = world.resolve(server);
  if (!set || !("spec" in resolved)) return "Waiting";
  const image = resolved.spec.image.reference ?? world.relayImage;
  const has = set.spec?.template.spec?.containers.every((container) => container.image === image);
  if (!has) return "Waiting";
  const { observedGeneration, currentRevision, updateRevision } = set.status ?? {};
  const isDone = observedGeneration === set.metadata.generation && currentRevision === updateRevision;
  return isDone ? "Updated" : "Updating";
}
