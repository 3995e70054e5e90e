/**
 * A DKIM key of another relay of the domain becomes the one that signs: its record is published
 * already, under its own selector. Pure.
 */
import { dkimFingerprint, publicDkimKey } from "../../dns/dkim-key.ts";
import { keyFileOf, rotationFile } from "../../pod/dkim.ts";
import { knowsKey, ownersOf, readDkimKeys } from "./dkim.ts";
import { type KeySet, type Rotation, remembering } from "./rotation.ts";

export type ImportedKey =
  /** It is among the keys already, in this state; "removed": a rotation has replaced it. */
  | { kind: "known"; state: KeySet["state"] | "removed" }
  /** What has to change in the Secret; null: the key is removed. */
  | { kind: "new"; patch: Record<string, string | null>; replaces: string[] }
  | { kind: "problem"; message: string };

export interface KeyToImport {
  selector: string;
  pem: string;
  /** When the Secret was created. */
  madeAt: string;
  now: Date;
  /** Selectors whose record is published: mail signed with them may be on its way. */
  published: readonly string[];
}

/** `texts`: the contents of the Secret, decoded. */
export function importedKey(texts: Readonly<Record<string, string>>, given: KeyToImport): ImportedKey {
  const { selector, madeAt, now, published } = given;
  const key = publicDkimKey(given.pem);
  if (key?.type !== "rsa") return { kind: "problem", message: `the key ${selector} is no RSA private key in PEM` };
  const read = readDkimKeys(texts, madeAt);
  if ("problem" in read) return { kind: "problem", message: `the Secret has ${read.problem}` };
  const { value: keys } = read;
  const { rotation } = keys;
  const same = keys.keys.find((each) => dkimFingerprint(each.key) === dkimFingerprint(key));
  if (same) return { kind: "known", state: same.state };
  if (knowsKey(keys, dkimFingerprint(key))) return { kind: "known", state: "removed" };
  if (texts[keyFileOf(selector)] !== undefined)
    return { kind: "problem", message: `the server has another key with the selector ${selector}` };

  const since = `${now.toISOString().slice(0, 19)}Z`;
  const stays = (set: KeySet) =>
    set.state === "Retiring" || (set.state === "Active" && set.selectors.some((each) => published.includes(each)));
  const kept = rotation.sets
    .filter(stays)
    .map((set): KeySet => (set.state === "Retiring" ? set : { ...set, state: "Retiring", since }));
  const dropped = rotation.sets.filter((set) => !stays(set)).flatMap(({ selectors }) => selectors);
  const fingerprints = keys.keys
    .filter((each) => dropped.includes(each.selector))
    .map((each) => dkimFingerprint(each.key));
  const [owner] = ownersOf(keys);
  const to: Rotation = {
    ...rotation,
    sets: [{ state: "Active", since, selectors: [selector] }, ...kept],
    ...(owner !== undefined && { owner }),
    removed: remembering(rotation.removed, fingerprints),
  };
  return {
    kind: "new",
    patch: {
      [keyFileOf(selector)]: `${given.pem.trim()}\n`,
      [rotationFile]: `${JSON.stringify(to)}\n`,
      ...Object.fromEntries(dropped.map((each) => [keyFileOf(each), null])),
    },
    replaces: rotation.sets.filter(({ state }) => state === "Active").flatMap(({ selectors }) => selectors),
  };
}
