/**
 * The shapes of our CRDs as people have them: a new shape has to fit all that fits the stored one.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { parse, stringify } from "yaml";
import { crdOf } from "../src/api/crd.ts";
import { kinds } from "../src/api/kinds.ts";
import { type CrdShape, refusedChanges, shapeOf } from "./crd-changes.ts";

const folder = resolve(import.meta.dirname, "../test/fixtures/crds");
const fileOf = (plural: string) => resolve(folder, `${plural}.yaml`);
const textOf = (shape: CrdShape) =>
  `# The shape that objects may rely on. npm run accept-crds writes it, and takes additions alone.\n${stringify(shape, { lineWidth: 0, aliasDuplicateObjects: false })}`;

export interface StoredCrd {
  plural: string;
  /** Changes that could refuse or lose what people have. */
  refused: string[];
  /** The stored one has all that the new one has. */
  isFresh: boolean;
  store: () => void;
}

/** `looser`: as in refusedChanges. */
export function storedCrds(looser: readonly string[] = []): StoredCrd[] {
  return kinds.map((kind) => {
    const shape = shapeOf(crdOf(kind));
    const stored = storedText(kind.plural);
    const before = stored === undefined ? undefined : (parse(stored) as CrdShape);
    return {
      plural: kind.plural,
      refused: before ? refusedChanges(before, shape, looser) : [],
      isFresh: stored === textOf(shape),
      store: () => writeFileSync(fileOf(kind.plural), textOf(shape)),
    };
  });
}

/** Undefined for a kind that is new. */
function storedText(plural: string): string | undefined {
  try {
    return readFileSync(fileOf(plural), "utf8");
  } catch {
    return undefined;
  }
}
