/** The keys of a domain follow its Secret, and nothing but what the operator says. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { makeEd25519Key, makeRsaKey } from "../../../../src/dns/dkim-key.ts";
import { rotationFile } from "../../../../src/pod/dkim.ts";
import { OwnKeys } from "../../../../src/relay/filter/own-keys.ts";
import { Metrics } from "../../../../src/relay/metrics.ts";
import { swapFolder } from "../../../helpers/relay-pod.ts";
import { collectingLog } from "../settings.ts";

const domain = "chat.example";
const [rsa, other, ed] = [await makeRsaKey(), await makeRsaKey(), await makeEd25519Key()];
let folder: string;
let keys: OwnKeys;
let lines: string[];

const open = () => {
  const log = collectingLog();
  lines = log.lines;
  keys = new OwnKeys({ config: { dkim: { [domain]: folder } }, metrics: new Metrics(), log: log.log, now: Date.now });
};
const said = (...sets: [state: string, ...selectors: string[]][]) =>
  JSON.stringify({ sets: sets.map(([state, ...selectors]) => ({ state, since: "2026-11-29T00:00:00Z", selectors })) });
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "own-keys-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  { files: { "rsa.pem": rsa }, signing: ["chatmail"] },
  { files: { "ed25519.pem": ed, "rsa.pem": rsa }, signing: ["chatmail", "chatmail-ed25519"] },
  { files: { "opendkim.pem": rsa }, signing: ["opendkim"] },
  {
    files: { "rsa.pem": rsa, "new.pem": other, [rotationFile]: said(["Active", "chatmail"], ["Published", "new"]) },
    signing: ["chatmail"],
  },
  {
    files: { "rsa.pem": rsa, "new.pem": other, [rotationFile]: said(["Active", "new"], ["Retiring", "chatmail"]) },
    signing: ["new"],
  },
  { files: { "rsa.pem": rsa, [rotationFile]: said(["Somehow", "chatmail"]) }, signing: undefined },
  { files: { "rsa.pem": rsa, [rotationFile]: said(["Active", "../key"]) }, signing: undefined },
  { files: { "rsa.pem": rsa, [rotationFile]: said(["Active", "missing"]) }, signing: undefined },
  { files: { "rsa.pem": rsa, [rotationFile]: "{" }, signing: undefined },
  { files: { "notes.txt": "x" }, signing: undefined },
  { files: { "ed25519.pem": ed }, signing: undefined },
  { files: { "rsa.pem": rsa, "ca.pem": "a certificate" }, signing: ["chatmail"] },
  { files: { "rsa.pem": "-----BEGIN", "ed25519.pem": ed }, signing: undefined },
])("it signs with $signing", ({ files, signing }) => {
  swapFolder(folder, files);
  open();
  expect(keys.signing()[domain]).toEqual(signing);
  expect(Object.keys(keys.problems())).toEqual(signing ? [] : [domain]);
});

describe("while it runs", () => {
  const before = {
    "rsa.pem": rsa,
    "new.pem": other,
    [rotationFile]: said(["Active", "chatmail"], ["Published", "new"]),
  };
  const switched = said(["Active", "new"], ["Retiring", "chatmail"]);

  test.each([
    { when: "another key signs", files: { ...before, [rotationFile]: switched }, signing: ["new"] },
    {
      when: "a key that does not sign is removed",
      files: { ...before, [rotationFile]: said(["Active", "chatmail"]) },
      signing: ["chatmail"],
    },
    {
      when: "the key of its selector is another",
      files: { ...before, "rsa.pem": other },
      signing: ["chatmail"],
      refused: true,
    },
    {
      when: "what is said can't be read",
      files: { ...before, [rotationFile]: "{" },
      signing: ["chatmail"],
      refused: true,
    },
    {
      when: "the new key can't be read",
      files: { ...before, "new.pem": "no key", [rotationFile]: switched },
      signing: ["chatmail"],
      refused: true,
    },
    {
      when: "nothing is said any more",
      files: { "rsa.pem": other, "zz.pem": rsa },
      signing: ["chatmail"],
      refused: true,
    },
  ])("when $when, it signs with $signing", ({ files, signing, refused = false }) => {
    swapFolder(folder, before);
    open();
    expect(keys.signing()).toEqual({ [domain]: ["chatmail"] });
    swapFolder(folder, files);
    keys.follow();
    keys.follow();
    expect(keys.signing()).toEqual({ [domain]: signing });
    expect(keys.problems()).toEqual({});
    expect(lines.filter((line) => line.includes("the ones before stay in use"))).toHaveLength(refused ? 1 : 0);
  });

  test("a key that nobody has published yet is not taken up", () => {
    swapFolder(folder, { "rsa.pem": rsa });
    open();
    swapFolder(folder, { "rsa.pem": rsa, "ed25519.pem": ed });
    keys.follow();
    expect(keys.signing()).toEqual({ [domain]: ["chatmail"] });
  });

  test("the first rotation is taken up, also where the folder is no Secret", () => {
    writeFileSync(join(folder, "rsa.pem"), rsa);
    open();
    writeFileSync(join(folder, "new.pem"), other);
    writeFileSync(join(folder, rotationFile), switched);
    keys.follow();
    expect(keys.signing()).toEqual({ [domain]: ["new"] });
  });
});
