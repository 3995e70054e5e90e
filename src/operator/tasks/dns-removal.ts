/** Takes the records of a domain away whose server ends: one try. */
import { Failure } from "../../api/failure.ts";
import { type Rfc2136Options, withdraw } from "../../dns/providers/rfc2136.ts";
import type { Problem } from "../problem.ts";

export interface WantedRemoval extends Omit<Rfc2136Options, "random" | "now" | "signal"> {
  /** routes: the MX record alone, so that no new mail comes while the queue is sent. */
  part: "routes" | "all";
  /** Goes on, for a while, although its server no longer exists. */
  detached?: true;
}

export type RemovalStatus =
  /** `routesUntil`: until when others may remember the MX record, where it was ours. */
  { is: "done"; routesUntil?: Date } | { is: "failed"; problem: Problem; tries: number };

/** Throws what is no Failure. */
export async function removeRecords(
  { part, ...options }: WantedRemoval,
  more: Pick<Rfc2136Options, "random" | "now" | "signal"> & { tries: number },
): Promise<RemovalStatus> {
  const { tries, ...rest } = more;
  try {
    return { is: "done", ...(await withdraw(part, { ...options, ...rest })) };
  } catch (thrown) {
    if (!(thrown instanceof Failure)) throw thrown;
    // none of them is ours
    if (thrown.reason === "DnsOwnedByOther") return { is: "done" };
    return { is: "failed", problem: { reason: thrown.reason, message: thrown.message }, tries: tries + 1 };
  }
}
