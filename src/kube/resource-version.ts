/**
 * Which of two resourceVersions is newer: decimal numbers of any length (Kubernetes 1.35 says so
 * for all kinds it serves). Pure.
 */

/** False also where one of them is no number: what can't be compared is never called old. */
export function isOlder(version: string | undefined, than: string | undefined): boolean {
  if (!isNumber(version) || !isNumber(than)) return false;
  return version.length === than.length ? version < than : version.length < than.length;
}

export function newest(one: string | undefined, other: string | undefined): string | undefined {
  if (one === undefined) return other;
  return isOlder(one, other) ? other : one;
}

function isNumber(version: string | undefined): version is string {
  return version !== undefined && /^(0|[1-9]\d*)$/.test(version);
}
