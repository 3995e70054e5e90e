import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { expiryTime } from "../expiry-time.ts";
import type { Verdict } from "../progress.ts";
import type { Seen } from "../seen.ts";
import { fine } from "./check.ts";
import { lastFailure } from "./last-failure.ts";

const dayMs = 86_400_000;

/** It runs each day: two days without success is not a matter of minutes. */
export const expiryLateAfterMs = 2 * dayMs;

export function expiryVerdict(server: ChatmailServer, { cronJob, jobs }: Seen, now: Date): Verdict {
  const succeeded = cronJob?.status?.lastSuccessfulTime;
  const failure = lastFailure(cronJob, jobs);
  if (failure)
    return {
      status: "False",
      reason: "ExpiryFailed",
      message: `job ${failure.job} failed: ${failure.message ?? "see its logs"}`,
    };
  const since = succeeded ?? cronJob?.metadata.creationTimestamp;
  if (since && now.getTime() - Date.parse(since) > expiryLateAfterMs)
    return { status: "False", reason: "ExpiryLate", message: `no run has succeeded since ${since}` };
  if (!succeeded) {
    const { hour, minute } = expiryTime(server);
    const time = [hour, minute].map((each) => String(each).padStart(2, "0")).join(":");
    return { status: "Unknown", reason: "ExpiryNotYetRun", message: `the first run is at ${time} UTC` };
  }
  return { status: "True", ...fine("ExpiryOnTime") };
}
