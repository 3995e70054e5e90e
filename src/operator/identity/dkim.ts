/** What is in the Secret of the DKIM keys. Pure. */
import type { Dkim } from "../../api/spec/dkim.ts";
import { dkimFingerprint, makeEd25519Key, makeRsaKey, type PublicDkimKey, publicDkimKey } from "../../dns/dkim-key.ts";
import { firstIssue } from "../../lib/issues.ts";
import { keyFileOf, rotationFile, rsaKey, selectorsIn } from "../../pod/dkim.ts";
import { type Algorithm, firstRotation, type KeySet, type KeyState, Rotation } from "./rotation.ts";

/** The contents of the Secret, decoded. */
type Texts = Readonly<Record<string, string>>;

export interface DkimKey {
  selector: string;
  key: PublicDkimKey;
  state: KeyState;
  /** When it came into this state. */
  since: string;
}

export interface DkimKeys {
  rotation: Rotation;
  /** Those that sign come first. */
  keys: readonly DkimKey[];
}

/** `madeAt`: when the Secret was created. Without a value, `problem` says what is wrong. */
export function readDkimKeys(texts: Texts, madeAt: string): { value: DkimKeys } | { problem: string } {
  const keyOf = (selector: string) => publicDkimKey(texts[keyFileOf(selector)] ?? "");
  const written = texts[rotationFile];
  const rotation = written === undefined ? undefined : readRotation(written);
  if (rotation && "problem" in rotation) return rotation;
  const readable = selectorsIn(Object.keys(texts)).filter((selector) => keyOf(selector) !== undefined);
  const all = rotation ?? firstRotation(readable, madeAt);
  const broken = (set: KeySet) => set.selectors.filter((selector) => keyOf(selector) === undefined);
  const lacking = all.sets.filter(({ state }) => state === "Active").flatMap(broken);
  if (lacking.length > 0) return { problem: `no private key in ${lacking.map(keyFileOf).join(" and ")}` };
  // without one of the others, mail is signed all the same
  const whole = { ...all, sets: all.sets.filter((set) => broken(set).length === 0) };
  const sets = [...whole.sets].sort((a, b) => Number(b.state === "Active") - Number(a.state === "Active"));
  const keys = sets.flatMap(({ selectors, state, since }) =>
    selectors.flatMap((selector) => {
      const key = keyOf(selector);
      return key ? [{ selector, key, state, since }] : [];
    }),
  );
  if (!keys.some(isRequired)) return { problem: `no private key in ${rsaKey.file}` };
  return { value: { rotation: whole, keys } };
}

function readRotation(text: string): Rotation | { problem: string } {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { problem: `${rotationFile} that is not JSON` };
  }
  const rotation = Rotation.safeParse(json);
  return rotation.success
    ? rotation.data
    : { problem: `${rotationFile} that can't be used (${firstIssue(rotation.error)})` };
}

const isRequired = ({ state, key }: DkimKey) => state === "Active" && key.type === "rsa";

/** The key that mail can't do without. */
export const requiredKey = ({ keys }: DkimKeys): PublicDkimKey | undefined => keys.find(isRequired)?.key;

/** Whether the Secret has the key of this fingerprint, or had it until a rotation removed it. */
export const knowsKey = ({ keys, rotation }: DkimKeys, fingerprint: string): boolean =>
  keys.some(({ key }) => dkimFingerprint(key) === fingerprint) || (rotation.removed?.includes(fingerprint) ?? false);

/** Those that have a record in the DNS; `signs`: mail is signed with it. */
export const publishedKeys = ({ keys }: DkimKeys) =>
  keys
    .filter(({ state }) => state !== "Pending")
    .map(({ selector, key, state }) => ({ selector, key, signs: state === "Active" }));

/** By which records in the zone are known to be ours: the first is written there. */
export function ownersOf(of: DkimKeys): string[] {
  const required = requiredKey(of);
  const first = of.rotation.owner ?? (required && shortOf(required));
  return [...new Set([...(first === undefined ? [] : [first]), ...of.keys.map(({ key }) => shortOf(key))])];
}

const shortOf = (key: PublicDkimKey) => dkimFingerprint(key).slice(0, 32);

export const algorithmOf = ({ type }: PublicDkimKey): Algorithm => (type === "rsa" ? "RSA2048" : "Ed25519");

/** `rsaKey`: where one comes from that is ready. */
export const makeKey = (algorithm: Algorithm, rsaKey: () => Promise<string> = makeRsaKey): Promise<string> =>
  algorithm === "RSA2048" ? rsaKey() : makeEd25519Key();

/** Of a new domain. */
export async function firstKeys({ algorithms, selectorPrefix }: Dkim, rsaKey?: () => Promise<string>): Promise<Texts> {
  const entries = algorithms.map(async (algorithm) => {
    const selector = algorithm === "RSA2048" ? selectorPrefix : `${selectorPrefix}-ed`;
    return [keyFileOf(selector), await makeKey(algorithm, rsaKey)] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}
