/** Makes what is missing. A Secret is created, never applied: of two operators that both make a key, one is refused and reads the other's. */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { resources, type Secret } from "../../kube/kinds.ts";
import type { World } from "../server/world.ts";
import type { FoundIdentities } from "./read.ts";
import { dataOf, identitySecret, metadataPatch, secretNameOf } from "./secret.ts";
import { type IdentityName, identities, identityNames } from "./table.ts";

/** Throws ApiError: 409 where somebody else made or changed it meanwhile. */
export async function makeIdentity(
  server: ChatmailServer,
  name: IdentityName,
  found: FoundIdentities,
  world: World,
  signal: AbortSignal,
): Promise<void> {
  const now = found[name];
  const texts = await identities[name].make(server.spec.domain, world.now());
  if (now?.state === "broken") await change(now.secret, { data: dataOf(texts) }, world, signal);
  else
    world.stores.secrets.wrote(
      await world.client.create(resources.secret, identitySecret(server, name, texts), signal),
    );
}

/** The Secrets whose labels, domain or owner are not as they have to be, by name: those were put right. What is in them is not touched. */
export async function mendMetadata(
  server: ChatmailServer,
  found: FoundIdentities,
  world: World,
  signal: AbortSignal,
): Promise<string[]> {
  const mended: string[] = [];
  for (const name of identityNames) {
    const now = found[name];
    if (now?.state !== "present" && now?.state !== "broken") continue;
    const metadata = metadataPatch(server, now.secret);
    if (!metadata) continue;
    await change(now.secret, { metadata }, world, signal);
    mended.push(secretNameOf(server, name));
  }
  return mended;
}

/** Only in the version that was read. */
async function change(
  { metadata: { namespace = "", name, resourceVersion } }: Secret,
  patch: { metadata?: object; data?: object },
  world: World,
  signal: AbortSignal,
): Promise<void> {
  const guarded = { ...patch, metadata: { ...patch.metadata, resourceVersion } };
  world.stores.secrets.wrote(await world.client.merge(resources.secret, { namespace, name }, guarded, signal));
}
