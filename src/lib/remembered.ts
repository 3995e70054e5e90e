import { createHash } from "node:crypto";
import { BoundedMap } from "./bounded-map.ts";

/**
 * A pure function of texts that costs far more than a digest of them: the results of the `most`
 * used last are kept, under digests, so that no text stays in memory for it. The built-in number is
 * enough for several thousand servers.
 */
export function remembered<Texts extends readonly string[], Result>(
  make: (...texts: Texts) => Result,
  most = 4096,
): (...texts: Texts) => Result {
  const known = new BoundedMap<string, { result: Result }>(most);
  return (...texts) => {
    const hash = createHash("sha256");
    for (const text of texts) hash.update(`${text.length}:`).update(text);
    const key = hash.digest("base64");
    const found = known.use(key);
    if (found) return found.result;
    const result = make(...texts);
    known.set(key, { result });
    return result;
  };
}
