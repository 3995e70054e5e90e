/**
 * Addresses of this machine beside its own, in the lab's network: one alone may have no more
 * connections than `network.connections.perClient` says. Needs root.
 */
import { execFileSync } from "node:child_process";
import { addresses as lab } from "../../test/lab/place.ts";

/** Below those that containers get, and away from the lab's own. */
const first = 60;

export class MoreAddresses {
  readonly all: readonly string[];
  readonly #device: string;

  /** `host`: what is to be reached from them. */
  constructor(host: string, count: number) {
    this.#device = /\bdev (\S+)/.exec(ip("route", "get", host))?.[1] ?? "";
    this.all = Array.from({ length: count }, (_, at) => lab.gateway.replace(/\d+$/, String(first + at)));
    for (const address of this.all) ip("address", "replace", `${address}/32`, "dev", this.#device);
  }

  remove(): void {
    for (const address of this.all) ip("address", "del", `${address}/32`, "dev", this.#device);
  }
}

const ip = (...args: string[]) => execFileSync("ip", args, { encoding: "utf8" });
