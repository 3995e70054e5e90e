/**
 * The kinds of the Kubernetes API that are used here. Their types are those of
 * @kubernetes/client-node, of which nothing is loaded.
 */
import type {
  CoreV1Event,
  V1ConfigMap,
  V1CronJob,
  V1Deployment,
  V1Job,
  V1Lease,
  V1Namespace,
  V1NetworkPolicy,
  V1PersistentVolumeClaim,
  V1Pod,
  V1Secret,
  V1Service,
  V1StatefulSet,
  V1StorageClass,
} from "@kubernetes/client-node";
import type { KubeObject, Resource } from "./object.ts";

/**
 * As JSON: times are text, lists are not changed in place, and `_from` (a reserved word for the
 * generator) is `from`.
 */
export type Json<T> = T extends Date
  ? string
  : T extends readonly (infer Item)[]
    ? readonly Json<Item>[]
    : T extends object
      ? { [Key in keyof T as Key extends `_${infer Name}` ? Name : Key]: Json<T[Key]> }
      : T;

/** A whole object of a kind: a misspelt field does not compile. */
export type Typed<T extends object> = KubeObject & Omit<Json<T>, keyof KubeObject>;

export type ConfigMap = Typed<V1ConfigMap>;
export type CronJob = Typed<V1CronJob>;
/** As the core group has it, which is how the events of the cluster itself are watched. */
export type CoreEvent = Typed<CoreV1Event>;
export type Deployment = Typed<V1Deployment>;
export type Job = Typed<V1Job>;
export type Lease = Typed<V1Lease>;
export type Namespace = Typed<V1Namespace>;
export type NetworkPolicy = Typed<V1NetworkPolicy>;
export type Pod = Typed<V1Pod>;
export type Secret = Typed<V1Secret>;
export type Service = Typed<V1Service>;
export type StatefulSet = Typed<V1StatefulSet>;
export type StorageClass = Typed<V1StorageClass>;
export type VolumeClaim = Typed<V1PersistentVolumeClaim>;

const kindOf =
  (group: string) =>
  <T extends KubeObject>(kind: string, plural: string): Resource<T> => ({ group, version: "v1", kind, plural });
const core = kindOf("");
const apps = kindOf("apps");
const batch = kindOf("batch");
const networking = kindOf("networking.k8s.io");
const storage = kindOf("storage.k8s.io");
const coordination = kindOf("coordination.k8s.io");

/** How each kind is addressed. */
export const resources = {
  namespace: { ...core<Namespace>("Namespace", "namespaces"), clusterScoped: true },
  configMap: core<ConfigMap>("ConfigMap", "configmaps"),
  secret: core<Secret>("Secret", "secrets"),
  service: core<Service>("Service", "services"),
  pod: core<Pod>("Pod", "pods"),
  event: core<CoreEvent>("Event", "events"),
  volumeClaim: core<VolumeClaim>("PersistentVolumeClaim", "persistentvolumeclaims"),
  deployment: apps<Deployment>("Deployment", "deployments"),
  storageClass: { ...storage<StorageClass>("StorageClass", "storageclasses"), clusterScoped: true },
  statefulSet: apps<StatefulSet>("StatefulSet", "statefulsets"),
  cronJob: batch<CronJob>("CronJob", "cronjobs"),
  job: batch<Job>("Job", "jobs"),
  networkPolicy: networking<NetworkPolicy>("NetworkPolicy", "networkpolicies"),
  lease: coordination<Lease>("Lease", "leases"),
} as const;
