/** What a reconcile of a server reads from and acts through. */
import { getServers } from "node:dns";
import type { ChatmailServer, ChatmailServerSpec, WrittenServer, WrittenSpec } from "../../api/chatmail-server.ts";
import { chatmailServer, childNames, fieldManager, group, labels, version } from "../../api/names.ts";
import { builtInAccountSecret } from "../../api/spec/certificate.ts";
import { makeRsaKey } from "../../dns/dkim-key.ts";
import { Applier } from "../../kube/apply.ts";
import { Cache } from "../../kube/cache.ts";
import type { Client } from "../../kube/client.ts";
import { EventRecorder } from "../../kube/events.ts";
import { identityOnly, trimmed, withoutManagedFields } from "../../kube/fields.ts";
import { byLabel, type Index } from "../../kube/indexes.ts";
import { type ConfigMap, resources } from "../../kube/kinds.ts";
import type { Log } from "../../kube/log.ts";
import { type KubeObject, keyOf, type Resource } from "../../kube/object.ts";

import type { Store } from "../../kube/store.ts";
import type { BackOffLimits } from "../../lib/back-off.ts";
import type { Metrics } from "../../lib/metrics.ts";
import { planFile } from "../../pod/layout.ts";
import { planHash } from "../../pod/plan-files.ts";
import { CertManager } from "../cert-manager.ts";
import { Fleets } from "../fleet/fleets.ts";
import { orderStore } from "../identity/order-store.ts";
import { ReadyKeys } from "../identity/ready-keys.ts";
import { UnsavedKeys } from "../identity/unsaved.ts";
import { Ownership, type OwnershipTimes } from "../ownership.ts";
import { builtInPolicy, type Policy } from "../rollout/policy.ts";
import { type Group, Rollouts } from "../rollout/rollouts.ts";
import { Certificates, type CertificatesOptions } from "../tasks/certificates.ts";
import { ChallengeRecords } from "../tasks/challenge-records.ts";
import { DomainNames } from "../tasks/dns.ts";
import { RelayStatuses } from "../tasks/relay-status.ts";
import { ServedCertificates } from "../tasks/served.ts";
import type {
  LiveCronJob,
  LiveEvent,
  LiveJob,
  LivePod,
  LiveSecret,
  LiveService,
  LiveStatefulSet,
  LiveVolumeClaim,
} from "./live.ts";
import { PodSync } from "./pod-sync.ts";
import { type ResolvedSpec, resolveServer, type ServerDefaults } from "./spec.ts";

export const chatmailServers: Resource<LiveServer> = {
  group,
  version,
  kind: chatmailServer.kind,
  plural: chatmailServer.plural,
};

/** As the watch brings it. */
export type LiveServer = WrittenServer & KubeObject;

/** The cluster as we know it: our servers, and the objects that carry our label. */
export interface Stores {
  servers: Store<LiveServer>;
  configMaps: Store<ConfigMap>;
  secrets: Store<LiveSecret>;
  volumeClaims: Store<LiveVolumeClaim>;
  services: Store<LiveService>;
  statefulSets: Store<LiveStatefulSet>;
  pods: Store<LivePod>;
  cronJobs: Store<LiveCronJob>;
  networkPolicies: Store<KubeObject>;
  jobs: Store<LiveJob>;
}

export interface World {
  client: Client;
  applier: Applier;
  events: EventRecorder;
  cache: Cache;
  stores: Stores;
  /** What the cluster says of claims, of StatefulSets and of pods, by "kind namespace/name". */
  eventsAbout: (of: { kind: string; namespace: string; name: string }) => LiveEvent[];
  /** The stores behind it. */
  eventStores: readonly Store<LiveEvent>[];
  /**
   * Names of the Secrets that others made, without what is in them: a given certificate is among
   * them.
   */
  otherSecrets: Store<KubeObject>;
  /** The same of ConfigMaps. */
  otherConfigMaps: Store<KubeObject>;
  serversByDomain: Index<LiveServer>;
  /**
   * The server, by its uid, whose objects are applied now, by domain: until its StatefulSet is
   * known, another one of that domain must not begin.
   */
  domainsAtWork: Map<string, string>;
  fleets: Fleets<LiveServer>;
  /**
   * By "namespace/name" of a Secret that the spec, or its fleet, names: a given certificate,
   * invites.
   */
  serversBySecret: Pick<Index<LiveServer>, "get">;
  /**
   * By "namespace/name" of a ConfigMap that the spec, or its fleet, names: authorities, pages,
   * versions of apps.
   */
  serversByConfigMap: Pick<Index<LiveServer>, "get">;
  /**
   * Keys that were made and that the API server has not accepted yet: a Secret that is refused
   * costs one key, not one for each retry.
   */
  unsaved: UnsavedKeys;
  /** For servers to come. */
  rsaKeys: ReadyKeys;
  /** By the key of their server. */
  jobsByServer: Index<LiveJob>;
  podsByServer: Index<LivePod>;
  claimsByServer: Index<LiveVolumeClaim>;
  /** What the relay pods report of themselves. */
  relays: RelayStatuses;
  /** Who is updated when. */
  rollouts: Rollouts;
  /** The rollout that a server is in. */
  rolloutOf: (server: ChatmailServer) => Group;
  /** What a person wrote, of a resolved spec. */
  writtenOf: (spec: ChatmailServerSpec) => WrittenSpec;
  /** What else a resolved spec follows from: its fleet as it was then. */
  basisOf: (spec: ChatmailServerSpec) => string | undefined;
  /** What is known of the records of domains. */
  names: DomainNames;
  /** Who issues certificates, where the cluster has it. */
  certManager: CertManager;
  /** Which certificates the relay pods present. */
  served: ServedCertificates;
  /** What is known of certificates that are ordered. */
  certificates: Certificates;
  /** What running pods have mounted. */
  podSync: PodSync;
  /** Under which we own fields. */
  fieldManager: string;
  relayImage: string;
  /** What `spec.image.reference` may name; see `isImageAllowed`. */
  allowedImages: readonly string[];
  /** What the operator's configuration has for what specs and fleets leave out. */
  serverDefaults: ServerDefaults;
  /** The values of a server's spec, with those that it leaves out. */
  resolve: (server: WrittenServer) => ResolvedSpec;
  /** Where the operator itself runs: it may read the health of the pods. */
  operatorNamespace: string;
  /** Which namespaces this operator looks after, where others might, too. */
  ownership: Ownership;
  now: () => Date;
}

/** Which kind each store holds. */
export const storeResources = {
  servers: chatmailServers,
  configMaps: resources.configMap,
  secrets: resources.secret,
  volumeClaims: resources.volumeClaim,
  services: resources.service,
  statefulSets: resources.statefulSet,
  pods: resources.pod,
  cronJobs: resources.cronJob,
  networkPolicies: resources.networkPolicy,
  jobs: resources.job,
} as const satisfies Record<keyof Stores, Resource>;

/** All that we make, and nothing else, is watched. */
const ours = { labelSelector: labels.server };
/** Of the objects of a kind that a server has, which one: its name after that of the server. */
const roleOf = ({ metadata: { name, labels: given } }: KubeObject) =>
  name.slice(given?.[labels.server]?.length ?? name.length);
/** What others make. */
const others = `!${labels.server}`;

/** Of the many that others make, those that can't hold a certificate. */
const otherSecretTypes = "type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token";

/**
 * Stores fill from now on and for as long as the signal lets them; also while another operator
 * leads, so that taking over is quick.
 */
export function makeWorld(options: {
  client: Client;
  scopes: readonly string[];
  relayImage: string;
  allowedImages: readonly string[];
  /** For what a spec leaves out. */
  serverDefaults?: ServerDefaults;
  /** For servers that are in no other rollout. */
  rollout?: Policy;
  now?: () => Date;
  operatorNamespace: string;
  /** Name of the lease, in that namespace, by which replicas of this operator take turns. */
  leaseName: string;
  ownershipTimes?: OwnershipTimes;
  /** By default those of this machine. */
  resolvers?: readonly string[];
  /** Between tries to use an ACME account. */
  acmeBackOff?: BackOffLimits;
  /** Which operator says what events say. */
  instance: string;
  signal: AbortSignal;
  log: Log;
  metrics?: Metrics;
}): World {
  const { client, scopes, relayImage, allowedImages, operatorNamespace, instance, signal, log, metrics } = options;
  const { now = () => new Date() } = options;
  const cache = new Cache({ client, log, signal, namespaces: scopes, ...(metrics && { metrics }) });
  const applied = <T extends KubeObject>(resource: Resource<T>) =>
    cache.store(resource, { ...ours, alike: roleOf, trim: (object) => trimmed(object, fieldManager) });
  const read = <T extends KubeObject>(resource: Resource<T>) =>
    cache.store(resource, { ...ours, alike: roleOf, trim: withoutManagedFields });
  const { servers: serverKind, configMaps, secrets, volumeClaims, services, statefulSets, pods } = storeResources;
  const stores: Stores = {
    servers: cache.store(serverKind, { trim: (server) => trimmed(server, fieldManager) }),
    configMaps: applied(configMaps),
    secrets: read(secrets),
    volumeClaims: applied(volumeClaims),
    services: applied(services),
    statefulSets: applied(statefulSets),
    pods: read(pods),
    cronJobs: applied(storeResources.cronJobs),
    networkPolicies: applied(storeResources.networkPolicies),
    jobs: read(storeResources.jobs),
  };
  const eventStores = ["involvedObject.kind=PersistentVolumeClaim", "involvedObject.kind=StatefulSet", podWarnings].map(
    (fieldSelector) => cache.store(resources.event, { fieldSelector, trim: trimmedEvent }),
  );
  const { serverDefaults = {} } = options;
  const rollout: Group = { id: "operator", policy: options.rollout ?? builtInPolicy };
  const fleets = new Fleets(cache, { servers: stores.servers, relayImage, fieldManager, rollout: rollout.policy });
  const rollouts = new Rollouts({ servers: () => stores.servers.all().map(keyOf), now });
  fleets.store.listen(() => rollouts.reconsider());
  const { resolve, writtenOf, basisOf } = resolverOf(serverDefaults, fleets);
  const events = new EventRecorder({ client, component: fieldManager, instance, log });
  const ownership = new Ownership({
    client,
    identity: `${operatorNamespace}/${options.leaseName}`,
    events,
    log,
    namespaces: () =>
      new Set([...stores.servers.all(), ...fleets.store.all()].map(({ metadata }) => metadata.namespace ?? "")),
    times: options.ownershipTimes,
  });
  for (const store of [stores.servers, fleets.store])
    store.listen(({ type, object }) => {
      if (type === "deleted") ownership.forget(object);
    });
  metrics?.gauge("chatmail_operator_namespaces_of_others", () =>
    ownership.others.map((labels) => ({ labels, value: 1 })),
  );
  const byObject = eventStores.map((store) => store.index(({ involvedObject }) => [aboutText(involvedObject)]));
  return {
    client,
    cache,
    eventStores,
    eventsAbout: (of) => byObject.flatMap((index) => index.get(aboutText(of))),
    stores,
    relays: new RelayStatuses(stores.pods, (pod) => wantedPlan(stores, pod)),
    rollouts,
    rolloutOf: (server) => fleets.groupOf(server) ?? rollout,
    writtenOf,
    basisOf,
    names: namesOf(stores.servers, options.resolvers ?? getServers()),
    certManager: new CertManager(client),
    served: servedOf(stores.servers, metrics),
    certificates: certificatesOf(stores, client, {
      now,
      resolvers: options.resolvers ?? getServers(),
      accountBackOff: options.acmeBackOff,
    }),
    podSync: podSyncOf(stores.pods),
    fieldManager,
    relayImage,
    allowedImages,
    operatorNamespace,
    fleets,
    serverDefaults,
    resolve,
    applier: new Applier({ client, fieldManager }),
    events,
    ownership,
    now,
    otherSecrets: cache.store(resources.secret, {
      metadataOnly: true,
      labelSelector: others,
      fieldSelector: otherSecretTypes,
      trim: identityOnly,
    }),
    otherConfigMaps: cache.store(resources.configMap, {
      metadataOnly: true,
      labelSelector: others,
      // each namespace has one
      fieldSelector: "metadata.name!=kube-root-ca.crt",
      trim: identityOnly,
    }),
    serversByConfigMap: fleets.serversBy(
      (spec) =>
        [spec.certificate?.caBundle, spec.website, spec.services?.appVersions].map((group) => group?.configMapName),
      serverDefaults,
    ),
    domainsAtWork: new Map(),
    serversByDomain: stores.servers.index(({ spec }) => [spec?.domain ?? ""]),
    serversBySecret: fleets.serversBy(
      (spec) => [
        spec.certificate?.secret?.name,
        spec.backup?.destination?.s3?.credentialsSecretName,
        spec.backup?.drill?.ageIdentitySecretName,
        spec.accounts?.invitesSecretName,
        spec.dns?.rfc2136?.tsig?.secretRef?.name,
        spec.certificate?.acme?.externalAccountBinding?.secretRef?.name,
        spec.certificate?.acme && (spec.certificate.acme.accountSecretName ?? builtInAccountSecret),
      ],
      serverDefaults,
    ),
    unsaved: new UnsavedKeys(stores.servers),
    rsaKeys: new ReadyKeys({ make: makeRsaKey }),
    jobsByServer: byLabel(stores.jobs, labels.server),
    podsByServer: byLabel(stores.pods, labels.server),
    claimsByServer: byLabel(stores.volumeClaims, labels.server),
  };
}

/** Resolves each version of a server once, as long as its fleet is the same; knows from what. */
function resolverOf(serverDefaults: ServerDefaults, fleets: Fleets<LiveServer>) {
  const resolved = new WeakMap<WrittenServer, { fleet: string; result: ResolvedSpec }>();
  const written = new WeakMap<ChatmailServerSpec, { spec: WrittenSpec; fleet: string }>();
  const resolve = (server: WrittenServer): ResolvedSpec => {
    const fleet = fleets.versionFor(server);
    const known = resolved.get(server);
    if (known?.fleet === fleet) return known.result;
    const result = resolveServer(server, serverDefaults, fleets.sideOf(server));
    resolved.set(server, { fleet, result });
    if ("spec" in result) written.set(result.spec, { spec: server.spec, fleet });
    return result;
  };
  const writtenOf = (spec: ChatmailServerSpec): WrittenSpec => written.get(spec)?.spec ?? spec;
  const basisOf = (spec: ChatmailServerSpec) => written.get(spec)?.fleet || undefined;
  return { resolve, writtenOf, basisOf };
}

/** Digest of the plan in the ConfigMap of the pod's server. */
function wantedPlan({ configMaps }: Stores, { metadata }: LivePod): string | undefined {
  const server = metadata.labels?.[labels.server];
  const text = server && configMaps.get(metadata.namespace, childNames(server).planConfigMap)?.data?.[planFile];
  return text === undefined ? undefined : planHash(text);
}

function namesOf(servers: Store<LiveServer>, resolvers: readonly string[]): DomainNames {
  const names = new DomainNames({ resolvers, now: () => new Date() });
  servers.listen(({ type, object }) => {
    if (type === "deleted") names.want(keyOf(object), undefined);
  });
  return names;
}

function servedOf(servers: Store<LiveServer>, metrics: Metrics | undefined): ServedCertificates {
  const served = new ServedCertificates();
  servers.listen(({ type, object }) => {
    if (type === "deleted") served.want(keyOf(object), undefined);
  });
  metrics?.gauge("chatmail_server_certificate_expiration_timestamp_seconds", () =>
    [...served.ends()].map(([key, end]) => {
      const [namespace = "", name = ""] = key.split("/");
      return { labels: { namespace, name }, value: end.getTime() / 1_000 };
    }),
  );
  return served;
}

function certificatesOf(
  stores: Stores,
  client: Client,
  {
    now,
    resolvers,
    accountBackOff,
  }: Pick<CertificatesOptions, "now" | "accountBackOff"> & { resolvers: readonly string[] },
): Certificates {
  const certificates = new Certificates({
    store: orderStore({ secrets: stores.secrets, client }),
    records: new ChallengeRecords({ resolvers, now: () => new Date() }),
    now,
    accountBackOff,
  });
  stores.servers.listen(({ type, object }) => {
    if (type === "deleted") certificates.want(keyOf(object), undefined);
  });
  return certificates;
}

function podSyncOf(pods: Store<LivePod>): PodSync {
  const sync = new PodSync();
  pods.listen(({ type, object }) => {
    if (type === "deleted") sync.forget(object);
  });
  return sync;
}

const aboutText = (of: LiveEvent["involvedObject"]) => `${of?.kind} ${of?.namespace}/${of?.name}`;

/** What the status of a pod does not say itself; images, crashes and scheduling it does. */
const podWarnings = [
  "involvedObject.kind=Pod",
  "type=Warning",
  ...["BackOff", "Failed", "FailedScheduling", "Unhealthy"].map((reason) => `reason!=${reason}`),
].join();

/** A pod of a StatefulSet, as relay pods are: of others nothing is kept but the name. */
const isOfNoRelay = ({ kind, name = "" }: LiveEvent["involvedObject"]) => kind === "Pod" && !name.endsWith("-0");

const longestMessage = 1_000;

function trimmedEvent(event: LiveEvent): LiveEvent {
  const { apiVersion, kind, type = "", reason = "", lastTimestamp, eventTime, involvedObject } = event;
  const message = isOfNoRelay(involvedObject) ? "" : (event.message ?? "").slice(0, longestMessage);
  const { name, namespace, uid, resourceVersion, creationTimestamp } = event.metadata;
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace && { namespace }),
      ...(uid && { uid }),
      ...(resourceVersion && { resourceVersion }),
      ...(creationTimestamp && { creationTimestamp }),
    },
    type,
    reason,
    message,
    ...(lastTimestamp && { lastTimestamp }),
    ...(eventTime && { eventTime }),
    involvedObject: {
      ...(involvedObject.kind && { kind: involvedObject.kind }),
      ...(involvedObject.namespace && { namespace: involvedObject.namespace }),
      ...(involvedObject.name && { name: involvedObject.name }),
      ...(involvedObject.uid && { uid: involvedObject.uid }),
    },
  };
}

/** The store that holds children of this kind. */
export function storeOf(stores: Stores, resource: Resource): Store<KubeObject> | undefined {
  const name = Object.entries(storeResources).find(([, held]) => held === resource)?.[0];
  return name === undefined ? undefined : (stores[name as keyof Stores] as unknown as Store<KubeObject>);
}
