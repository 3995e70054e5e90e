/** Reads a Secret of ours that must not be made twice. */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { labels, labelValues } from "../../api/names.ts";
import { resources } from "../../kube/kinds.ts";
import type { LiveSecret } from "./live.ts";
import type { World } from "./world.ts";

/** What observing a kept Secret needs. */
export type SecretWorld = Pick<World, "client"> & { stores: Pick<World["stores"], "secrets"> };

/** Undefined where the cluster surely has none: a watch that is behind must not cost anybody a key. */
export async function ownSecret(
  { metadata: { namespace } }: ChatmailServer,
  name: string,
  world: SecretWorld,
  signal: AbortSignal,
): Promise<LiveSecret | undefined> {
  const known = world.stores.secrets.get(namespace, name);
  return known ?? (await world.client.get(resources.secret, { namespace, name }, signal));
}

/** Carries our label: made for a server of ours, or to look so. Such a Secret is never a given certificate or a given list of invites. */
export const isOurs = (secret: LiveSecret) => secret.metadata?.labels?.[labels.managedBy] === labelValues.managedBy;

/** Empty where there is no such key. */
export function textIn(secret: LiveSecret | undefined, key: string): string {
  return Buffer.from(secret?.data?.[key] ?? "", "base64").toString("utf8");
}
