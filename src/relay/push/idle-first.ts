/**
 * What waits, given out by account in turns, accounts that had nothing waiting first (as in RFC
 * 8290 §4): one with thousands waiting delays the others by one each, and a message to an account
 * that was idle not even by that. Other than in RoundRobin, an account whose first item may not go
 * yet gives its next one, and a new one does not come last. Pure but for its own state.
 */
export class IdleFirst<T> {
  /** What waits, by account, in its order. */
  readonly #waiting = new Map<string, T[]>();
  /**
   * Whose turn comes first, and after them; an account is in one of them. One that is empty leaves
   * when its turn comes.
   */
  #fresh: string[] = [];
  #served: string[] = [];

  add(account: string, item: T): void {
    const own = this.#waiting.get(account);
    if (own) own.push(item);
    else {
      this.#waiting.set(account, [item]);
      this.#fresh.push(account);
    }
  }

  /** The next one that `isFree` lets go; others keep their places. */
  take(isFree: (item: T) => boolean): T | undefined {
    return this.#from("fresh", isFree) ?? this.#from("served", isFree);
  }

  remove(account: string, item: T): void {
    const own = this.#waiting.get(account) ?? [];
    const at = own.indexOf(item);
    if (at >= 0) own.splice(at, 1);
  }

  #from(list: "fresh" | "served", isFree: (item: T) => boolean): T | undefined {
    const accounts = list === "fresh" ? this.#fresh : this.#served;
    for (const [place, account] of accounts.entries()) {
      const own = this.#waiting.get(account) ?? [];
      const at = own.findIndex(isFree);
      if (at < 0 && own.length > 0) continue;
      const [item] = at < 0 ? [] : own.splice(at, 1);
      accounts.splice(place, 1);
      // an account that has just become empty stays for one turn, or it would come first again at
      // once
      if (item === undefined) this.#waiting.delete(account);
      else {
        this.#served.push(account);
        return item;
      }
      return this.#from(list, isFree);
    }
    return undefined;
  }
}
