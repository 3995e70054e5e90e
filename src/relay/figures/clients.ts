/**
 * From how many addresses clients come. Where a load balancer hides them, all come from one. In
 * memory alone, and bounded; what leaves here are counts.
 */
import { BoundedMap } from "../../lib/bounded-map.ts";
import { clientKey } from "../accounts/client.ts";
import { clientFigures } from "./policy.ts";

const mostAccounts = 5_000;
/** A phone that was elsewhere yesterday says nothing of the way that clients take today. */
const rememberedMs = 86_400_000;

export class ClientAddresses {
  readonly #now: () => number;
  /** By account, the client of its last login. */
  readonly #last = new BoundedMap<string, { client: string; at: number }>(mostAccounts);

  constructor(now: () => number) {
    this.#now = now;
  }

  /** A login that succeeded. */
  note(account: string, from: string): void {
    const client = clientKey(from);
    if (client !== undefined) this.#last.set(account, { client, at: this.#now() });
  }

  figures(): ReturnType<typeof clientFigures> {
    const since = this.#now() - rememberedMs;
    return clientFigures([...this.#last.values()].filter(({ at }) => at >= since).map(({ client }) => client));
  }
}
