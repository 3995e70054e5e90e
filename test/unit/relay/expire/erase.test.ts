import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { eraseMail, eraseQueue, nothingErased } from "../../../../src/relay/expire/erase.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "erase-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const put = (path: string, text = "x") => {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
};
const all = () =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();

test("mail of every domain goes, with what tells of it; accounts stay with their times", () => {
  const home = "nine.test/alice1234@nine.test";
  const stays = ["password", "metadata.json", "enforceE2EEincoming"].map((name) => `${home}/${name}`);
  for (const path of stays) put(path);
  const day = Date.parse("2026-11-01T00:00:00Z") / 1000;
  utimesSync(join(folder, home, "password"), day, day);
  for (const path of ["cur/1.M1.h,S=1:2,S", "new/2.M1.h,S=1", "tmp/3", ".DeltaChat/cur/4.M1.h,S=1:2,"])
    put(`${home}/${path}`);
  for (const path of ["maildirsize", "dovecot.index", "dovecot-uidlist", "subscriptions"]) put(`${home}/${path}`);
  put("left.example/bob123456@left.example/cur/1.M1.h,S=1:2,S");
  put("left.example/bob123456@left.example/DISABLED");
  put(".rates.json");

  const counts = nothingErased();
  eraseMail(folder, counts);
  expect(all()).toEqual([".rates.json", "left.example/bob123456@left.example/DISABLED", ...stays].sort());
  expect(counts).toEqual({ accounts: 2, files: 9, failures: 0 });
  expect(statSync(join(folder, home, "password")).mtimeMs).toBe(day * 1000);
  // a second run finds nothing
  const again = nothingErased();
  eraseMail(folder, again);
  expect(again).toEqual({ accounts: 2, files: 0, failures: 0 });
});

test("an address whose password an administrator took away stays blocked", () => {
  put("nine.test/gone12345@nine.test/cur/1.M1.h,S=1:2,S");
  eraseMail(folder, nothingErased());
  expect(readdirSync(join(folder, "nine.test/gone12345@nine.test"))).toEqual(["cur"]);
});

test("what a link leads to is left alone", () => {
  put("elsewhere/kept");
  mkdirSync(join(folder, "mail/nine.test/alice1234@nine.test"), { recursive: true });
  symlinkSync(join(folder, "elsewhere"), join(folder, "mail/nine.test/alice1234@nine.test/cur2"));
  symlinkSync(join(folder, "elsewhere"), join(folder, "mail/nine.test/bob123456@nine.test"));
  eraseMail(join(folder, "mail"), nothingErased());
  expect(existsSync(join(folder, "elsewhere/kept"))).toBe(true);
});

test("the queue is emptied, its folders and Postfix's own files stay", () => {
  for (const path of ["maildrop/A1", "incoming/B1", "active/C1", "deferred/D/D1", "defer/D/D1", "bounce/E1"]) put(path);
  put("pid/master.pid");
  const counts = nothingErased();
  eraseQueue(folder, counts);
  expect(all()).toEqual(["pid/master.pid"]);
  expect(existsSync(join(folder, "deferred"))).toBe(true);
  expect(counts).toEqual({ accounts: 0, files: 6, failures: 0 });
});

test("a volume without mail or queue has nothing to erase", () => {
  const counts = nothingErased();
  eraseMail(join(folder, "none"), counts);
  eraseQueue(join(folder, "none"), counts);
  expect(counts).toEqual(nothingErased());
});
