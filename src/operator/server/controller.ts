/** Whose work a change is, and the loop that does it. */
import { annotations, issuedTlsEnding, labels } from "../../api/names.ts";
import { runController } from "../../kube/controller.ts";
import type { Log } from "../../kube/log.ts";
import { type KubeObject, keyOf } from "../../kube/object.ts";
import { from, fromMapped, type Source } from "../../kube/source.ts";
import type { Store } from "../../kube/store.ts";
import type { Metrics } from "../../lib/metrics.ts";
import { reconcileServer } from "./reconcile.ts";
import type { LiveServer, World } from "./world.ts";

const logLevels = ["error", "warn", "info", "debug", "trace"];

/** Looks after the servers until the signal is aborted and work in hand has ended. */
export async function runServerController(
  world: World,
  options: { workers: number; log: Log; signal: AbortSignal; metrics?: Metrics },
): Promise<void> {
  const { log, signal, metrics } = options;
  await Promise.all([
    world.ownership.run(signal),
    world.relays.run({ log, signal, ...(metrics && { metrics }) }),
    world.names.run({ log, signal, ...(metrics && { metrics }) }),
    world.certificates.run({ log, signal, ...(metrics && { metrics }) }),
    world.served.run({ log, signal, ...(metrics && { metrics }) }),
    runController({
      ...options,
      name: "chatmailserver",
      sources: sourcesOf(world),
      reconcile: (key, run) => reconcileServer(key, world, run.log, run.signal),
      levelOf: (key) => {
        const level = world.stores.servers.at(key)?.metadata.annotations?.[annotations.logLevel];
        return level !== undefined && logLevels.includes(level) ? level : undefined;
      },
    }),
  ]);
}

const isAnotherSpec = (before: LiveServer, now: LiveServer) =>
  before.metadata.generation !== now.metadata.generation ||
  before.metadata.deletionTimestamp !== now.metadata.deletionTimestamp;

function sourcesOf(world: World): Source[] {
  const { servers, ...children } = world.stores;
  // A volume that outlives its server has no owner, but the label of its server's name.
  const serverOf = ({ metadata }: KubeObject): string[] => {
    const name = metadata.labels?.[labels.server];
    const { namespace } = metadata;
    return name && servers.get(namespace, name) ? [keyOf({ metadata: { name, ...(namespace && { namespace }) } })] : [];
  };
  return [
    from(servers),
    // Who waits for this domain may have it now: this one was deleted, or its spec became another.
    fromMapped(servers, (change) =>
      change.type === "deleted" || (change.type === "changed" && isAnotherSpec(change.before, change.object))
        ? world.serversByDomain.get(change.object.spec?.domain ?? "").map(keyOf)
        : [],
    ),
    world.fleets.memberSource,
    ...world.eventStores.map((store) =>
      fromMapped(store, ({ object }) => {
        const { kind, namespace, name = "" } = object.involvedObject ?? {};
        const stores = {
          StatefulSet: children.statefulSets,
          Pod: children.pods,
          PersistentVolumeClaim: children.volumeClaims,
        };
        const about = stores[kind as keyof typeof stores]?.get(namespace, name);
        return about ? serverOf(about) : [];
      }),
    ),
    world.relays.source(serverOf),
    world.rollouts.source(),
    world.names.source(),
    world.certificates.source(),
    world.served.source(),
    fromMapped(world.otherSecrets, ({ object }) => world.serversBySecret.get(keyOf(object)).map(keyOf)),
    // what cert-manager has issued
    fromMapped(world.otherSecrets, ({ object: { metadata } }) => {
      const { namespace, name } = metadata;
      const server = name.endsWith(issuedTlsEnding) && servers.get(namespace, name.slice(0, -issuedTlsEnding.length));
      return server ? [keyOf(server)] : [];
    }),
    fromMapped(world.otherConfigMaps, ({ object }) => world.serversByConfigMap.get(keyOf(object)).map(keyOf)),
    ...(Object.values(children) as unknown as Store<KubeObject>[]).map((store) =>
      fromMapped(store, ({ object, own }) => (own ? [] : serverOf(object))),
    ),
  ];
}
