/** What a controller listens to, and whose work each change is. */
import type { Log } from "./log.ts";
import { type KubeObject, keyOf, type Resource } from "./object.ts";
import type { Priority, WorkQueue } from "./queue.ts";
import type { Change, Store } from "./store.ts";

export interface Source {
  whenFilled(signal: AbortSignal): Promise<void>;
  /** Listens from now on, and adds what is there already. Returns what ends it. */
  start: (queue: WorkQueue, log: Log) => () => void;
  /** Everything once more. */
  sweep(queue: WorkQueue): void;
}

/** The keys whose work a change is. */
export type Mapping<T extends KubeObject> = (change: Change<T>) => Iterable<string>;

/**
 * The objects that are reconciled themselves. A change that leaves spec, labels, annotations and
 * finalizers as they were (a status, most often our own) is not heard. Responses to our own writes
 * do trigger: they may contain an edit that the watch has not delivered.
 */
export function from<T extends KubeObject>(store: Store<T>): Source {
  return source(store, {
    priority: "edit",
    mapping: (change) => (isOfStatusOnly(change) ? [] : [keyOf(change.object)]),
    swept: true,
  });
}

/**
 * Others that concern them: `mapping` says whose work a change is. Hears all changes, `own` ones
 * too.
 */
export function fromMapped<T extends KubeObject>(store: Store<T>, mapping: Mapping<T>): Source {
  return source(store, { priority: "change", mapping, swept: false });
}

/**
 * Children: the work of the owner of that kind, also of one whose reference was taken away. What we
 * wrote ourselves is not heard until somebody changes it.
 */
export function fromOwned<T extends KubeObject>(
  store: Store<T>,
  owner: Pick<Resource, "kind" | "group" | "clusterScoped">,
): Source {
  const ownersOf = ({ metadata }: T) => {
    const namespace = owner.clusterScoped ? undefined : metadata.namespace;
    return (metadata.ownerReferences ?? [])
      .filter(({ kind, apiVersion }) => kind === owner.kind && groupOf(apiVersion) === owner.group)
      .map(({ name }) => keyOf({ metadata: { name, ...(namespace && { namespace }) } }));
  };
  return fromMapped(store, (change) => {
    if (change.own) return [];
    return new Set([...ownersOf(change.object), ...(change.type === "changed" ? ownersOf(change.before) : [])]);
  });
}

function source<T extends KubeObject>(
  store: Store<T>,
  options: { priority: Priority; mapping: Mapping<T>; swept: boolean },
): Source {
  const { priority, mapping, swept } = options;
  const sweep = (queue: WorkQueue) => {
    if (swept) for (const object of store.all()) queue.add(keyOf(object), "sweep");
  };
  return {
    whenFilled: (signal) => store.whenFilled(signal),
    start(queue, log) {
      const end = store.listen((change) => {
        try {
          for (const key of mapping(change)) queue.add(key, priority);
        } catch (err) {
          log.error(
            { object: keyOf(change.object), kind: change.object.kind, err },
            "owner of the changed object not found",
          );
        }
      });
      sweep(queue);
      return end;
    },
    sweep,
  };
}

function isOfStatusOnly<T extends KubeObject>(change: Change<T>): boolean {
  if (change.type !== "changed") return false;
  const [now, before] = [change.object.metadata, change.before.metadata];
  // Kinds without a generation, such as ConfigMap, tell nothing by it.
  if (now.generation === undefined || now.generation !== before.generation) return false;
  const text = ({ labels, annotations, finalizers, deletionTimestamp }: typeof now) =>
    JSON.stringify([labels, annotations, finalizers, deletionTimestamp]);
  return text(now) === text(before);
}

function groupOf(apiVersion: string): string {
  return apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "";
}
