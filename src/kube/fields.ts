/**
 * Comparing what we want of an object with what the cluster has, by the fields that we set. Pure.
 */
import { createHash } from "node:crypto";
import type { KubeObject, ObjectMeta } from "./object.ts";
import { byPlace, follow, isPlain, type OwnedFields, ownedFields, ownedItem } from "./owned-fields.ts";

/** The same shape as `wanted`, with the values of `live`: what became of the fields that we set. */
export function projection(live: unknown, wanted: unknown): unknown {
  if (Array.isArray(wanted)) {
    if (!Array.isArray(live)) return live;
    // Lists of named things may have gained entries of others; lists of plain values are ours as a
    // whole.
    const named = areNamed(wanted);
    if (!named) return live.map((item, at) => (at < wanted.length ? projection(item, wanted[at]) : item));
    return wanted.map((item) => {
      const match = live.find((other) => nameOfItem(other) === nameOfItem(item));
      return projection(match, item);
    });
  }
  if (isPlain(wanted)) {
    if (!isPlain(live)) return live;
    return Object.fromEntries(
      Object.keys(wanted)
        .filter((key) => key in live)
        .map((key) => [key, projection(live[key], wanted[key])]),
    );
  }
  return live;
}

/** If two items have the same name, such as DNS records, it does not identify them. */
function areNamed(items: readonly unknown[]): boolean {
  const names = new Set(items.map(nameOfItem));
  return names.size === items.length && !names.has(undefined);
}

/** What tells the items of a list apart, for the lists that server-side apply merges. */
function nameOfItem(item: unknown): string | undefined {
  if (!isPlain(item)) return undefined;
  // Owner references, conditions, containers and volumes, mounts, ports.
  const { uid, type, name, mountPath, containerPort, port, protocol } = item as Partial<
    Record<string, string | number>
  >;
  if (uid !== undefined) return `uid ${uid}`;
  if (mountPath !== undefined) return `mount ${mountPath}`;
  if (containerPort !== undefined) return `port ${containerPort}/${protocol ?? "TCP"}`;
  if (port !== undefined && name !== undefined) return `port ${port}/${protocol ?? "TCP"}`;
  if (name !== undefined) return `name ${name}`;
  if (type !== undefined) return `type ${type}`;
  return undefined;
}

/**
 * True when every field of `wanted` has its value in `live`. Values that the server writes another
 * way ("1000m" as "1") count as different. `owned` is what managedFields say of us. Where they name
 * nothing within an object or list (a nodeSelector, a list of a CRD without keys), apply replaces
 * it as a whole: then it has nothing more either. In doubt the answer is false: to send too much
 * costs one request.
 */
export function hasAll(live: unknown, wanted: unknown, owned?: OwnedFields): boolean {
  if (wanted === undefined) return true;
  const whole = owned !== undefined && Object.keys(owned).length === 0;
  if (Array.isArray(wanted)) {
    if (!Array.isArray(live)) return false;
    const ownedOf = (item: unknown) => (whole ? owned : ownedItem(owned, item, live));
    if (whole || wanted.length === 0 || !areNamed(wanted))
      return live.length === wanted.length && wanted.every((item, at) => hasAll(live[at], item, ownedOf(item)));
    return wanted.every((item) => {
      const name = nameOfItem(item);
      const match = live.find((other) => nameOfItem(other) === name);
      return hasAll(match, item, ownedOf(item));
    });
  }
  if (!isPlain(wanted)) return live === wanted;
  if (!isPlain(live)) return false;
  if (whole && Object.entries(live).some(([key, value]) => wanted[key] === undefined && !isFilledIn(key, value)))
    return false;
  return Object.entries(wanted).every(([key, value]) =>
    hasAll(live[key], value, whole ? owned : (owned?.[`f:${key}`] as OwnedFields | undefined)),
  );
}

/**
 * What the server adds automatically to objects that apply replaces as a whole: field references,
 * ports in lists, claim templates.
 */
const filledIn: Record<string, string> = {
  apiVersion: '"v1"',
  divisor: '"0"',
  expirationSeconds: "3600",
  kind: '"PersistentVolumeClaim"',
  protocol: '"TCP"',
  status: '{"phase":"Pending"}',
  volumeMode: '"Filesystem"',
};

const isFilledIn = (key: string, value: unknown) =>
  value === null || (Object.hasOwn(filledIn, key) && filledIn[key] === JSON.stringify(value));

/**
 * True when `manager` owns a field in `live` that `wanted` no longer has: an apply would take it
 * away.
 */
export function ownsMoreThan(live: KubeObject, wanted: KubeObject, manager: string, subresource = ""): boolean {
  const owned = ownedFields(live, manager, subresource);
  return owned !== undefined && lacksSome(wanted, owned, live);
}

function lacksSome(wanted: unknown, owned: OwnedFields, live: unknown): boolean {
  return Object.entries(owned).some(([step, inner]) => {
    if (step === ".") return false;
    const found = follow(wanted, step, live);
    return found === undefined || lacksSome(found, inner as OwnedFields, follow(live, step, live));
  });
}

/**
 * Without what only other managers own in managedFields: most of the size of a cached object. Of
 * what this one owns, what is compared.
 */
export function trimmed<T extends KubeObject>(object: T, manager: string): T {
  const kept = (object.metadata.managedFields ?? []).filter((f) => f.manager === manager && f.operation === "Apply");
  const bare = withoutManagedFields(object);
  if (kept.length === 0) return bare;
  const managedFields = kept.map(({ operation, subresource, fieldsV1 }) => ({
    manager,
    operation,
    ...(subresource && { subresource }),
    ...(fieldsV1 && { fieldsV1: byPlace(fieldsV1, object) }),
  }));
  return { ...bare, metadata: { ...bare.metadata, managedFields } };
}

/** Without managedFields: for objects that are only read. */
export function withoutManagedFields<T extends KubeObject>(object: T): T {
  if (!object.metadata.managedFields) return object;
  const { managedFields: _, ...metadata }: ObjectMeta = object.metadata;
  return { ...object, metadata };
}

/**
 * Without annotations, labels and managedFields: for objects of others of which only the name and
 * the version matter. An annotation may hold a copy of all data
 * (kubectl.kubernetes.io/last-applied-configuration).
 */
export function identityOnly<T extends KubeObject>(object: T): T {
  const { annotations: _, labels: __, managedFields: ___, ...metadata }: ObjectMeta = object.metadata;
  return { ...object, metadata };
}

const digestPattern = /^sha256:[0-9a-f]{64}$/;

/**
 * With digests in place of long values of `data`: enough to tell whether they are as wanted. Safe
 * to repeat.
 */
export function withDigests<T extends KubeObject>(object: T): T {
  const { data } = object as { data?: Record<string, unknown> };
  if (!data) return object;
  const short = (value: unknown) =>
    typeof value !== "string" || value.length <= 64 || digestPattern.test(value)
      ? value
      : `sha256:${createHash("sha256").update(value).digest("hex")}`;
  return { ...object, data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, short(value)])) };
}

/** JSON with sorted keys and without undefined, so that equal values are equal texts. */
export function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_key, inner: unknown) =>
      isPlain(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
    ) ?? "undefined"
  );
}
