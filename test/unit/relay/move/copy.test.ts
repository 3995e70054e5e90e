import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { copyVolume } from "../../../../src/relay/move/copy.ts";

let folder = "";
const from = (...names: string[]) => join(folder, "from", ...names);
const to = (...names: string[]) => join(folder, "to", ...names);
const copy = (more: Partial<Parameters<typeof copyVolume>[0]> = {}) =>
  copyVolume({ from: from(), to: to(), isLive: false, ...more });
const mail = "cur/1700000000.M1P2.host,S=5:2,S";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "chatmail-test-move-"));
  mkdirSync(from("cur"), { recursive: true, mode: 0o700 });
  mkdirSync(to());
  writeFileSync(from(mail), "hello", { mode: 0o600 });
  utimesSync(from(mail), 1_600_000_000, 1_600_000_000.123456);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("names, contents, modes and times are those of the source", async () => {
  chmodSync(from(mail), 0o640);
  chmodSync(from("cur"), 0o750);
  utimesSync(from("cur"), 1_500_000_000, 1_500_000_000);
  expect(await copy()).toEqual({ files: 1, bytes: 5, copiedFiles: 1, copiedBytes: 5, removed: 0 });
  expect(readFileSync(to(mail), "utf8")).toBe("hello");
  const [one, other] = [lstatSync(from(mail)), lstatSync(to(mail))];
  expect(other).toMatchObject({ mode: one.mode, uid: one.uid, gid: one.gid });
  expect(other.mtimeMs).toBeCloseTo(one.mtimeMs, 2);
  expect(lstatSync(to("cur"))).toMatchObject({ mode: lstatSync(from("cur")).mode, mtimeMs: 1_500_000_000_000 });
  expect(readdirSync(to())).toEqual(["cur"]);
});

test("a name that is no text is copied byte by byte", async () => {
  const name = Buffer.from([0x63, 0xff, 0xfe]);
  writeFileSync(Buffer.concat([Buffer.from(`${from()}/`), name]), "x");
  await copy();
  expect(readdirSync(to(), { encoding: "buffer" }).some((each) => each.equals(name))).toBe(true);
});

test("files with several names stay one file, also in a second pass", async () => {
  linkSync(from(mail), from("cur/other"));
  for (const copiedFiles of [1, 0]) {
    expect(await copy()).toMatchObject({ files: 2, copiedFiles });
    expect(lstatSync(to("cur/other")).ino).toBe(lstatSync(to(mail)).ino);
  }
});

test("symbolic links are links, and are not followed", async () => {
  symlinkSync("/etc/passwd", from("link"));
  await copy();
  expect(readlinkSync(to("link"))).toBe("/etc/passwd");
});

test("a second pass copies what has changed, renames and removes, and nothing else", async () => {
  writeFileSync(from("cur/gone"), "gone");
  writeFileSync(from("kept"), "kept");
  await copy();
  rmSync(from("cur/gone"));
  renameSync(from(mail), from(`${mail}R`));
  writeFileSync(from("cur/new"), "new");
  writeFileSync(from("kept"), "KEPT");
  expect(await copy()).toMatchObject({ copiedFiles: 3, removed: 2 });
  expect(readdirSync(to("cur")).sort()).toEqual([`${mail}R`.slice(4), "new"].sort());
  expect(readFileSync(to("kept"), "utf8")).toBe("KEPT");
  expect(await copy()).toMatchObject({ copiedFiles: 0, removed: 0 });
});

test("a file and a folder take each other's place", async () => {
  mkdirSync(to("cur", "deep"), { recursive: true });
  writeFileSync(to("cur", "deep", "file"), "x");
  mkdirSync(to(mail));
  writeFileSync(from("one"), "file");
  mkdirSync(from("two"));
  mkdirSync(to("one"));
  writeFileSync(to("two"), "file");
  await copy();
  expect(readFileSync(to(mail), "utf8")).toBe("hello");
  expect(existsSync(to("cur", "deep"))).toBe(false);
  expect(lstatSync(to("one")).isFile()).toBe(true);
  expect(lstatSync(to("two")).isDirectory()).toBe(true);
});

test("what an interrupted copy has left is no part of the volume; nor is lost+found", async () => {
  writeFileSync(to(".chatmail-move"), "half");
  mkdirSync(to("lost+found"));
  mkdirSync(from("lost+found"));
  writeFileSync(from("lost+found", "x"), "x");
  await copy();
  expect(readdirSync(to()).sort()).toEqual(["cur", "lost+found"]);
  expect(readdirSync(to("lost+found"))).toEqual([]);
});

test("while the relay runs, what vanishes is left out; when it is stopped, that is an error", async () => {
  writeFileSync(from("cur/0-vanishes"), "x");
  writeFileSync(from("a"), "x");
  const vanish = { progress: () => rmSync(from("cur"), { recursive: true, force: true }) };
  expect(await copy({ isLive: true, ...vanish })).toMatchObject({ files: 1 });
  mkdirSync(from("cur"));
  writeFileSync(from("cur/1"), "x");
  await expect(copy(vanish)).rejects.toThrow("ENOENT");
  mkdirSync(from("cur"));
  await copy();
  expect(readdirSync(to("cur"))).toEqual([]);
});

test("what is on the other volume already is not copied again after an interruption", async () => {
  writeFileSync(from("second"), "second");
  const stop = () => {
    throw new Error("killed");
  };
  await expect(copy({ progress: stop })).rejects.toThrow("killed");
  expect(await copy()).toMatchObject({ files: 2, copiedFiles: 1 });
});
