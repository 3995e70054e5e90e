import { expect, test } from "vitest";
import { dkimFingerprint, makeEd25519Key, makeRsaKey, publicDkimKey } from "../../../src/dns/dkim-key.ts";
import { knowsKey, ownersOf, publishedKeys, readDkimKeys } from "../../../src/operator/identity/dkim.ts";
import { importedKey } from "../../../src/operator/identity/imported-key.ts";
import { Rotation } from "../../../src/operator/identity/rotation.ts";
import { rotationFile, signingSelectors } from "../../../src/pod/dkim.ts";
import { opendkimKey } from "../../helpers/foreign-relay.ts";

const pem = opendkimKey();
const now = new Date("2026-11-29T12:00:00Z");
const madeAt = "2026-11-28T12:00:00Z";
const given = { selector: "opendkim", pem, madeAt, now, published: [] as string[] };
const own = await makeRsaKey();
const fingerprintOf = (text: string) => {
  const key = publicDkimKey(text);
  return key ? dkimFingerprint(key) : "";
};

function merged(texts: Record<string, string>, patch: Record<string, string | null>): Record<string, string> {
  const all = Object.entries({ ...texts, ...patch });
  return Object.fromEntries(all.filter((each): each is [string, string] => each[1] !== null));
}

const keysIn = (texts: Record<string, string>) => {
  const read = readDkimKeys(texts, madeAt);
  if ("problem" in read) throw new Error(read.problem);
  return read.value;
};

test("it signs in place of a key that nobody knows, which is remembered as removed", () => {
  const before = { "rsa.pem": own };
  const key = importedKey(before, given);
  if (key.kind !== "new") throw new Error(key.kind);
  expect(key.replaces).toEqual(["chatmail"]);
  const after = merged(before, key.patch);
  expect(Object.keys(after).sort()).toEqual(["opendkim.pem", rotationFile]);
  expect(signingSelectors(Object.keys(after), (file) => after[file] ?? "")).toEqual(["opendkim"]);
  const keys = keysIn(after);
  expect(publishedKeys(keys).map(({ selector, signs }) => `${selector} ${signs}`)).toEqual(["opendkim true"]);
  expect(knowsKey(keys, fingerprintOf(own))).toBe(true);
  // records in the zone are still known to be ours
  expect(ownersOf(keys)[0]).toBe(ownersOf(keysIn(before))[0]);
  expect(importedKey(after, given)).toEqual({ kind: "known", state: "Active" });
});

test("a key whose record is published retires, so that mail on its way can be verified", async () => {
  const before = { "rsa.pem": own, "ed25519.pem": await makeEd25519Key() };
  const key = importedKey(before, { ...given, published: ["chatmail"] });
  if (key.kind !== "new") throw new Error(key.kind);
  const after = merged(before, key.patch);
  const { sets } = Rotation.parse(JSON.parse(after[rotationFile] ?? ""));
  expect(sets.map(({ state, selectors }) => `${state} ${selectors.join()}`)).toEqual([
    "Active opendkim",
    "Retiring chatmail,chatmail-ed25519",
  ]);
  expect(signingSelectors(Object.keys(after), (file) => after[file] ?? "")).toEqual(["opendkim"]);
});

test("a rotation that is under way ends", async () => {
  const sets = [
    { state: "Active", since: madeAt, selectors: ["chatmail"] },
    { state: "Publishing", since: madeAt, selectors: ["chatmail-20261128"] },
  ];
  const before = {
    "rsa.pem": own,
    "chatmail-20261128.pem": await makeRsaKey(),
    [rotationFile]: JSON.stringify({ sets, lastName: "chatmail-20261128" }),
  };
  const key = importedKey(before, given);
  if (key.kind !== "new") throw new Error(key.kind);
  const rotation = Rotation.parse(JSON.parse(merged(before, key.patch)[rotationFile] ?? ""));
  expect(rotation.sets.map(({ selectors }) => selectors.join())).toEqual(["opendkim"]);
  expect(rotation.lastName).toBe("chatmail-20261128");
  expect(rotation.removed).toHaveLength(2);
});

test("one that was imported and rotated away does not come again", () => {
  const sets = [{ state: "Active", since: madeAt, selectors: ["chatmail"] }];
  const removed = [fingerprintOf(pem)];
  const before = { "rsa.pem": own, [rotationFile]: JSON.stringify({ sets, removed }) };
  expect(importedKey(before, given)).toEqual({ kind: "known", state: "removed" });
});

test.each([
  { when: "it is no key", texts: { "rsa.pem": own }, over: { pem: "x" }, says: /no RSA private key/ },
  {
    when: "the selector has another key",
    texts: { "rsa.pem": own, "opendkim.pem": own },
    over: {},
    says: /another key/,
  },
  { when: "the Secret is broken", texts: { "rsa.pem": "x" }, over: {}, says: /the Secret has no private key/ },
])("$when", ({ texts, over, says }) => {
  expect(importedKey(texts, { ...given, ...over })).toEqual({
    kind: "problem",
    message: expect.stringMatching(says) as unknown,
  });
});
