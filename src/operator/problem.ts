import type { Reason } from "../api/reasons.ts";

/** What is wrong, in one word and in one sentence. */
export interface Problem {
  reason: Reason;
  message: string;
}
