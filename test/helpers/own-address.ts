/**
 * An address of this machine in the lab's network for one test file or bench alone. What listens
 * there at a well-known port is in no other file's way, and hears of nobody else's mail; clients
 * that come from there count for themselves. The lab's network has to be up.
 */

import { addresses } from "../lab/place.ts";
import { ip } from "../lab/routes.ts";

export interface OwnAddress {
  address: string;
  /** Gives it back. */
  remove(): Promise<void>;
}

/** Last numbers, below what containers get, and away from the lab's own. */
const [first, last] = [10, 50];

export async function ownAddress(): Promise<OwnAddress> {
  const device = /\bdev (\S+)/.exec(await ip(["route", "get", addresses.names]))?.[1] ?? "";
  for (let number = first; ; number++) {
    const address = addresses.gateway.replace(/\d+$/, String(number));
    const place = [`${address}/32`, "dev", device];
    try {
      // who adds it first has it
      await ip(["address", "add", ...place]);
      return { address, remove: async () => void (await ip(["address", "del", ...place])) };
    } catch (thrown) {
      if (number === last) throw thrown;
    }
  }
}
