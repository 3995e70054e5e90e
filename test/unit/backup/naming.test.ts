import { expect, test } from "vitest";
import { backupName, backupTime, namesToDelete, newestBackup } from "../../../src/backup/naming.ts";

const time = "2026-11-29T22:18:00.500Z";

test.each(["nine", "nine-two", "a.b-3"])("a name of %s says when it was begun", (server) => {
  const name = backupName({ server, time, contents: "Identity" });
  expect(name).toBe(`${server}-20261129T221800Z-identity.tar.gz.age`);
  expect(backupTime(name, server)).toEqual(new Date("2026-11-29T22:18:00Z"));
});

test.each([
  "nine-two-20261129T221800Z-all.tar.gz.age",
  "nine-20261329T221800Z-all.tar.gz.age",
  "nine-20261129T221800Z-all.tar.gz.age.part",
  "nine-20261129T221800Z-some.tar.gz.age",
  "ten-20261129T221800Z-all.tar.gz.age",
  "",
])("%j is no backup of nine", (name) => {
  expect(backupTime(name, "nine")).toBeUndefined();
});

test("the newest stay, and one at least", () => {
  const names = ["03", "01", "02"].map((day) => `nine-202611${day}T000000Z-all.tar.gz.age`);
  const others = ["x", "nine-two-20200101T000000Z-all.tar.gz.age"];
  expect(namesToDelete([...names, ...others], "nine", 2)).toEqual(["nine-20261101T000000Z-all.tar.gz.age"]);
  expect(namesToDelete(names, "nine", 0)).toHaveLength(2);
  expect(namesToDelete(names, "nine", 9)).toEqual([]);
});

test("the newest of a folder, whatever the server was called and whatever else lies there", () => {
  const names = [
    "nine-20261129T221800Z-all.tar.gz.age",
    "nine-too-20261130T221800Z-identity.tar.gz.age",
    "nine-20261231T221800Z-all.tar.gz.age.part",
    "nine-20261399T221800Z-all.tar.gz.age",
    "zzz",
  ];
  expect(newestBackup(names)).toBe("nine-too-20261130T221800Z-identity.tar.gz.age");
  expect(newestBackup(["zzz"])).toBeUndefined();
});
