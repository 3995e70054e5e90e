/** What a copy of the volume has left as termination message, where it has failed. Pure. */
import * as z from "zod";
import { labels } from "../../api/names.ts";
import type { LivePod } from "./live.ts";
import type { Component } from "./resources/child.ts";

const moveComponent: Component = "move";
const Report = z.object({ problem: z.string() });

/** Of the newest pod that has failed. */
export function moveProblem(pods: readonly LivePod[]): string | undefined {
  const [newest] = pods
    .filter(
      ({ metadata, status }) => metadata.labels?.[labels.component] === moveComponent && status?.phase === "Failed",
    )
    .sort((a, b) => ((a.metadata.creationTimestamp ?? "") < (b.metadata.creationTimestamp ?? "") ? 1 : -1));
  const message = newest?.status?.containerStatuses?.[0]?.state?.terminated?.message;
  try {
    return Report.parse(JSON.parse(message ?? "")).problem;
  } catch {
    return undefined;
  }
}
