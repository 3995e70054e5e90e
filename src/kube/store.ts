/**
 * What we know of the cluster's objects of one kind, and who wants to hear of changes. Objects are
 * frozen. A state never gives way to an older one: what we wrote ourselves is known at once and
 * stays, although the watch is still behind (read your writes).
 */
import { whenAborted } from "../lib/aborted.ts";
import { BoundedMap } from "../lib/bounded-map.ts";
import { messageOf } from "../lib/text.ts";
import { deepFreeze } from "./freeze.ts";
import { type Index, Indexes } from "./indexes.ts";
import type { Log } from "./log.ts";
import { type KubeObject, keyOf } from "./object.ts";
import { OwnWrites } from "./own-writes.ts";
import { isOlder, newest } from "./resource-version.ts";
import { sharingWith } from "./sharing.ts";

/**
 * `own`: the server's answer to a write of ours, told before the watch brings it. What somebody
 * else wrote just before us is in it too: that is told once more, without `own`, when the watch (or
 * a list) comes to it.
 */
export type Change<T extends KubeObject> = { own?: true } & (
  | { type: "added"; object: T }
  | { type: "changed"; object: T; before: T }
  | { type: "deleted"; object: T }
);

/** Called within the watch loop: only marks work to be done, never does it. */
export type Listener<T extends KubeObject> = (change: Change<T>) => void;

/** Names that people choose, such as those of Jobs, may make every object unlike the others. */
const mostModels = 16;

export class Store<T extends KubeObject = KubeObject> {
  readonly #objects = new Map<string, T>();
  readonly #listeners = new Set<Listener<T>>();
  readonly #indexes: Indexes<T>;
  readonly #scopes: readonly string[];
  readonly #scopesToFill: Set<string>;
  /** Namespaces that may not be listed, with what the server said. */
  readonly #leftOut = new Map<string, string>();
  readonly #waiters: (() => void)[] = [];
  readonly #trim: (object: T) => T;
  readonly #log: Log | undefined;
  readonly #optional: boolean;
  /** By scope, how far the watch has come. */
  readonly #seen = new Map<string, string>();
  readonly #ownWrites = new OwnWrites<T>();
  readonly #prepared = new WeakSet<T>();
  /**
   * By what is alike, the one that was read last: what the next has in common with it is kept once.
   */
  readonly #models = new BoundedMap<string, T>(mostModels);
  readonly #alike: (object: T) => string;
  /** Objects that could not be read, by key, so that each is reported once. */
  readonly #unreadable = new Map<string, string>();

  /**
   * `scopes`: the namespaces that have to be listed once before the store counts as filled ("" for
   * all). `trim` makes an object smaller, or checks it, before it is kept: an object for which it
   * throws is reported and left as it was. `alike`: objects with the same answer say mostly the
   * same. `optional`: nobody has to wait for any of the scopes where they may not be listed.
   */
  constructor(
    options: {
      scopes?: readonly string[];
      trim?: (object: T) => T;
      alike?: (object: T) => string;
      log?: Log;
      optional?: boolean;
    } = {},
  ) {
    this.#optional = options.optional ?? false;
    this.#scopes = options.scopes ?? [""];
    this.#scopesToFill = new Set(this.#scopes);
    this.#trim = options.trim ?? ((object) => object);
    this.#alike = options.alike ?? (() => "");
    this.#log = options.log;
    this.#indexes = new Indexes(options.log);
  }

  /** Every scope was listed, or is left out; not all are left out, unless the kind is optional. */
  get filled(): boolean {
    const { size } = this.#scopesToFill;
    const enough = this.#optional || size < this.#scopes.length;
    return size === 0 || (enough && [...this.#scopesToFill].every((each) => this.#leftOut.has(each)));
  }

  /**
   * Namespaces whose objects may not be listed, with what the server said. What was known of them
   * stays.
   */
  get leftOut(): ReadonlyMap<string, string> {
    return this.#leftOut;
  }

  get size(): number {
    return this.#objects.size;
  }

  /** How many objects could not be read. */
  get unreadable(): number {
    return this.#unreadable.size;
  }

  /**
   * Nobody waits for this namespace any more: it may not be listed. The whole cluster can't be left
   * out, but where the kind is optional.
   */
  leaveOut(scope: string, why: string): void {
    if (scope === "" && !this.#optional) return;
    this.#leftOut.set(scope, why);
    this.#wakeIfFilled();
  }

  #wakeIfFilled(): void {
    if (this.filled) for (const wake of this.#waiters.splice(0)) wake();
  }

  /** Resolves when every scope was listed or left out, or when the signal is aborted. */
  async whenFilled(signal: AbortSignal): Promise<void> {
    if (this.filled || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const forget = whenAborted(signal, resolve);
      this.#waiters.push(() => {
        forget();
        resolve();
      });
    });
  }

  get(namespace: string | undefined, name: string): T | undefined {
    return this.#objects.get(`${namespace ?? ""}/${name}`);
  }

  /** By "namespace/name". */
  at(key: string): T | undefined {
    return this.#objects.get(key);
  }

  all(): T[] {
    return [...this.#objects.values()];
  }

  /** Kept up to date from now on; up to date before listeners hear of a change. */
  index(termsOf: (object: T) => readonly string[]): Index<T> {
    return this.#indexes.add(termsOf, this.#objects);
  }

  /** Returns what ends it. */
  listen(listener: Listener<T>): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * One object as the watch brings it. A new uid under an old name is a deletion and an addition.
   */
  put(incoming: T): void {
    const object = this.#read(incoming);
    if (!object) return;
    const key = keyOf(object);
    this.reached(this.#scopeOf(object), object.metadata.resourceVersion);
    const known = this.#objects.get(key);
    if (known && isOlder(object.metadata.resourceVersion, known.metadata.resourceVersion)) {
      const hidden = this.#ownWrites.hidden(key, object, known);
      if (hidden) this.#tell(hidden);
      return;
    }
    this.#ownWrites.forget(key);
    this.#set(key, object);
  }

  /**
   * One object as the server answered our own write: known at once. Listeners hear of it as `own`,
   * and not again from the watch unless somebody else wrote too.
   */
  wrote(incoming: T): void {
    const object = this.#read(incoming);
    if (!object) return;
    const key = keyOf(object);
    const version = object.metadata.resourceVersion;
    const before = this.#objects.get(key);
    const same = before?.metadata.uid === object.metadata.uid;
    // The watch, or a later write's answer, was faster: what was told since then holds, also that
    // the object is gone.
    if (before ? isOlder(version, before.metadata.resourceVersion) : this.#hasPassed(object)) {
      if (same) this.#ownWrites.late(key, version);
      return;
    }
    if (before?.metadata.resourceVersion === version && version !== undefined) return;
    const written = this.#ownWrites.next(key, { version, before: same ? before : undefined });
    this.#set(key, object, true);
    this.#ownWrites.keep(key, written);
  }

  /** One object that the watch tells to be gone. */
  remove(object: KubeObject): void {
    if (!hasName(object)) return;
    const key = keyOf(object);
    const { uid, resourceVersion } = object.metadata;
    this.reached(this.#scopeOf(object), resourceVersion);
    this.#unreadable.delete(key);
    const before = this.#objects.get(key);
    if (!before) return;
    // We know its successor already.
    if (before.metadata.uid !== uid && isOlder(resourceVersion, before.metadata.resourceVersion)) return;
    this.#drop(key, before);
  }

  /**
   * The whole of one scope after a list: what is not in it is gone, unless we wrote it after the
   * list was made.
   */
  replace(scope: string, objects: readonly T[], resourceVersion?: string): void {
    const keys = new Set(objects.filter(hasName).map(keyOf));
    for (const key of this.#unreadable.keys())
      if ((scope === "" || key.startsWith(`${scope}/`)) && !keys.has(key)) this.#unreadable.delete(key);
    for (const [key, object] of [...this.#objects]) {
      if ((scope !== "" && object.metadata.namespace !== scope) || keys.has(key)) continue;
      if (this.#ownWrites.outlives(key, object, resourceVersion)) continue;
      this.#drop(key, object);
    }
    for (const incoming of objects) {
      const object = this.#read(incoming);
      if (!object) continue;
      const key = keyOf(object);
      const before = this.#objects.get(key);
      if (before && this.#ownWrites.outlives(key, before, object.metadata.resourceVersion)) continue;
      const hidden = this.#ownWrites.hiddenBefore(key, before);
      this.#ownWrites.forget(key);
      this.#set(key, object);
      // What others wrote before us, and the watch would have brought, may be in it.
      if (hidden && before === this.#objects.get(key)) this.#tell(hidden);
    }
    // A list is the truth, also after the server was put back from a backup and counts from a lower
    // number.
    if (resourceVersion !== undefined) this.#seen.set(scope, resourceVersion);
    this.#leftOut.delete(scope);
    this.#scopesToFill.delete(scope);
    this.#wakeIfFilled();
  }

  /** The watch has told all changes of this scope up to here. */
  reached(scope: string, resourceVersion: string | undefined): void {
    const version = newest(this.#seen.get(scope), resourceVersion);
    if (version !== undefined) this.#seen.set(scope, version);
  }

  #hasPassed(object: T): boolean {
    const { resourceVersion } = object.metadata;
    const seen = this.#seen.get(this.#scopeOf(object));
    return seen !== undefined && !isOlder(seen, resourceVersion) && resourceVersion !== undefined;
  }

  #scopeOf({ metadata }: KubeObject): string {
    return this.#scopes.includes("") ? "" : (metadata.namespace ?? "");
  }

  /**
   * Reads objects ahead of `replace`, so that a list of many pages is never whole in memory as it
   * came.
   */
  prepared(objects: readonly T[]): T[] {
    return objects.map((incoming) => {
      const object = this.#read(incoming);
      if (object) this.#prepared.add(object);
      return object ?? incoming;
    });
  }

  /**
   * Undefined when it can't be read: reported once for each version, and what was known of it
   * stays.
   */
  #read(incoming: T): T | undefined {
    if (this.#prepared.has(incoming)) return incoming;
    try {
      if (!hasName(incoming)) throw new Error("an object without a name");
      const known = this.#objects.get(keyOf(incoming));
      // the watch brings what the answer to a write had, and a list what is known
      if (known && isSameState(known, incoming)) {
        this.#unreadable.delete(keyOf(known));
        return known;
      }
      const alike = this.#alike(incoming);
      const object = deepFreeze(sharingWith(this.#trim(incoming), this.#models.get(alike)));
      this.#models.set(alike, object);
      this.#unreadable.delete(keyOf(object));
      return object;
    } catch (error) {
      const key = hasName(incoming) ? keyOf(incoming) : "";
      const said = `${incoming?.metadata?.resourceVersion} ${messageOf(error)}`;
      if (this.#unreadable.get(key) === said) return undefined;
      this.#unreadable.set(key, said);
      this.#log?.warn({ object: key, kind: incoming?.kind, err: error }, "object can't be read, left as it was");
      return undefined;
    }
  }

  #set(key: string, object: T, own = false): void {
    let before = this.#objects.get(key);
    if (before && before.metadata.uid !== object.metadata.uid) {
      this.#drop(key, before);
      before = undefined;
    }
    const version = object.metadata.resourceVersion;
    // After a reconnection, and after a write of ours, the same state comes twice.
    if (before && version !== undefined && before.metadata.resourceVersion === version) return;
    if (before) this.#indexes.leave(key, before);
    this.#indexes.enter(key, object);
    this.#objects.set(key, object);
    const mark = own ? ({ own: true } as const) : {};
    this.#tell(before ? { type: "changed", object, before, ...mark } : { type: "added", object, ...mark });
  }

  #drop(key: string, object: T): void {
    this.#objects.delete(key);
    this.#ownWrites.forget(key);
    this.#indexes.leave(key, object);
    this.#tell({ type: "deleted", object });
  }

  /** A listener that throws harms no other, and not the watch. */
  #tell(change: Change<T>): void {
    for (const listener of this.#listeners) {
      try {
        listener(change);
      } catch (err) {
        this.#log?.error({ object: keyOf(change.object), err }, "listener failed");
      }
    }
  }
}

function isSameState({ metadata: one }: KubeObject, { metadata: other }: KubeObject): boolean {
  return one.uid === other.uid && one.resourceVersion === other.resourceVersion && one.resourceVersion !== undefined;
}

function hasName(object: KubeObject | undefined): object is KubeObject {
  return typeof object?.metadata?.name === "string";
}
