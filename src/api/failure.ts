import type { Reason } from "./reasons.ts";

/** An expected failure, by its reason; anything else that is thrown is a bug. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly reason: Reason;

  constructor(reason: Reason, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.reason = reason;
  }
}
