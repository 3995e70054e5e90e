/**
 * What to do when a change touches fields that can't be changed. The rule: a Job is deleted with
 * its pods and recreated, since a Job is one run; a StatefulSet is deleted and its pods left
 * running, which its successor adopts and then replaces as its strategy says; anything else may
 * hold data or addresses, so it is refused and a person decides. Pure.
 */
import { ApiError } from "./api-error.ts";
import type { Propagation } from "./client.ts";
import type { Resource } from "./object.ts";

/** How a kind is recreated; undefined if that is refused. */
export function remakeOf(resource: Resource): Propagation | undefined {
  const { group, kind } = resource;
  if (group === "batch" && kind === "Job") return "Background";
  if (group === "apps" && kind === "StatefulSet") return "Orphan";
  return undefined;
}

/**
 * The fields that the server says can't be changed; undefined when it refused for another reason,
 * or for another one as well.
 */
export function immutableFields(refused: unknown): string[] | undefined {
  if (!(refused instanceof ApiError) || refused.status !== 422) return undefined;
  const said = /immutable|may not be changed|cannot be changed|updates to statefulset spec for fields other than/i;
  // An object that would be refused again must not be deleted.
  if (refused.causes.some(({ message }) => !said.test(message ?? ""))) return undefined;
  if (refused.causes.length > 0) return refused.causes.map(({ field }) => field ?? "");
  return said.test(refused.message) ? ["spec"] : undefined;
}

/**
 * Which other managers own fields that we wanted to set, as the server names them in a refused
 * apply.
 */
export function conflictsOf(refused: unknown): { manager: string; field: string }[] {
  if (!(refused instanceof ApiError) || refused.status !== 409) return [];
  return refused.causes
    .filter(({ reason }) => reason === "FieldManagerConflict")
    .map(({ message, field }) => ({
      manager: /conflict with "([^"]*)"/.exec(message ?? "")?.[1] ?? "",
      field: field ?? "",
    }));
}
