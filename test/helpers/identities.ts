/** Identities as reading finds them. */
import type { Secret } from "../../src/kube/kinds.ts";
import type { DkimKey, DkimKeys } from "../../src/operator/identity/dkim.ts";
import type { KeyState } from "../../src/operator/identity/rotation.ts";

const secret = (name: string): Secret => ({ apiVersion: "v1", kind: "Secret", metadata: { name } });

export const present = <Value>(value: Value, name = "x") =>
  ({ state: "present", secret: secret(name), value }) as const;

export const absent = { state: "absent" } as const;

/** The only thing that most tests need of one: what became of the pod does not depend on it. */
export const facts = {
  notAfter: new Date("2126-10-30T00:00:00Z"),
  changesAt: new Date("2126-10-30T00:00:00Z"),
  sha256: "ab",
  keySha256: "cd",
  missingNames: [],
};

/** Keys of a domain; all of them sign where nothing else is said. */
export const dkimKeys = (...keys: (Pick<DkimKey, "selector" | "key"> & { state?: KeyState })[]): DkimKeys => {
  const since = "2026-11-01T00:00:00Z";
  const sets = Map.groupBy(keys, ({ state = "Active" }) => state);
  return {
    rotation: {
      sets: [...sets].map(([state, of]) => ({ state, since, selectors: of.map(({ selector }) => selector) })),
    },
    keys: keys.map(({ state = "Active", ...key }) => ({ ...key, state, since })),
  };
};
