import type { Reason } from "./reasons.ts";

/** "spec": only an edit helps, so wait for one. "world": something outside failed, so try again later. */
export type Fault = "spec" | "world";

/** An expected failure with a stable reason; anything else that is thrown is a bug. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly reason: Reason;
  readonly fault: Fault;

  constructor(reason: Reason, fault: Fault, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.reason = reason;
    this.fault = fault;
  }
}
