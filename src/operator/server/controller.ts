/** Wires watches, queue and reconcile for ChatmailServers. */
import { labels } from "../../api/names.ts";
import { runWorkers } from "../../kube/controller.ts";
import type { Log } from "../../kube/log.ts";
import { type KubeObject, keyOf } from "../../kube/object.ts";
import { WorkQueue } from "../../kube/queue.ts";
import type { Store } from "../../kube/store.ts";
import { keepFilled } from "../../kube/watch.ts";
import { wait } from "../../lib/wait.ts";
import { reconcileServer } from "./reconcile.ts";
import { ourLabelSelector, type Stores, storeResources, type World } from "./world.ts";

/** Fills the stores for as long as the signal lets it; also while another operator leads, so that taking over is quick. */
export async function watchCluster(
  world: World,
  scopes: readonly string[],
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const watches = scopes.flatMap((scope) =>
    Object.entries(storeResources).map(([name, resource]) =>
      keepFilled({
        client: world.client,
        resource,
        selection: {
          ...(scope && { namespace: scope }),
          ...(name !== "servers" && { labelSelector: ourLabelSelector }),
        },
        store: world.stores[name as keyof Stores] as unknown as Store<KubeObject>,
        signal,
        log,
      }),
    ),
  );
  await Promise.all(watches);
}

export function storesFilled(stores: Stores): boolean {
  return Object.values(stores).every((store) => store.filled);
}

/** Looks after the servers until the signal is aborted and work in hand has ended. */
export async function runServerController(
  world: World,
  options: { workers: number; log: Log; signal: AbortSignal },
): Promise<void> {
  const { workers, log, signal } = options;
  const { stores } = world;
  const queue = new WorkQueue();

  while (!storesFilled(stores) && !signal.aborted) await wait(50, signal);

  stores.servers.listen((change) => {
    const { object } = change;
    // A status that we wrote ourselves needs no second look.
    if (change.type === "changed" && change.before.metadata.generation === object.metadata.generation) return;
    queue.add(keyOf(object));
    // Who waits for this domain may have it now.
    if (change.type === "deleted")
      for (const other of stores.servers.all()) if (other.spec.domain === object.spec.domain) queue.add(keyOf(other));
  });
  const { servers, ...children } = stores;
  for (const store of Object.values(children) as unknown as Store<KubeObject>[])
    store.listen(({ object }) => {
      const name = object.metadata.labels?.[labels.instance];
      const { namespace } = object.metadata;
      if (name && servers.get(namespace, name))
        queue.add(keyOf({ metadata: { name, ...(namespace && { namespace }) } }));
    });
  for (const server of servers.all()) queue.add(keyOf(server));

  await runWorkers({
    queue,
    workers,
    signal,
    log,
    reconcile: (key, within) => reconcileServer(key, world, log, within),
  });
}
