/** What we know of the cluster's objects of one kind, and who wants to hear of changes. */
import { type KubeObject, keyOf } from "./object.ts";

export type Change<T extends KubeObject> =
  | { type: "added"; object: T }
  | { type: "changed"; object: T; before: T }
  | { type: "deleted"; object: T };

/** Called within the watch loop: only marks work to be done, never does it. */
export type Listener<T extends KubeObject> = (change: Change<T>) => void;

export class Store<T extends KubeObject = KubeObject> {
  readonly #objects = new Map<string, T>();
  readonly #listeners: Listener<T>[] = [];
  readonly #scopesToFill: Set<string>;
  readonly #trim: (object: T) => T;

  /** `scopes`: the namespaces that have to be listed once before the store counts as filled ("" for all). `trim` makes an object smaller before it is kept. */
  constructor(options: { scopes?: readonly string[]; trim?: (object: T) => T } = {}) {
    this.#scopesToFill = new Set(options.scopes ?? [""]);
    this.#trim = options.trim ?? ((object) => object);
  }

  get filled(): boolean {
    return this.#scopesToFill.size === 0;
  }

  get size(): number {
    return this.#objects.size;
  }

  get(namespace: string | undefined, name: string): T | undefined {
    return this.#objects.get(keyOf({ metadata: { ...(namespace && { namespace }), name } }));
  }

  all(): T[] {
    return [...this.#objects.values()];
  }

  listen(listener: Listener<T>): void {
    this.#listeners.push(listener);
  }

  /** One object as the API server has it now. A new uid under an old name is a deletion and an addition. */
  put(incoming: T): void {
    const object = this.#trim(incoming);
    const key = keyOf(object);
    const before = this.#objects.get(key);
    if (before && before.metadata.uid !== object.metadata.uid) {
      this.#objects.delete(key);
      this.#tell({ type: "deleted", object: before });
    }
    const same = before?.metadata.uid === object.metadata.uid ? before : undefined;
    // After a reconnection the same state may come twice.
    if (
      same?.metadata.resourceVersion !== undefined &&
      same.metadata.resourceVersion === object.metadata.resourceVersion
    )
      return;
    this.#objects.set(key, object);
    this.#tell(same ? { type: "changed", object, before: same } : { type: "added", object });
  }

  remove(object: T): void {
    const before = this.#objects.get(keyOf(object));
    if (!before) return;
    this.#objects.delete(keyOf(object));
    this.#tell({ type: "deleted", object: before });
  }

  /** The whole of one scope after a list: what is not in it is gone. */
  replace(scope: string, objects: readonly T[]): void {
    const keys = new Set(objects.map(keyOf));
    const gone = this.all().filter(
      (object) => (scope === "" || object.metadata.namespace === scope) && !keys.has(keyOf(object)),
    );
    for (const object of gone) this.remove(object);
    for (const object of objects) this.put(object);
    this.#scopesToFill.delete(scope);
  }

  #tell(change: Change<T>): void {
    for (const listener of this.#listeners) listener(change);
  }
}
