/**
 * Right passwords and where they came from: a client that has logged in before does not wait behind
 * strangers. In memory, bounded.
 */
import { createHmac, randomBytes } from "node:crypto";
import { BoundedMap } from "../../lib/bounded-map.ts";
import { pairKey } from "./failures.ts";

const maxRemembered = 10_000;

/** A set whose members expire; when it is full, the one added longest ago is removed. */
class Expiring {
  readonly #until = new BoundedMap<string, number>(maxRemembered);
  readonly #now: () => number;
  readonly #keepMs: number;

  constructor(now: () => number, keepMs: number) {
    this.#now = now;
    this.#keepMs = keepMs;
  }

  has(key: string): boolean {
    return (this.#until.get(key) ?? 0) > this.#now();
  }

  add(key: string): void {
    this.#until.set(key, this.#now() + this.#keepMs);
  }
}

/**
 * Clients connect again and again with the same password; hashing it each time would cost 2 ms of
 * CPU. Kept is a digest, keyed with a secret of this process, of stored hash and password together:
 * it is worth nothing outside the process, and any change of the stored hash ends it.
 */
export class RememberedPasswords {
  readonly #secret = randomBytes(32);
  readonly #passwords: Expiring;

  constructor(now: () => number) {
    this.#passwords = new Expiring(now, 86_400_000);
  }

  has(crypt: string, password: string): boolean {
    return this.#passwords.has(this.key(crypt, password));
  }

  add(crypt: string, password: string): void {
    this.#passwords.add(this.key(crypt, password));
  }

  key(crypt: string, password: string): string {
    return createHmac("sha256", this.#secret).update(`${crypt}\0${password}`).digest("base64");
  }
}

/** Clients that have logged in to an account within the last 30 days. */
export class KnownClients {
  readonly #pairs: Expiring;

  constructor(now: () => number) {
    this.#pairs = new Expiring(now, 30 * 86_400_000);
  }

  has(client: string, account: string): boolean {
    return this.#pairs.has(pairKey(client, account));
  }

  add(client: string, account: string): void {
    this.#pairs.add(pairKey(client, account));
  }
}
