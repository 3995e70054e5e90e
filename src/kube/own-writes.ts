/**
 * What we wrote and the watch has not brought yet: it stays known although the watch is still
 * behind (read your writes), and what others wrote just before us, which our write has hidden, is
 * told all the same.
 */
import type { KubeObject } from "./object.ts";
import { isOlder } from "./resource-version.ts";

interface Written<T> {
  /**
   * What was known before the first of these writes, or of others since then; undefined: nothing.
   */
  before: T | undefined;
  /** The versions that are our writes. */
  readonly own: Set<string>;
  /** It has outlived a list that was older. */
  survived: boolean;
}

/** A change by others that our own write has hidden. */
export type Hidden<T> = { type: "added"; object: T } | { type: "changed"; object: T; before: T };

export class OwnWrites<T extends KubeObject> {
  readonly #written = new Map<string, Written<T>>();

  /**
   * The record of one more write, to be kept once the store has the object. `before`: what the
   * store knows under this uid.
   */
  next(key: string, { version, before }: { version: string | undefined; before: T | undefined }): Written<T> {
    const written = (before && this.#written.get(key)) || { before, own: new Set(), survived: false };
    written.survived = false;
    if (version !== undefined) written.own.add(version);
    return written;
  }

  keep(key: string, written: Written<T>): void {
    this.#written.set(key, written);
  }

  /** The answer to a write came after the watch had brought something newer. */
  late(key: string, version: string | undefined): void {
    if (version !== undefined) this.#written.get(key)?.own.add(version);
  }

  /** The watch, or a list, has come to this object, or it is gone. */
  forget(key: string): void {
    this.#written.delete(key);
  }

  /**
   * The watch brings `object`, which is older than `known`, our write: where it is new to us and
   * not ours, it is told of.
   */
  hidden(key: string, object: T, known: T): Hidden<T> | undefined {
    const written = this.#written.get(key);
    const { uid, resourceVersion: version = "" } = object.metadata;
    if (!written || uid !== known.metadata.uid || written.own.has(version)) return undefined;
    const { before } = written;
    if (before && !isOlder(before.metadata.resourceVersion, version)) return undefined;
    written.before = object;
    return changeOf(known, before);
  }

  /** What our write of `known` may have hidden, for a list, which does not say. */
  hiddenBefore(key: string, known: T | undefined): Hidden<T> | undefined {
    const written = this.#written.get(key);
    return written && known && changeOf(known, written.before);
  }

  /** Ours, and newer than what was listed. Only once: then the list is right after all. */
  outlives(key: string, object: T, listed: string | undefined): boolean {
    const written = this.#written.get(key);
    if (!written || written.survived || !isOlder(listed, object.metadata.resourceVersion)) return false;
    written.survived = true;
    return true;
  }
}

function changeOf<T>(object: T, before: T | undefined): Hidden<T> {
  return before ? { type: "changed", object, before } : { type: "added", object };
}
