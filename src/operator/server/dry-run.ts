import { ApiError } from "../../kube/client.ts";
import { type Pod, resources } from "../../kube/kinds.ts";
import type { PodTemplate } from "./revision.ts";
import type { World } from "./world.ts";

/** What the API server says against a pod of the template, if anything. Nothing is created. */
export async function dryRunError(
  { metadata = {}, spec }: PodTemplate,
  at: { namespace?: string; name: string },
  { client }: Pick<World, "client">,
  signal: AbortSignal,
): Promise<ApiError | undefined> {
  const { labels, annotations } = metadata;
  const pod: Pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { ...at, ...(labels && { labels }), ...(annotations && { annotations }) },
    ...(spec && { spec }),
  };
  try {
    await client.create(resources.pod, pod, signal, { dryRun: true });
    return undefined;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return error;
  }
}
