/** Writes to the cluster: the servers that a fleet lists, and its status. */
import type { ChatmailFleetStatus } from "../../api/chatmail-fleet.ts";
import { apiVersion, chatmailFleet } from "../../api/names.ts";
import { ApiError, isApiError } from "../../kube/client.ts";
import { chatmailServers, type World } from "../server/world.ts";
import type { DesiredServers } from "./desired.ts";
import { chatmailFleets, type LiveFleet } from "./fleets.ts";

export interface DoneServers {
  /** Names of those that were sent. */
  sent: string[];
  /** What the API server refused. */
  failures: string[];
  /** How many more are to be sent: next time. */
  left: number;
}

/**
 * A server costs the cluster a pod, a volume and some ten objects: a list of a thousand is worked
 * off over half a minute or more.
 */
const mostAtOnce = 25;

/** Safe to repeat. What is as wanted is not sent. */
export async function applyServers(
  { servers }: DesiredServers,
  world: World,
  signal: AbortSignal,
): Promise<DoneServers> {
  const done: DoneServers = { sent: [], failures: [], left: 0 };
  const isApplied = ({ object, live }: DesiredServers["servers"][number]) =>
    live !== undefined && world.applier.isApplied(chatmailServers, object, live);
  const differing = servers.filter((each) => !isApplied(each));
  for (const { object, live } of differing.slice(0, mostAtOnce)) {
    const { namespace = "", name } = object.metadata;
    // Of one that appears under this name meanwhile nothing is taken over that somebody has set.
    const how = { live, store: world.stores.servers, force: live !== undefined, signal };
    try {
      // the watch is about to bring it, and then it is seen whose it is
      if (!live && (await world.client.get(chatmailServers, { namespace, name }, signal))) continue;
      if ((await world.applier.apply(chatmailServers, object, how)).sent) done.sent.push(name);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      done.failures.push(`ChatmailServer ${name}: ${error.message}`);
    }
  }
  done.left = Math.max(0, differing.length - mostAtOnce);
  return done;
}

/** True when it was sent. */
export async function applyFleetStatus(
  fleet: LiveFleet,
  status: ChatmailFleetStatus,
  world: World,
  signal: AbortSignal,
): Promise<boolean> {
  const { namespace, name } = fleet.metadata;
  const object = { apiVersion, kind: chatmailFleet.kind, metadata: { namespace, name }, status };
  const how = { live: fleet, store: world.fleets.store, force: true, subresource: "status", signal };
  try {
    return (await world.applier.apply(chatmailFleets, object, how)).sent;
  } catch (error) {
    // Deleted meanwhile: there is nobody left to tell.
    if (isApiError(error, 404)) return false;
    throw error;
  }
}
