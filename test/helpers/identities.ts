/** Identities as reading finds them. */
import type { Secret } from "../../src/kube/kinds.ts";

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
