/** Which objects a server needs. Pure. */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { annotations, childNames } from "../../api/names.ts";
import type { Reason } from "../../api/reasons.ts";
import { type CronJob, resources } from "../../kube/kinds.ts";
import type { KubeObject, Resource } from "../../kube/object.ts";
import { certificates } from "../cert-manager.ts";
import { dnsEndpoints, kindIsMissing } from "../external-dns.ts";
import { isOfEarlier } from "../identity/secret.ts";
import type { Concern, Problem } from "../problem.ts";
import { nextNumber } from "./claims.ts";
import { domainRecords } from "./domain-records.ts";
import { isEnding, isLost, keyMemory, servesLostVolume } from "./losses.ts";
import { moveOf, stopsJobs, stopsRelay } from "./move.ts";
import { podInputs } from "./pod-inputs.ts";
import { podPlan } from "./pod-plan.ts";
import { podWaitsFor } from "./pod-waits.ts";
import { firstRendered, imageOf, renderedText } from "./rendered.ts";
import { backupCronJob, backupTarget } from "./resources/backup-cron-job.ts";
import { backupDrillCronJob } from "./resources/backup-drill-cron-job.ts";
import { certManagerCertificate } from "./resources/certificate.ts";
import { dnsConfigMap } from "./resources/dns-config-map.ts";
import { dnsEndpoint } from "./resources/dns-endpoint.ts";
import { edgeRoutes } from "./resources/edge-routes.ts";
import { expiryCronJob } from "./resources/expiry-cron-job.ts";
import { lastCertificate } from "./resources/last-certificate.ts";
import { networkPolicies } from "./resources/network-policy.ts";
import { planConfigMap } from "./resources/plan-config-map.ts";
import { onClaim } from "./resources/pod.ts";
import { mailService } from "./resources/service.ts";
import { statefulSet } from "./resources/stateful-set.ts";
import { volumeClaim, volumeSizes } from "./resources/volume-claim.ts";
import type { Rendered } from "./revision.ts";
import type { Seen } from "./seen.ts";

export interface DesiredChild {
  resource: Resource;
  object: KubeObject;
  /** The condition that tells where it is refused. */
  concern: Concern;
  /** Kind and name of what has to be applied before it: it waits where one of them is refused. */
  after?: readonly string[];
  /** UID of a live one that is ours although it has no labels of ours. */
  adopts?: string | undefined;
  /** What is told where the cluster has no such kind; unneeded: nothing, as it is a help alone. */
  absent?: Problem | "unneeded";
  /** What is applied where the object is refused, which is reported in any case. */
  otherwise?: { object: KubeObject; reason: Reason; says: (refusal: string) => string };
}

export interface DesiredOptions {
  operatorNamespace: string;
  relayImage: string;
  /** Which pod; that of a new server where it is not said. */
  pod?: Rendered | "as it is";
}

export const namedIn = ({ kind, metadata }: KubeObject) => `${kind} ${metadata.name}`;

/**
 * What does not depend on keys. The plan comes first, so that the pod never starts with an old one.
 */
export function lastingChildren(
  server: ChatmailServer,
  seen: Seen,
  options: Pick<DesiredOptions, "operatorNamespace">,
): DesiredChild[] {
  return [
    {
      resource: resources.configMap,
      object: planConfigMap(server, {
        ownPages: seen.website?.pages?.hasFrontPage ?? true,
        texts: seen.website?.pages?.texts,
        acmeThumbprint: seen.certificate.acme?.thumbprint,
      }),
      concern: "UpToDate",
    },
    { resource: resources.service, object: mailService(server), concern: "AddressesReady" },
    ...edgeRoutes(server).map((route) => ({
      ...route,
      concern: "AddressesReady" as const,
      absent: "unneeded" as const,
    })),
    ...networkPolicies(server, {
      operatorNamespace: options.operatorNamespace,
      existing: seen.networkPolicies ?? [],
    }).map((object) => ({ resource: resources.networkPolicy, object, concern: "UpToDate" as const })),
  ];
}

/**
 * None while the volume is lost, or is about to be: what needs it waits. Where the class can't grow
 * the volume, the rest of the claim is applied all the same.
 */
function claimOf(server: ChatmailServer, seen: Seen): DesiredChild[] {
  const { volumeClaim: claim } = seen;
  if (isLost("volume", server, seen) || isEnding(claim) || (claim && isOfEarlier(server, claim))) return [];
  const dkimFingerprint = keyMemory(server, seen);
  const { wanted, existing, capacity = existing } = volumeSizes(server, claim);
  const isRecorded =
    claim?.spec?.volumeName !== undefined && claim.spec.volumeName === server.status?.storage?.volumeName;
  const common = { name: seen.claimName, existing: claim, dkimFingerprint, marks: marksOf(server, seen) };
  const child: DesiredChild = {
    resource: resources.volumeClaim,
    object: volumeClaim(server, { ...common, size: wanted }),
    concern: "StorageReady",
    ...(isRecorded && { adopts: claim.metadata.uid }),
  };
  if (existing === undefined || existing === wanted) return [child];
  const says = (refusal: string) =>
    `the volume keeps its ${capacity} and is not changed to ${wanted}: ${refusal}. Set storage.size back, or let the StorageClass allow it (allowVolumeExpansion)`;
  const otherwise = {
    object: volumeClaim(server, { ...common, size: existing }),
    reason: "ResizeRefused",
    says,
  } as const;
  return [{ ...child, otherwise }];
}

/** Of the claim in use: those that it has; one that is created in another's place is the newest. */
function marksOf(server: ChatmailServer, { volumeClaim: claim, claimName, otherClaims = [] }: Seen) {
  const first = childNames(server.metadata.name).volumeClaim;
  const { [annotations.volumeNumber]: number, [annotations.copyOf]: copyOf } = claim?.metadata.annotations ?? {};
  const isFirst = (claimName ?? first) === first && nextNumber(server, otherClaims) === 1;
  const next = isFirst ? undefined : String(nextNumber(server, otherClaims));
  const wanted = number ?? next;
  return {
    ...(wanted !== undefined && { [annotations.volumeNumber]: wanted }),
    ...(copyOf !== undefined && { [annotations.copyOf]: copyOf }),
  };
}

/** The claim that the volume is moved to, until it is in use. It has what the spec says. */
export function copyClaim(server: ChatmailServer, { volumeClaim: from }: Seen, name: string): DesiredChild[] {
  const marks = { [annotations.copyOf]: from?.metadata.uid ?? "" };
  return [{ resource: resources.volumeClaim, object: volumeClaim(server, { name, marks }), concern: "StorageReady" }];
}

/**
 * What runs, and its volume. No pod as long as it has to wait for something; what runs then goes on
 * as it is.
 */
export function podChildren(
  server: ChatmailServer,
  seen: Seen,
  options: Pick<DesiredOptions, "pod" | "relayImage">,
): DesiredChild[] {
  const inputs = podInputs(server, seen);
  const targetImage = server.spec.image.reference ?? options.relayImage;
  const given = options.pod ?? firstRendered(podPlan(server, inputs, targetImage), inputs);
  const pod = given === "as it is" ? undefined : given;
  const template = pod?.revision.template ?? seen.statefulSet?.spec?.template;
  // what shares the volume is of one version
  const image = (template && imageOf(template)) ?? targetImage;
  const names = childNames(server.metadata.name);
  const { claimName = names.volumeClaim } = seen;
  const after = [`ConfigMap ${names.planConfigMap}`, `PersistentVolumeClaim ${claimName}`];
  const setOf = (of: Rendered, replicas: 0 | 1): DesiredChild => ({
    resource: resources.statefulSet,
    object: statefulSet(server, {
      template: onClaim(of.revision.template, claimName),
      rendered: renderedText(of),
      replicas,
    }),
    concern: "PodReady",
    after: replicas === 0 ? [] : after,
  });
  if (isLost("volume", server, seen)) {
    // a pod that waits for the claim would start on whatever claim appears
    const stops = seen.statefulSet && !servesLostVolume(seen.pod, seen.volumeClaim);
    return stops && pod ? [setOf(pod, 0)] : [];
  }
  const waits = podWaitsFor(server, seen).length > 0;
  // a server that has never run has nothing that could expire
  const expires = !waits || seen.statefulSet !== undefined;
  const move = moveOf(server, seen);
  const jobPlan = { ...podPlan(server, inputs, image), claimName };
  // a job must not change what is being copied
  const held = (of: CronJob): CronJob =>
    stopsJobs(move) && of.spec ? { ...of, spec: { ...of.spec, suspend: true } } : of;
  const job: DesiredChild = {
    resource: resources.cronJob,
    object: held(expiryCronJob(jobPlan)),
    concern: "ExpiryHealthy",
    after,
  };
  const savesOrSaved = backupTarget(server.spec.backup) !== undefined || seen.backup?.cronJob !== undefined;
  const backup: DesiredChild[] = savesOrSaved
    ? [{ ...job, object: held(backupCronJob(jobPlan)), concern: "BackupReady" }]
    : [];
  const drills = savesOrSaved && (server.spec.backup.drill !== undefined || seen.backup?.drill?.cronJob !== undefined);
  const drill: DesiredChild[] = drills
    ? [{ resource: job.resource, object: held(backupDrillCronJob(jobPlan)), concern: "BackupReady" }]
    : [];
  // the claim says which key there is, so it comes after the keys
  return [
    ...claimOf(server, seen),
    ...(waits || !pod ? [] : [setOf(pod, stopsRelay(move) ? 0 : 1)]),
    ...(expires ? [job, ...backup, ...drill] : []),
  ];
}

/**
 * What tells people which records to publish: also while the server is paused, as health is
 * reported. It waits for the key.
 */
export function dnsChildren(server: ChatmailServer, seen: Seen): DesiredChild[] {
  const records = domainRecords(server, seen);
  if (!records || records.sets.length === 0 || seen.identity.dkim?.state !== "present") return [];
  if (!records.addressed && seen.dnsConfigMap) return [];
  const text: DesiredChild = {
    resource: resources.configMap,
    object: dnsConfigMap(server, records),
    concern: "DNSReady",
  };
  if (server.spec.dns.mode !== "ExternalDNS" || !records.addressed) return [text];
  const endpoint = { resource: dnsEndpoints, object: dnsEndpoint(server, records), absent: kindIsMissing };
  return [text, { ...endpoint, concern: "DNSReady" }];
}

/**
 * What cert-manager is asked for, and a copy of a certificate that can be served, whatever else is
 * wrong with it: it is served. Also
 * while the server is paused, as certificates are looked after.
 */
export const certificateChildren = (
  server: ChatmailServer,
  { certificate: { pair, facts, issuerRef } }: Pick<Seen, "certificate">,
): DesiredChild[] => {
  const of = (resource: Resource, object: KubeObject): DesiredChild => ({
    resource,
    object,
    concern: "CertificateReady",
  });
  return [
    ...(issuerRef ? [of(certificates, certManagerCertificate(server, issuerRef))] : []),
    ...(pair && facts ? [of(resources.secret, lastCertificate(server, pair))] : []),
  ];
};

/** All that waits while the server is paused, in the order in which they are applied. */
export const desiredChildren = (server: ChatmailServer, seen: Seen, options: DesiredOptions): DesiredChild[] => [
  ...lastingChildren(server, seen, options),
  ...podChildren(server, seen, options),
];
