/** ChatmailFleets and their servers for tests, as the watch brings them. */
import type { WrittenFleetSpec } from "../../src/api/chatmail-fleet.ts";
import { apiVersion, chatmailFleet, chatmailServer } from "../../src/api/names.ts";
import type { LiveFleet } from "../../src/operator/fleet/fleets.ts";
import type { LiveServer } from "../../src/operator/server/world.ts";

export function aFleet(spec: WrittenFleetSpec = {}, metadata: Partial<LiveFleet["metadata"]> = {}): LiveFleet {
  return {
    apiVersion,
    kind: chatmailFleet.kind,
    metadata: { name: "community", namespace: "chatmail", uid: "fleet-1", generation: 1, ...metadata },
    spec,
  };
}

/** As it is written: nothing is resolved. */
export function aMember(
  name: string,
  spec: Partial<LiveServer["spec"]> = {},
  more: { metadata?: Partial<LiveServer["metadata"]>; status?: LiveServer["status"] } = {},
): LiveServer {
  return {
    apiVersion,
    kind: chatmailServer.kind,
    metadata: { name, namespace: "chatmail", uid: `uid-${name}`, generation: 1, ...more.metadata },
    spec: { domain: `_${name}.test`, fleetRef: { name: "community" }, ...spec },
    ...(more.status && { status: more.status }),
  };
}
