import { describe, expect, test } from "vitest";
import { newSetting, sha512Crypt, sha512CryptMatches } from "../../../../src/relay/accounts/sha512-crypt.ts";
import { lengthVectors, publishedVectors } from "../../../helpers/crypt-vectors.ts";

test.each(publishedVectors)("%s", (setting, password, expected) =>
  expect(sha512Crypt(password, setting)).toBe(expected),
);

test.each(lengthVectors.map((vector) => [vector[1].length, ...vector] as const))(
  "a password of %d bytes",
  (_, setting, password, expected) => expect(sha512Crypt(password, setting)).toBe(expected),
);

describe("matching", () => {
  const stored = sha512Crypt('pä"ss\\w x=y', "$6$saltsalt$") ?? "";
  test.each([
    ['pä"ss\\w x=y', stored, true],
    ['pä"ss\\w x=z', stored, false],
    ['pä"ss\\w x=y', stored.slice(0, -1), false],
    ['pä"ss\\w x=y', `${stored}x`, false],
    ["", stored, false],
    ["any", "", false],
    ["any", "$6$saltsalt$", false],
    ["any", "$1$saltsalt$abc", false],
    ["any", "$6$rounds=999999999$saltsalt$abc", false],
  ])("%j with %j: %s", (password, hash, expected) => expect(sha512CryptMatches(password, hash)).toBe(expected));
});

test("a new setting has a salt of sixteen letters from all twelve bytes", () => {
  expect(newSetting(Buffer.alloc(12))).toBe("$6$................$");
  expect(newSetting(Buffer.alloc(12, 255))).toBe("$6$zzzzzzzzzzzzzzzz$");
});
