/** Stores and the watches that keep them filled, for as long as the signal lets them. */
import type { Metrics } from "../lib/metrics.ts";
import type { Client, Selection } from "./client.ts";
import type { Log } from "./log.ts";
import type { KubeObject, Resource } from "./object.ts";
import { Store } from "./store.ts";
import { keepFilled, type WatchPatience } from "./watch.ts";

export interface Watched<T extends KubeObject> extends Omit<Selection, "namespace"> {
  /** Namespaces to watch, one watch each; by default those of the cache. */
  namespaces?: readonly string[];
  /**
   * Makes an object smaller or checks it before it is kept; what it throws is reported and the
   * object left out.
   */
  trim?: (object: T) => T;
  /** Objects with the same answer say mostly the same, and what they say is kept once. */
  alike?: (object: T) => string;
  /**
   * The kind may be unknown to the API server, or not be allowed: nothing waits for it then, and
   * the namespace is not left out.
   */
  optional?: boolean;
}

export class Cache {
  readonly #options: { client: Client; log: Log; signal: AbortSignal; metrics?: Metrics; patience?: WatchPatience };
  readonly #namespaces: readonly string[];
  readonly #stores: { resource: Resource; store: Store<KubeObject>; optional: boolean }[] = [];
  readonly #watches: Promise<void>[] = [];

  /** `namespaces`: where to watch; [""], which is the default, is everywhere. */
  constructor(options: {
    client: Client;
    log: Log;
    signal: AbortSignal;
    namespaces?: readonly string[];
    metrics?: Metrics;
    patience?: WatchPatience;
  }) {
    const { namespaces, ...rest } = options;
    this.#options = rest;
    this.#namespaces = namespaces ?? [""];
    this.#options.metrics?.gauge("kube_store_objects", () => this.#byResource(({ size }) => size));
    this.#options.metrics?.gauge("kube_store_unreadable_objects", () => this.#byResource((store) => store.unreadable));
    this.#options.metrics?.gauge("kube_store_filled", () =>
      [...Map.groupBy(this.#stores, ({ resource }) => resource.plural)].map(([resource, stores]) => ({
        labels: { resource },
        value: stores.every(({ store }) => store.filled) ? 1 : 0,
      })),
    );
    this.#options.metrics?.gauge("kube_store_left_out", () =>
      this.#stores.flatMap(({ resource, store }) =>
        [...store.leftOut.keys()].map((namespace) => ({ labels: { resource: resource.plural, namespace }, value: 1 })),
      ),
    );
  }

  /**
   * Which kind may not be listed in this namespace, and what the API server said; undefined where
   * all may be.
   */
  leftOut(namespace: string): { plural: string; said: string } | undefined {
    for (const { resource, store, optional } of this.#stores) {
      if (optional) continue;
      const said = store.leftOut.get(namespace);
      if (said !== undefined) return { plural: resource.plural, said };
    }
    return undefined;
  }

  /** A store of this kind, being filled from now on. */
  store<T extends KubeObject>(resource: Resource<T>, watched: Watched<T> = {}): Store<T> {
    const { namespaces = this.#namespaces, trim, alike, optional = false, ...selection } = watched;
    const { log } = this.#options;
    const store = new Store<T>({
      scopes: namespaces,
      log,
      optional,
      ...(trim && { trim }),
      ...(alike && { alike }),
    });
    this.#stores.push({ resource, store: store as unknown as Store<KubeObject>, optional });
    for (const namespace of namespaces) {
      const where = { ...selection, ...(namespace && { namespace }) };
      this.#watches.push(keepFilled({ ...this.#options, resource, selection: where, store }));
    }
    return store;
  }

  /** Stores of one kind, with selectors of their own, are added up. */
  #byResource(of: (store: Store<KubeObject>) => number): { labels: { resource: string }; value: number }[] {
    const sums = new Map<string, number>();
    for (const { resource, store } of this.#stores)
      sums.set(resource.plural, (sums.get(resource.plural) ?? 0) + of(store));
    return [...sums].map(([resource, value]) => ({ labels: { resource }, value }));
  }

  get filled(): boolean {
    return this.#stores.every(({ store }) => store.filled);
  }

  /** Resolves when the signal was aborted and every watch has ended. */
  get ended(): Promise<void> {
    return Promise.all(this.#watches).then(() => {});
  }
}
