import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { type Crypt, loadCrypt } from "../../../../src/relay/accounts/crypt-addon.ts";
import { Hashing } from "../../../../src/relay/accounts/hashing.ts";
import { sha512Crypt } from "../../../../src/relay/accounts/sha512-crypt.ts";

const workerFile = new URL("../../../../src/relay/accounts/hash-worker.ts", import.meta.url);
const nowhere = new URL("./nowhere.ts", import.meta.url);
const stored = sha512Crypt("secret", "$6$salt$") ?? "";

let hashing: Hashing;
const hashingWith = (crypt: Crypt | undefined, file = workerFile) => {
  hashing = new Hashing({ workerFile: file, threads: 1, crypt });
  return hashing;
};
afterEach(() => hashing?.close());

describe("with the library", () => {
  /** What it was asked for, and no worker to fall back to. */
  const asked: string[] = [];
  const byLibrary = () => {
    asked.length = 0;
    return hashingWith(async (password, setting) => {
      asked.push(setting);
      return sha512Crypt(password.toString(), setting);
    }, nowhere);
  };

  test("a new hash is the library's", async () => {
    expect(await byLibrary().run({ kind: "hash", password: "secret", setting: "$6$salt$" })).toBe(stored);
  });

  test.each([
    ["secret", stored, true],
    ["Secret", stored, false],
    ["secret", `${stored.slice(0, -1)}x`, false],
    ["secret", `${stored}x`, false],
  ])("%j with %j: %s", async (password, hash, expected) => {
    expect(await byLibrary().run({ kind: "verify", password, stored: hash })).toBe(expected);
  });

  test("it sees the setting alone, with rounds that it allows", async () => {
    const of = (hash: string) => byLibrary().run({ kind: "verify", password: "x", stored: hash });
    await of(stored);
    expect(asked).toEqual(["$6$salt$"]);
    await of("$6$rounds=10$averylongsaltofmorethan16$abc");
    expect(asked).toEqual(["$6$rounds=1000$averylongsaltofm$"]);
  });
});

describe.each<{ when: string; crypt: Crypt | undefined; password: string }>([
  { when: "there is no library", crypt: undefined, password: "secret" },
  { when: "the library does not accept it", crypt: async () => undefined, password: "secret" },
  { when: "a text of C would be cut", crypt: async () => "$6$wrong", password: "sec\0ret" },
])("when $when", ({ crypt, password }) => {
  const expected = sha512Crypt(password, "$6$salt$") ?? "";
  test("a worker computes it", async () => {
    hashingWith(crypt);
    expect(await hashing.run({ kind: "hash", password, setting: "$6$salt$" })).toBe(expected);
    expect(await hashing.run({ kind: "verify", password, stored: expected })).toBe(true);
  });
});

test.each(["", "$1$salt$abc", "$6$rounds=999999999$salt$abc"])("no password matches %j", async (hash) => {
  hashingWith(async () => hash);
  expect(await hashing.run({ kind: "verify", password: "secret", stored: hash })).toBe(false);
});

test("an error of the library is an error, not a wrong password", async () => {
  hashingWith(() => Promise.reject(new Error("no memory for a password hash")));
  await expect(hashing.run({ kind: "verify", password: "secret", stored })).rejects.toThrow("no memory");
});

describe("the addon", () => {
  test("is not there outside of the image", () => expect(loadCrypt(nowhere)).toBeUndefined());

  test("a file that is no addon is an error", () => {
    const folder = mkdtempSync(join(tmpdir(), "chatmail-addon-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "crypt.node");
    writeFileSync(file, "text");
    expect(() => loadCrypt(pathToFileURL(file))).toThrow();
  });
});
