/**
 * What waits, by name, given out in turns: each name in its turn, and of each name in the order of
 * arrival. A name may have names below it, which take turns among themselves: a path of two is a
 * client and its accounts, say.
 */
export class RoundRobin<T> {
  readonly #own: T[] = [];
  /** The first one has the next turn. */
  readonly #below = new Map<string, RoundRobin<T>>();

  get empty(): boolean {
    return this.#own.length === 0 && this.#below.size === 0;
  }

  names(): string[] {
    return [...this.#below.keys()];
  }

  has(name: string): boolean {
    return this.#below.has(name);
  }

  /** All that waits, or what waits under this name. */
  items(name?: string): T[] {
    if (name !== undefined) return this.#below.get(name)?.items() ?? [];
    return [...this.#own, ...[...this.#below.values()].flatMap((each) => each.items())];
  }

  /** A name that is new comes last. */
  add([name, ...path]: readonly string[], item: T): void {
    if (name === undefined) {
      this.#own.push(item);
      return;
    }
    const below = this.#below.get(name) ?? new RoundRobin<T>();
    this.#below.set(name, below);
    below.add(path, item);
  }

  /**
   * The next one. Where `mayGo` holds it back, all behind it under its name wait too, and the name
   * keeps its place.
   */
  take(mayGo: (item: T) => boolean = () => true): T | undefined {
    for (const [name, below] of this.#below) {
      const taken = below.take(mayGo);
      if (taken === undefined) continue;
      this.#below.delete(name);
      if (!below.empty) this.#below.set(name, below);
      return taken;
    }
    const [first] = this.#own;
    return first !== undefined && mayGo(first) ? this.#own.shift() : undefined;
  }

  /** The newest of this name, or of the one whose turn comes last. */
  removeLast(name = this.names().at(-1)): T | undefined {
    const below = name === undefined ? undefined : this.#below.get(name);
    if (name === undefined || !below) return this.#own.pop();
    const last = below.removeLast();
    if (below.empty) this.#below.delete(name);
    return last;
  }

  /** The others of its name keep their order, and the name its place. */
  remove([name, ...path]: readonly string[], item: T): void {
    if (name === undefined) {
      const at = this.#own.indexOf(item);
      if (at >= 0) this.#own.splice(at, 1);
      return;
    }
    const below = this.#below.get(name);
    below?.remove(path, item);
    if (below?.empty) this.#below.delete(name);
  }
}
