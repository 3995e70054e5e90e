/**
 * Makes the kubelet bring what a running pod mounts up to date at once. By itself it looks again
 * after a minute and more; whenever the pod object changes, it looks at once, and an annotation is
 * a change that nobody else takes notice of (measured: decision 0027).
 */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { annotations, childNames } from "../../api/names.ts";
import { ApiError } from "../../kube/client.ts";
import { resources } from "../../kube/kinds.ts";
import type { KubeObject } from "../../kube/object.ts";
import { planFile } from "../../pod/layout.ts";
import { planHash } from "../../pod/plan-files.ts";
import type { Seen } from "./seen.ts";
import type { World } from "./world.ts";

/** Changes with the objects that the pod mounts and reads again while it runs. */
function mountedState(server: ChatmailServer, seen: Seen, world: World): string {
  const { namespace, name } = server.metadata;
  const { spec } = server;
  const names = childNames(name);
  const versionOf = (object: KubeObject | undefined) => object?.metadata.resourceVersion ?? "";
  const secret = (wanted: string) =>
    world.stores.secrets.get(namespace, wanted) ?? world.otherSecrets.get(namespace, wanted);
  const other = (wanted: string | undefined) =>
    wanted === undefined ? undefined : world.otherConfigMaps.get(namespace, wanted);
  return [
    seen.configMap,
    secret(seen.certificate.secretName),
    secret(spec.accounts.invitesSecretName ?? names.invitesSecret),
    other(spec.website.configMapName),
    other(spec.services.appVersions.configMapName),
  ]
    .map(versionOf)
    .join(" ");
}

/** By its own report. */
function isBehind({ configMap, relay }: Seen): boolean {
  const text = configMap?.data?.[planFile];
  const given = relay && "report" in relay ? relay.report.plan?.given : undefined;
  return text !== undefined && given !== undefined && given !== planHash(text);
}

/** Safe to repeat. A pod that is ending or gone needs no news. */
export async function syncPod(server: ChatmailServer, seen: Seen, world: World, signal: AbortSignal): Promise<boolean> {
  const { pod } = seen;
  if (!pod || pod.metadata.deletionTimestamp) return false;
  const state = mountedState(server, seen, world);
  if (!world.podSync.isDue(pod, state, isBehind(seen))) return false;
  const { namespace, name, uid } = pod.metadata;
  const metadata = { name, ...(namespace && { namespace }), ...(uid && { uid }) };
  const touched = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { ...metadata, annotations: { [annotations.synced]: state } },
  };
  try {
    await world.client.apply(resources.pod, touched, { fieldManager: world.fieldManager, force: true }, signal);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    // another pod of that name, or none: that one mounts what there is
    if (![404, 409, 422].includes(error.status)) throw error;
  }
  world.podSync.touched(pod, state);
  return true;
}
