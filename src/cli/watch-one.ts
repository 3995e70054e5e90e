/** One object as it changes. */
import { type Client, isApiError } from "../kube/client.ts";
import type { KubeObject, Resource } from "../kube/object.ts";
import { wait } from "../lib/wait.ts";

/** A watch is renewed after so long. */
const watchSeconds = 300;
const restartMs = 1_000;

/**
 * The object as it is and as it becomes; undefined while there is none. Goes on through watches
 * that end, until the caller stops or the signal is aborted, whose reason it throws.
 */
export async function* watchOne<T extends KubeObject>(
  client: Client,
  resource: Resource,
  { namespace, name }: { namespace: string; name: string },
  signal: AbortSignal,
): AsyncGenerator<T | undefined> {
  const selection = { namespace, fieldSelector: `metadata.name=${name}` };
  for (;;) {
    const { items, resourceVersion } = await client.listPage(resource, { ...selection, limit: 0 }, signal);
    yield items[0] as T | undefined;
    try {
      const options = {
        ...selection,
        resourceVersion,
        timeoutSeconds: watchSeconds,
        idleMs: (watchSeconds + 30) * 1_000,
      };
      for await (const event of client.watch(resource, options, signal)) {
        if (event.type === "ERROR") break;
        if (event.type !== "BOOKMARK") yield event.type === "DELETED" ? undefined : (event.object as T);
      }
    } catch (thrown) {
      signal.throwIfAborted();
      if (isApiError(thrown, 401, 403)) throw thrown;
    }
    // what broke the watch may break the next one too
    await wait(restartMs, signal);
    signal.throwIfAborted();
  }
}
