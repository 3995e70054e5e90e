import { describe, expect, test } from "vitest";
import {
  decideFile,
  decideMails,
  decidePassword,
  mailAt,
  mergeTokens,
  notesIn,
  ownKind,
} from "../../../../src/relay/import/policy.ts";

describe("what is taken of an account's files", () => {
  test.each([
    { path: "password", kind: "password" },
    { path: "DISABLED", kind: "flag" },
    { path: "enforceE2EEincoming", kind: "flag" },
    { path: "metadata.json", kind: "tokens" },
    { path: "dovecot-uidlist", kind: "mailbox" },
    { path: "dovecot-uidvalidity.65a1b2c3", kind: "mailbox" },
    { path: "subscriptions", kind: "mailbox" },
    { path: ".DeltaChat/dovecot-uidlist", kind: "mailbox" },
    { path: ".DeltaChat/maildirfolder", kind: "mailbox" },
    { path: "maildirfolder", kind: undefined },
    { path: "dovecot.index.cache", kind: undefined },
    { path: "imported.json", kind: undefined },
    { path: ".DeltaChat/password", kind: undefined },
    { path: "../password", kind: undefined },
    { path: "a/b/password", kind: undefined },
    { path: "", kind: undefined },
  ])("$path: $kind", ({ path, kind }) => {
    expect(ownKind(path)).toBe(kind);
  });
});

describe("paths of mails", () => {
  test.each([
    { path: "cur/1.M1.host,S=5:2,S", at: { folder: "", part: "cur", name: "1.M1.host,S=5:2,S" } },
    { path: ".DeltaChat/new/1.M1.host", at: { folder: ".DeltaChat", part: "new", name: "1.M1.host" } },
    ...["tmp/1", "cur/..", "cur/.", "../cur/1", "./cur/1", ".../cur/1", "cur/a/b", "cur/", "x/cur/1", "cur/a\0b"].map(
      (path) => ({ path, at: undefined }),
    ),
  ])("$path", ({ path, at }) => {
    expect(mailAt(path)).toEqual(at);
  });
});

describe("which mails are sent, and which get other flags", () => {
  const nothing = { wanted: [], moves: [] };
  test.each([
    { when: "nothing is here", given: ["new/1"], there: [], imported: [], is: { wanted: [0], moves: [] } },
    { when: "an interrupted pass has brought it", given: ["new/1"], there: ["new/1"], imported: [], is: nothing },
    { when: "all is as it was", given: ["cur/1:2,"], there: ["cur/1:2,"], imported: ["cur/1:2,"], is: nothing },
    { when: "it was deleted here", given: ["cur/1:2,"], there: [], imported: ["cur/1:2,"], is: nothing },
    { when: "it was deleted there", given: [], there: ["cur/1:2,"], imported: ["cur/1:2,"], is: nothing },
    {
      when: "it was read there",
      given: [".A/cur/1:2,S"],
      there: [".A/new/1"],
      imported: [".A/new/1"],
      is: { wanted: [], moves: [{ from: ".A/new/1", to: ".A/cur/1:2,S" }] },
    },
    {
      when: "it was read there and answered here",
      given: ["cur/1:2,S"],
      there: ["cur/1:2,R"],
      imported: ["new/1"],
      is: nothing,
    },
    {
      when: "another folder has one with its name",
      given: [".A/cur/1:2,"],
      there: ["cur/1:2,"],
      imported: ["cur/1:2,"],
      is: { wanted: [0], moves: [] },
    },
  ])("$when", ({ given, there, imported, is }) => {
    expect(decideMails(given, there, imported)).toEqual(is);
  });
});

test.each([
  { when: "it is new", there: undefined, imported: undefined, file: "write", password: "write" },
  { when: "it is here already", there: "a", imported: undefined, file: "leave", password: "same" },
  {
    when: "somebody has made it here before the import",
    there: "x",
    imported: undefined,
    file: "leave",
    password: "write",
  },
  { when: "it has changed there", there: "old", imported: "old", file: "write", password: "write" },
  { when: "it has changed here", there: "x", imported: "old", file: "leave", password: "keep" },
  { when: "it was removed here", there: undefined, imported: "a", file: "leave", password: "keep" },
  { when: "it has changed here and there alike", there: "a", imported: "old", file: "leave", password: "same" },
])("$when: a file $file, a password $password", ({ there, imported, file, password }) => {
  expect(decideFile({ given: "a", there, imported })).toBe(file);
  expect(decidePassword({ given: "a", there, imported })).toBe(password);
});

test("tokens of both count, each with its later time, and none that is too old", () => {
  const now = 1_000 * 86_400;
  const merged = mergeTokens({ both: now - 5, here: now - 9 }, { both: now - 1, given: now - 3, old: 5 }, now);
  expect(merged).toEqual({ both: now - 1, here: now - 9, given: now - 3 });
});

test("notes that can't be read are none", () => {
  expect(notesIn(undefined)).toEqual({ files: {}, mails: [] });
  expect(notesIn("{")).toEqual({ files: {}, mails: [] });
  expect(notesIn('{"files":{"password":"a"},"mails":["cur/1"]}')).toEqual({
    files: { password: "a" },
    mails: ["cur/1"],
  });
});
