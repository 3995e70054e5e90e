/** Which identities of a server there are. Reading makes nothing. */
import { certificateSource } from "../../api/certificate-source.ts";
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { dkimFingerprint, publicDkimKey } from "../../dns/dkim-key.ts";
import { resources, type Secret } from "../../kube/kinds.ts";
import { rsaKey } from "../../pod/dkim.ts";
import type { Problem } from "../problem.ts";
import type { World } from "../server/world.ts";
import { recordedFingerprint } from "./recorded.ts";
import { isMadeFor, isOfEarlier, notMadeFor, secretNameOf, textsIn } from "./secret.ts";
import { type IdentityName, type IdentityValues, identities, identityNames } from "./table.ts";

/** "foreign": somebody else's Secret has the name. */
export type Found<Value> =
  | { state: "absent" }
  | { state: "foreign"; secret: Secret; problem: Problem }
  | { state: "broken"; secret: Secret; value?: Value | undefined; problem?: Problem | undefined }
  | { state: "present"; secret: Secret; value: Value };

/** Those that the spec asks for. */
export type FoundIdentities = { readonly [Name in IdentityName]?: Found<IdentityValues[Name]> | undefined };

export async function readIdentities(
  server: ChatmailServer,
  world: World,
  signal: AbortSignal,
): Promise<FoundIdentities> {
  const now = world.now();
  const entry = async (name: IdentityName) => {
    if (!identities[name].isFor(server.spec)) return [];
    const secret = await secretAt(server.metadata.namespace, secretNameOf(server, name), world, signal);
    return [[name, foundIn(server, name, secret, now)] as const];
  };
  return Object.fromEntries((await Promise.all(identityNames.map(entry))).flat());
}

/** Undefined where the cluster has none: a watch that is behind must not cost anybody a key. */
export async function secretAt(
  namespace: string,
  name: string,
  world: World,
  signal: AbortSignal,
): Promise<Secret | undefined> {
  return (
    world.stores.secrets.get(namespace, name) ?? (await world.client.get(resources.secret, { namespace, name }, signal))
  );
}

/** Pure. */
export function foundIn<Name extends IdentityName>(
  server: ChatmailServer,
  name: Name,
  secret: Secret | undefined,
  now: Date,
): Found<IdentityValues[Name]> {
  if (!secret) return { state: "absent" };
  const isRestored = name === "dkim" && isRecordedKey(server, secret);
  if (!isMadeFor(server, secret) && !isRestored)
    return { state: "foreign", secret, problem: { reason: "ApplyConflict", message: notMadeFor(secret) } };
  if (isOfEarlier(server, secret)) {
    const message = `Secret ${secret.metadata.name} of an earlier server is being deleted; a new one is created when it is gone`;
    return { state: "foreign", secret, problem: { reason: "Progressing", message } };
  }
  const ordered = certificateSource(server.spec).source === "ACME";
  const at = { domain: server.spec.domain, now, secretName: secret.metadata.name, ordered };
  const { value, problem } = identities[name].judge(textsIn(secret), at);
  if (value === undefined || problem) return { state: "broken", secret, value, problem };
  return { state: "present", secret, value };
}

/** A person has put the key back that the status remembers, without our labels. */
function isRecordedKey({ status }: ChatmailServer, secret: Secret): boolean {
  const key = publicDkimKey(textsIn(secret)[rsaKey.file] ?? "");
  const isControlled = secret.metadata.ownerReferences?.some(({ controller }) => controller);
  return !isControlled && key !== undefined && dkimFingerprint(key) === recordedFingerprint(status);
}

export function presentIn<Value>(found: Found<Value> | undefined): Value | undefined {
  return found?.state === "present" ? found.value : undefined;
}

export function problemOf(found: Found<unknown> | undefined): Problem | undefined {
  return found && "problem" in found ? found.problem : undefined;
}

/** Pure: which of them have to be made now, in the order of the table. */
export function toMake(found: FoundIdentities): IdentityName[] {
  return identityNames.filter((name) => {
    const state = found[name]?.state;
    return state === "absent" || (state === "broken" && identities[name].whenBroken === "remake");
  });
}
