/**
 * Makes what is missing. A Secret is created, never applied: of two operators that both make a key,
 * one is refused and reads the other's.
 */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { isApiError } from "../../kube/client.ts";
import { resources, type Secret } from "../../kube/kinds.ts";
import type { World } from "../server/world.ts";
import type { Found, FoundIdentities } from "./read.ts";
import { dataOf, identitySecret, metadataPatch } from "./secret.ts";
import { type IdentityName, identities } from "./table.ts";

/**
 * Starts to make these, on threads of their own: an RSA key takes as long as all that a new server
 * needs to be written.
 */
export function beginIdentities(server: ChatmailServer, names: readonly IdentityName[], world: World): void {
  for (const name of names) world.unsaved.begin({ uid: server.metadata.uid, name }, makeOf(server, name, world));
}

const makeOf = (server: ChatmailServer, name: IdentityName, world: World) => () =>
  identities[name].make(server.spec.domain, world.now(), server.spec, () => world.rsaKeys.take());

/** Throws ApiError: 409 where somebody else made or changed it meanwhile. */
export async function makeIdentity(
  server: ChatmailServer,
  name: IdentityName,
  found: FoundIdentities,
  world: World,
  signal: AbortSignal,
): Promise<void> {
  const now = found[name];
  const of = { uid: server.metadata.uid, name };
  const texts = await world.unsaved.texts(of, makeOf(server, name, world));
  try {
    if (now?.state === "broken") await change(now.secret, { data: dataOf(texts) }, world, signal);
    else
      world.stores.secrets.wrote(
        await world.client.create(resources.secret, identitySecret(server, name, texts), signal),
      );
  } catch (error) {
    // somebody else's is there: this one is not needed
    if (isApiError(error, 409)) world.unsaved.forget(of);
    throw error;
  }
  world.unsaved.forget(of);
}

/**
 * Puts labels, domain and owner of a Secret right where they are not as they have to be. What is in
 * it is not touched. True where it was.
 */
export async function mendMetadata(
  server: ChatmailServer,
  now: Found<unknown> | undefined,
  world: World,
  signal: AbortSignal,
): Promise<boolean> {
  if (now?.state !== "present" && now?.state !== "broken") return false;
  const metadata = metadataPatch(server, now.secret);
  if (!metadata) return false;
  await change(now.secret, { metadata }, world, signal);
  return true;
}

/** Only in the version that was read. */
export async function change(
  { metadata: { namespace = "", name, resourceVersion } }: Secret,
  patch: { metadata?: object; data?: object },
  world: World,
  signal: AbortSignal,
): Promise<void> {
  const guarded = { ...patch, metadata: { ...patch.metadata, resourceVersion } };
  world.stores.secrets.wrote(await world.client.merge(resources.secret, { namespace, name }, guarded, signal));
}
