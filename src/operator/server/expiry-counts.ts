/**
 * What the last expiry run has counted: its container leaves it as termination message, so that no
 * log has to be read. Pure.
 */
import * as z from "zod";
import type { ChatmailServerStatus } from "../../api/chatmail-server.ts";
import { labels } from "../../api/names.ts";
import type { LivePod } from "./live.ts";
import type { Component } from "./resources/child.ts";

const some = z.int().min(0);
const Counts = z.object({
  accounts: some,
  accountsActive: some,
  accountsRemoved: some,
  messages: some,
  messagesRemoved: some,
  bytes: some,
  bytesRemoved: some,
});
type LastExpiry = NonNullable<ChatmailServerStatus["lastExpiry"]>;

const expiryComponent: Component = "expiry";

/** Of the newest run that has succeeded; undefined where no pod is left that tells of it. */
export function expiryCounts(pods: readonly LivePod[]): Omit<LastExpiry, "completionTime"> | undefined {
  const ended = pods
    .filter(({ metadata }) => metadata.labels?.[labels.component] === expiryComponent)
    .flatMap(({ status }) => status?.containerStatuses?.map(({ state }) => state?.terminated) ?? [])
    .filter((each) => each?.exitCode === 0)
    .sort((a, b) => (String(a?.finishedAt) < String(b?.finishedAt) ? 1 : -1));
  for (const each of ended) {
    const counts = countsIn(each?.message);
    if (counts) return counts;
  }
  return undefined;
}

/** Undefined where the image is of an earlier version, which leaves no message. */
function countsIn(message: string | undefined) {
  try {
    return Counts.parse(JSON.parse(message ?? ""));
  } catch {
    return undefined;
  }
}
