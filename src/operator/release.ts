/**
 * `operator release`, which the chart runs before it is removed: no server is left with a finalizer
 * that nobody is there to take away, and no namespace belongs to an operator that is gone.
 */
import { type Client, isApiError } from "../kube/client.ts";
import { resources } from "../kube/kinds.ts";
import { leaseTimes } from "../kube/lease.ts";
import { claimOf } from "../kube/lease-state.ts";
import type { Log } from "../kube/log.ts";
import { wait } from "../lib/wait.ts";
import { releaseAll } from "./server/retire.ts";
import type { World } from "./server/world.ts";

/** Longer than the rest of the removal takes. */
const heldMs = 60_000;

export async function releaseServers(options: {
  world: World;
  client: Client;
  lease: { namespace: string; name: string };
  identity: string;
  log: Log;
  signal: AbortSignal;
  /** How long an operator needs that finds its lease taken. */
  settleMs?: number;
}): Promise<void> {
  const { world, lease, log, signal, settleMs = leaseTimes.renewWithinMs } = options;
  if (await takeLease(options)) await wait(settleMs, signal);
  await world.stores.servers.whenFilled(signal);
  signal.throwIfAborted();
  const servers = await releaseAll({ world, log, signal });
  const namespaces = new Set(world.stores.servers.all().map(({ metadata }) => metadata.namespace));
  await world.ownership.leaveAll(namespaces, signal);
  log.info({ servers, lease: lease.name }, "all servers released");
}

/**
 * From whoever leads: an operator that works on would put the finalizers back. False where there is
 * no lease.
 */
async function takeLease({ client, lease, identity, signal }: Parameters<typeof releaseServers>[0]): Promise<boolean> {
  for (let tries = 1; ; tries++) {
    const found = await client.get(resources.lease, lease, signal);
    if (!found) return false;
    const spec = claimOf(found.spec, { identity, lastsMs: heldMs, now: new Date() });
    try {
      await client.replace(resources.lease, { ...found, spec }, signal);
      return true;
    } catch (error) {
      // the leader has renewed it meanwhile
      if (!isApiError(error, 409) || tries >= 10) throw error;
    }
  }
}
