/** Which objects a server needs. Pure. */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { resources } from "../../kube/kinds.ts";
import type { KubeObject, Resource } from "../../kube/object.ts";
import { presentIn, toMake } from "../identity/read.ts";
import { extrasOf } from "./extras.ts";
import { expiryCronJob } from "./resources/expiry-cron-job.ts";
import { networkPolicies } from "./resources/network-policy.ts";
import { planConfigMap } from "./resources/plan-config-map.ts";
import { mailService } from "./resources/service.ts";
import { statefulSet } from "./resources/stateful-set.ts";
import { volumeClaim } from "./resources/volume-claim.ts";
import type { Seen } from "./seen.ts";
import { addressesOf } from "./status.ts";

export interface DesiredChild {
  resource: Resource;
  object: KubeObject;
}

/**
 * In the order they are applied: what the pod mounts comes before the pod, so that it never starts with old files. The pod itself follows
 * when its keys are in the cluster.
 */
export function desiredChildren(
  server: ChatmailServer,
  seen: Seen,
  options: { relayImage: string; operatorNamespace: string },
): DesiredChild[] {
  const { certificate, identity, volumeClaim: claim } = seen;
  const plan = {
    server,
    image: server.spec.image.reference ?? options.relayImage,
    tlsSecretName: certificate.secretName,
    dkimKeyPem: presentIn(identity.dkim)?.rsaKeyPem,
    noInvites: seen.invites?.unusable,
    turnSecret: presentIn(identity.turn),
    extras: extrasOf(server, addressesOf(server, seen)),
  };
  const before = [
    { resource: resources.configMap, object: planConfigMap(server) },
    { resource: resources.volumeClaim, object: volumeClaim(server, claim?.spec?.resources?.requests?.storage) },
    { resource: resources.service, object: mailService(server) },
    ...networkPolicies(server, {
      operatorNamespace: options.operatorNamespace,
      existing: seen.networkPolicies ?? [],
    }).map((object) => ({ resource: resources.networkPolicy, object })),
  ];
  if (toMake(identity).length > 0) return before;
  return [
    ...before,
    { resource: resources.statefulSet, object: statefulSet(plan) },
    { resource: resources.cronJob, object: expiryCronJob(plan) },
  ];
}
