/**
 * Server-side apply knows the items of a list by some of their fields. Where somebody changed such
 * a field (the number of a port), an apply puts our item beside theirs, and the server refuses both
 * where something else of theirs has to be unique (the name of the port). Pure.
 */
import { ApiError } from "./api-error.ts";
import type { KubeObject } from "./object.ts";

/**
 * The lists of `wanted` that the server refused for items that are there twice, as a JSON merge
 * patch: the whole list becomes ours. Undefined where it refused for something else, or for
 * something else as well.
 */
export function doubledLists(refused: unknown, wanted: KubeObject): object | undefined {
  if (!(refused instanceof ApiError) || refused.status !== 422 || refused.causes.length === 0) return undefined;
  const patch = {};
  for (const { reason, field = "" } of refused.causes) {
    if (reason !== "FieldValueDuplicate" || !copyList(wanted, patch, (field.split("[")[0] ?? "").split(".")))
      return undefined;
  }
  return patch;
}

/** False where there is no list at this path. */
function copyList(from: object, to: object, path: readonly string[]): boolean {
  const [name = "", ...rest] = path;
  const found = (from as Record<string, unknown>)[name];
  const target = to as Record<string, unknown>;
  if (rest.length === 0) {
    if (!Array.isArray(found)) return false;
    target[name] = found;
    return true;
  }
  if (typeof found !== "object" || found === null || Array.isArray(found)) return false;
  const inner: object = target[name] ?? {};
  target[name] = inner;
  return copyList(found, inner, rest);
}
