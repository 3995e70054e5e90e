/** One question about a server, and the words that all answers share. */
import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { type Reason, reasons } from "../../../api/reasons.ts";
import type { Problem } from "../../problem.ts";
import type { Seen } from "../seen.ts";

/** A reason whose meaning says all. */
export const fine = (reason: Reason) => ({ reason, message: reasons[reason].meaning });

/** One question; the answer is what is wrong. */
export type Check = (seen: Seen, server: ChatmailServer, now: Date) => Problem | undefined;

/** Nothing is created: what is missing stays missing until a person changes that. */
export const isAtRest = ({ spec }: ChatmailServer) => spec.management !== "Managed";

export const notCreated = (server: ChatmailServer, what: string): Problem => {
  const { management } = server.spec;
  const reason = management === "Unmanaged" ? "Unmanaged" : "Paused";
  return { reason, message: `there is no ${what}, and none is created while the server is ${management}` };
};

export function firstProblem(
  checks: readonly Check[],
  seen: Seen,
  server: ChatmailServer,
  now: Date,
): Problem | undefined {
  for (const check of checks) {
    const problem = check(seen, server, now);
    if (problem) return problem;
  }
  return undefined;
}
