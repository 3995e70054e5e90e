/**
 * One delivery to a mailbox at a time. Of several, Dovecot lets one have the mailbox's lock; the
 * others write their mail without a number, and then read the whole mailbox to give it one.
 */
import { within } from "../../lib/within.ts";

export class Turns {
  readonly #busy = new Map<string, Promise<void>>();

  /**
   * Waits until none of the mailboxes is in use, and takes them all; undefined where that takes
   * longer. To be called when they are free again.
   */
  async take(mailboxes: readonly string[], waitMs: number): Promise<(() => void) | undefined> {
    const end = performance.now() + waitMs;
    for (let busy = this.#oneOf(mailboxes); busy; busy = this.#oneOf(mailboxes)) {
      const leftMs = end - performance.now();
      if (leftMs <= 0) return undefined;
      await within(busy, leftMs, undefined);
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    for (const each of mailboxes) this.#busy.set(each, promise);
    return () => {
      for (const each of mailboxes) this.#busy.delete(each);
      resolve();
    };
  }

  #oneOf(mailboxes: readonly string[]): Promise<void> | undefined {
    const busy = mailboxes.find((each) => this.#busy.has(each));
    return busy === undefined ? undefined : this.#busy.get(busy);
  }
}
