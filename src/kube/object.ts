/** What every object of the Kubernetes API has, and how its kinds are addressed. */

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

export interface ManagedFields {
  manager?: string;
  operation?: string;
  subresource?: string;
  fieldsV1?: Record<string, unknown>;
}

export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  finalizers?: string[];
  managedFields?: ManagedFields[];
}

export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
}

/** A kind as URLs have it; `group` is "" for the core. `T`: what its objects look like. */
export interface Resource<T extends KubeObject = KubeObject> {
  group: string;
  version: string;
  kind: string;
  plural: string;
  /** Objects of this kind are in no namespace, though what they own may be. */
  clusterScoped?: boolean;
  /** For the compiler alone, never set: it ties the kind to its type. */
  readonly shape?: T;
}

/** An owner reference: the object goes when its owner goes, and `fromOwned` finds its owner. */
export function ownedBy(owner: KubeObject): OwnerReference {
  const { name, uid = "" } = owner.metadata;
  return { apiVersion: owner.apiVersion, kind: owner.kind, name, uid, controller: true, blockOwnerDeletion: true };
}

/** "namespace/name", the key of stores and queues. */
export function keyOf(object: { metadata: { namespace?: string; name: string } }): string {
  return `${object.metadata.namespace ?? ""}/${object.metadata.name}`;
}

/** /api/v1/namespaces/NS/pods/NAME, /apis/apps/v1/statefulsets … */
export function pathOf(
  resource: Resource,
  at: { namespace?: string | undefined; name?: string; subresource?: string },
): string {
  const root = resource.group === "" ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
  const parts = [
    ...(at.namespace ? ["namespaces", at.namespace] : []),
    resource.plural,
    ...(at.name ? [at.name] : []),
    ...(at.subresource ? [at.subresource] : []),
  ];
  return `${root}/${parts.map(encodeURIComponent).join("/")}`;
}

/** Times with six digits behind the point, as Leases and Events have them. */
export function microTime(date: Date): string {
  return date.toISOString().replace("Z", "000Z");
}
