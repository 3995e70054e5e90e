/**
 * What managedFields say that a manager owns (`fieldsV1`): a tree of steps, such as `f:name` for a
 * field, `k:{"name":"a"}` for the item of a list with these keys, `v:"value"` for a value of a set
 * and `i:0` for an index. Pure.
 */
import type { KubeObject, ManagedFields } from "./object.ts";

export type OwnedFields = Record<string, unknown>;

/** What `manager` owns by apply, where managedFields say so. */
export function ownedFields(live: KubeObject, manager: string, subresource = ""): OwnedFields | undefined {
  const owned = live.metadata.managedFields?.find((fields) => isOurs(fields, manager, subresource))?.fieldsV1;
  return owned && Object.keys(owned).length > 0 ? owned : undefined;
}

function isOurs(fields: ManagedFields, manager: string, subresource: string): boolean {
  return fields.manager === manager && fields.operation === "Apply" && (fields.subresource ?? "") === subresource;
}

/**
 * The same tree with one more kind of step: `@3:name,type` is the item at index 3 of the live list,
 * which has these keys. Names and uids are no longer in it, so objects of one kind have equal
 * trees, which are kept once. As keys of JavaScript objects they would also make each such object
 * one of a kind to V8, which takes more memory than the object. Safe to repeat.
 */
export function byPlace(owned: OwnedFields, live: unknown): OwnedFields {
  return Object.fromEntries(
    Object.entries(owned).map(([step, inner]) => {
      const place = placeOf(step, live);
      return [place, isPlain(inner) ? byPlace(inner, follow(live, place, live)) : inner];
    }),
  );
}

/** The step itself where the list has no such item. */
function placeOf(step: string, live: unknown): string {
  if (!step.startsWith("k:") || !Array.isArray(live)) return step;
  const keys = Object.entries(JSON.parse(step.slice(2)) as Record<string, unknown>);
  const at = live.findIndex((item) => isPlain(item) && keys.every(([key, value]) => item[key] === value));
  return at === -1 ? step : `@${at}:${keys.map(([key]) => key).join(",")}`;
}

/** What is owned of an item, whose list is `live` in the cluster. */
export function ownedItem(owned: OwnedFields | undefined, item: unknown, live: unknown): OwnedFields | undefined {
  const found = Object.entries(owned ?? {}).find(([step]) => {
    const keys = keysOf(step, live);
    return keys !== undefined && hasKeys(item, keys);
  });
  return found?.[1] as OwnedFields | undefined;
}

/** One step from `value`, which is `live` in the cluster. */
export function follow(value: unknown, step: string, live: unknown): unknown {
  const rest = step.slice(2);
  if (step.startsWith("f:")) return isPlain(value) ? value[rest] : undefined;
  if (!Array.isArray(value)) return undefined;
  if (step.startsWith("i:")) return value[Number(rest)];
  if (step.startsWith("v:")) return value.find((item) => JSON.stringify(item) === rest);
  const keys = keysOf(step, live);
  return keys && value.find((item) => hasKeys(item, keys));
}

/** The keys, with their values, by which the step tells an item from others, if it does. */
function keysOf(step: string, live: unknown): [key: string, value: unknown][] | undefined {
  if (step.startsWith("k:")) return Object.entries(JSON.parse(step.slice(2)) as Record<string, unknown>);
  const [, at, names] = /^@(\d+):(.*)$/.exec(step) ?? [];
  if (at === undefined || names === undefined || !Array.isArray(live)) return undefined;
  const item: unknown = live[Number(at)];
  return isPlain(item) ? names.split(",").map((name) => [name, item[name]]) : undefined;
}

/**
 * Whether it is the item of these keys, as in `{"port":25,"protocol":"TCP"}`. A protocol that we
 * left out is the default.
 */
function hasKeys(item: unknown, keys: readonly [string, unknown][]): boolean {
  return (
    isPlain(item) &&
    keys.every(
      ([key, want]) => item[key] === want || (item[key] === undefined && (key !== "protocol" || want === "TCP")),
    )
  );
}

export function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
