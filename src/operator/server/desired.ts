/** Which objects a server needs. Pure. */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { resources } from "../../kube/kinds.ts";
import type { KubeObject, Resource } from "../../kube/object.ts";
import { relayFiles } from "../../pod/files.ts";
import { Plan } from "../../pod/plan.ts";
import { planOf } from "../../pod/plan-of.ts";
import { extrasOf } from "./extras.ts";
import { configMap } from "./resources/config-map.ts";
import { dkimSecret } from "./resources/dkim-secret.ts";
import { expiryCronJob } from "./resources/expiry-cron-job.ts";
import { invitesSecret } from "./resources/invites-secret.ts";
import { networkPolicies } from "./resources/network-policy.ts";
import { mailService } from "./resources/service.ts";
import { statefulSet } from "./resources/stateful-set.ts";
import { tlsSecret } from "./resources/tls-secret.ts";
import { turnSecret } from "./resources/turn-secret.ts";
import { volumeClaim } from "./resources/volume-claim.ts";
import type { Seen } from "./seen.ts";
import { addressesOf } from "./status.ts";

export interface DesiredChild {
  resource: Resource;
  object: KubeObject;
  /** Known not to be there: the API server was asked a moment ago. */
  absent?: true | undefined;
}

/** In the order they are applied: what the pod mounts comes before the pod, so that it never starts with old files. */
export function desiredChildren(
  server: ChatmailServer,
  seen: Seen,
  options: { relayImage: string; operatorNamespace: string },
): DesiredChild[] {
  const files = relayFiles(Plan.parse(planOf(server.spec)));
  const { certificate, dkim, volumeClaim: claim } = seen;
  const plan = {
    server,
    files,
    image: server.spec.image ?? options.relayImage,
    tlsSecretName: certificate.secretName,
    dkimKeyPem: dkim?.rsaKeyPem,
    noInvites: seen.invites?.unusable,
    turnSecret: seen.turn?.secret,
    extras: extrasOf(server, addressesOf(server, seen)),
  };
  return [
    { resource: resources.configMap, object: configMap(server, files) },
    ...(certificate.pair
      ? [{ resource: resources.secret, object: tlsSecret(server, certificate.pair), absent: certificate.absent }]
      : []),
    ...(dkim?.rsaKeyPem
      ? [{ resource: resources.secret, object: dkimSecret(server, dkim.rsaKeyPem), absent: dkim.absent }]
      : []),
    ...(seen.invites?.newToken
      ? [{ resource: resources.secret, object: invitesSecret(server, seen.invites.newToken), absent: true as const }]
      : []),
    ...(seen.turn ? [{ resource: resources.secret, object: turnSecret(server, seen.turn.secret) }] : []),
    { resource: resources.volumeClaim, object: volumeClaim(server, claim?.spec?.resources?.requests?.storage) },
    { resource: resources.service, object: mailService(server) },
    ...networkPolicies(server, {
      operatorNamespace: options.operatorNamespace,
      existing: seen.networkPolicies ?? [],
    }).map((object) => ({ resource: resources.networkPolicy, object })),
    { resource: resources.statefulSet, object: statefulSet(plan) },
    { resource: resources.cronJob, object: expiryCronJob(plan) },
  ];
}
