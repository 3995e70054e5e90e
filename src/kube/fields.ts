/** Comparing what we want of an object with what the cluster has, by the fields that we set. Pure. */
import { createHash } from "node:crypto";
import type { KubeObject, ManagedFields, ObjectMeta } from "./object.ts";

/** The same shape as `wanted`, with the values of `live`: what became of the fields that we set. */
export function projection(live: unknown, wanted: unknown): unknown {
  if (Array.isArray(wanted)) {
    if (!Array.isArray(live)) return live;
    // Lists of named things may have gained entries of others; lists of plain values are ours as a whole.
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

/** Where two have the same name, such as DNS records, it is no name. */
function areNamed(items: readonly unknown[]): boolean {
  const names = new Set(items.map(nameOfItem));
  return names.size === items.length && !names.has(undefined);
}

/** What tells the items of a list apart, for the lists that server-side apply merges. */
function nameOfItem(item: unknown): string | undefined {
  if (!isPlain(item)) return undefined;
  // Owner references, conditions, containers and volumes, mounts, ports.
  const { uid, type, name, mountPath, containerPort, port, protocol } = item as Record<string, unknown>;
  if (uid !== undefined) return `uid ${uid}`;
  if (mountPath !== undefined) return `mount ${mountPath}`;
  if (containerPort !== undefined) return `port ${containerPort}/${protocol ?? "TCP"}`;
  if (port !== undefined && name !== undefined) return `port ${port}/${protocol ?? "TCP"}`;
  if (name !== undefined) return `name ${name}`;
  if (type !== undefined) return `type ${type}`;
  return undefined;
}

/** True when every field of `wanted` has its value in `live`. Values that the server writes another way ("1000m" as "1") count as different. */
export function hasAll(live: unknown, wanted: unknown): boolean {
  if (wanted === undefined) return true;
  if (Array.isArray(wanted)) {
    if (!Array.isArray(live)) return false;
    if (!areNamed(wanted)) return live.length === wanted.length && wanted.every((item, at) => hasAll(live[at], item));
    return wanted.every((item) => {
      const name = nameOfItem(item);
      return hasAll(
        live.find((other) => nameOfItem(other) === name),
        item,
      );
    });
  }
  if (!isPlain(wanted)) return live === wanted;
  return isPlain(live) && Object.entries(wanted).every(([key, value]) => hasAll(live[key], value));
}

/** True when `manager` owns a field in `live` that `wanted` no longer has: an apply would take it away. */
export function ownsMoreThan(live: KubeObject, wanted: KubeObject, manager: string, subresource = ""): boolean {
  const entry = live.metadata.managedFields?.find((fields) => isOurs(fields, manager, subresource));
  return entry?.fieldsV1 !== undefined && lacksSome(wanted, entry.fieldsV1);
}

function lacksSome(wanted: unknown, owned: Record<string, unknown>): boolean {
  return Object.entries(owned).some(([step, inner]) => {
    if (step === ".") return false;
    const found = follow(wanted, step);
    return found === undefined || lacksSome(found, inner as Record<string, unknown>);
  });
}

/** One step of a managed field path: `f:name`, `k:{"name":"a"}`, `v:"value"` or `i:0`. */
function follow(value: unknown, step: string): unknown {
  const kind = step.slice(0, 2);
  const rest = step.slice(2);
  if (kind === "f:") return isPlain(value) ? value[rest] : undefined;
  if (!Array.isArray(value)) return undefined;
  if (kind === "i:") return value[Number(rest)];
  if (kind === "v:") return value.find((item) => JSON.stringify(item) === rest);
  const keys = Object.entries(JSON.parse(rest) as Record<string, unknown>);
  // A key that we left to its default, such as protocol TCP, is not in what we sent.
  return value.find(
    (item) => isPlain(item) && keys.every(([key, want]) => item[key] === undefined || item[key] === want),
  );
}

function isOurs(fields: ManagedFields, manager: string, subresource: string): boolean {
  return fields.manager === manager && fields.operation === "Apply" && (fields.subresource ?? "") === subresource;
}

/** Without what only other managers own in managedFields: most of the size of a cached object. */
export function trimmed<T extends KubeObject>(object: T, manager: string): T {
  const kept = object.metadata.managedFields?.filter((f) => f.manager === manager && f.operation === "Apply");
  const bare = withoutManagedFields(object);
  if (!kept || kept.length === 0) return bare;
  return { ...bare, metadata: { ...bare.metadata, managedFields: kept } };
}

/** Without managedFields: for objects that are only read. */
export function withoutManagedFields<T extends KubeObject>(object: T): T {
  if (!object.metadata.managedFields) return object;
  const { managedFields: _, ...metadata }: ObjectMeta = object.metadata;
  return { ...object, metadata };
}

const digestPattern = /^sha256:[0-9a-f]{64}$/;

/** With digests in place of long values of `data`: enough to tell whether they are as wanted. Safe to repeat. */
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

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
