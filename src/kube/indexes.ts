/**
 * Finds objects of a store by a term that they have: an owner's uid, the value of a label, a
 * domain.
 */
import type { Log } from "./log.ts";
import type { KubeObject } from "./object.ts";

export interface Index<T> {
  get(term: string): T[];
}

export type TermsOf<T> = (object: T) => readonly string[];

interface Table<T> {
  termsOf: TermsOf<T>;
  found: Map<string, Map<string, T>>;
}

/** All indexes of one store. An object whose terms can't be read is in none, and reported. */
export class Indexes<T extends KubeObject> {
  readonly #tables: Table<T>[] = [];
  readonly #log: Log | undefined;

  constructor(log?: Log) {
    this.#log = log;
  }

  /** Holds `objects`, which are there already, and from then on what enters and leaves. */
  add(termsOf: TermsOf<T>, objects: Iterable<[key: string, object: T]>): Index<T> {
    const table: Table<T> = { termsOf, found: new Map() };
    this.#tables.push(table);
    for (const [key, object] of objects) this.#enter(table, key, object);
    return { get: (term) => [...(table.found.get(term)?.values() ?? [])] };
  }

  enter(key: string, object: T): void {
    for (const table of this.#tables) this.#enter(table, key, object);
  }

  leave(key: string, object: T): void {
    for (const { termsOf, found } of this.#tables) {
      for (const term of this.#terms(termsOf, key, object)) {
        const objects = found.get(term);
        objects?.delete(key);
        if (objects?.size === 0) found.delete(term);
      }
    }
  }

  #enter({ termsOf, found }: Table<T>, key: string, object: T): void {
    for (const term of this.#terms(termsOf, key, object)) {
      const objects = found.get(term) ?? new Map<string, T>();
      found.set(term, objects.set(key, object));
    }
  }

  #terms(termsOf: TermsOf<T>, key: string, object: T): readonly string[] {
    try {
      return termsOf(object);
    } catch (err) {
      this.#log?.error({ object: key, err }, "object can't be indexed");
      return [];
    }
  }
}

/** A store, as far as an index of it is concerned. */
interface Indexed<T> {
  index(termsOf: TermsOf<T>): Index<T>;
}

/** By the uid of an owner. */
export function byOwner<T extends KubeObject>(store: Indexed<T>): Index<T> {
  return store.index(({ metadata }) => metadata.ownerReferences?.map(({ uid }) => uid) ?? []);
}

/** By "namespace/value" of a label: the key of the object that a label names. */
export function byLabel<T extends KubeObject>(store: Indexed<T>, label: string): Index<T> {
  return store.index(({ metadata }) => {
    const value = metadata.labels?.[label];
    return value === undefined ? [] : [`${metadata.namespace ?? ""}/${value}`];
  });
}
