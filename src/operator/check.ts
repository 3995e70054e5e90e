/**
 * `operator check`, which `helm test` runs: whether the watched namespaces have our kinds, this
 * account may read them, and an operator leads. Changes nothing.
 */
import { kinds } from "../api/kinds.ts";
import { group, version } from "../api/names.ts";
import { type Client, isApiError } from "../kube/client.ts";
import { resources } from "../kube/kinds.ts";
import { leaseTimes } from "../kube/lease.ts";
import type { Resource } from "../kube/object.ts";
import { messageOf } from "../lib/text.ts";
import { wait } from "../lib/wait.ts";

export interface CheckTimes {
  /** How often the lease is looked at before the check fails. */
  looks: number;
  everyMs: number;
}

/** A minute: the lease of an operator that was killed ends in a quarter of it. */
const builtIn: CheckTimes = { looks: 30, everyMs: leaseTimes.retryMs };

/** Who leads. Throws a sentence for a person where something is missing. */
export async function checkInstallation(options: {
  client: Client;
  lease: { namespace: string; name: string };
  /** Namespaces, or one "" for all. */
  scopes: readonly string[];
  signal: AbortSignal;
  times?: CheckTimes;
}): Promise<string> {
  const { client, scopes, signal } = options;
  for (const namespace of scopes)
    for (const { plural, kind } of kinds) await mayRead(client, { group, version, plural, kind }, namespace, signal);
  return leaderOf(options);
}

async function mayRead(client: Client, resource: Resource, namespace: string, signal: AbortSignal): Promise<void> {
  const where = namespace === "" ? "all namespaces" : `the namespace ${namespace}`;
  try {
    await client.listPage(resource, { ...(namespace !== "" && { namespace }), limit: 1 }, signal);
  } catch (error) {
    const { plural } = resource;
    if (isApiError(error, 404)) throw new Error(`${plural}.${group} is not installed: apply the CRD`, { cause: error });
    if (isApiError(error, 403))
      throw new Error(`the operator may not read ${plural} in ${where}: ${messageOf(error)}`, { cause: error });
    throw error;
  }
}

/**
 * A lease that is renewed while we look: its times are those of another machine's clock, so they
 * are not compared with ours.
 */
async function leaderOf(options: Parameters<typeof checkInstallation>[0]): Promise<string> {
  const { client, lease, signal, times = builtIn } = options;
  const name = `${lease.namespace}/${lease.name}`;
  let first: string | undefined;
  let holder = "";
  for (let look = 0; look < times.looks; look++) {
    if (look > 0) await wait(times.everyMs, signal);
    signal.throwIfAborted();
    const found = await client.get(resources.lease, lease, signal);
    holder = found?.spec?.holderIdentity ?? "";
    const seen = holder === "" ? undefined : `${holder} ${found?.spec?.renewTime}`;
    if (first !== undefined && seen !== undefined && seen !== first) return holder;
    first = seen;
  }
  throw new Error(
    holder === ""
      ? `no operator leads: nobody holds the lease ${name}. Look at the logs of the operator's pods`
      : `the lease ${name} of ${holder} is not renewed. Look at the logs of the operator's pods`,
  );
}
