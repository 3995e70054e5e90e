import { mkdirSync, mkdtempSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { leftDomains } from "../../../../src/relay/expire/left-domains.ts";
import { limits } from "../settings.ts";

test("every domain folder of the volume is found, by the longest times of those that are served, and nothing else", () => {
  const mailFolder = mkdtempSync(join(tmpdir(), "left-domains-"));
  for (const name of [
    "_new.test",
    "_old.test",
    "older.example",
    "192.0.2.7",
    "2001:db8::9",
    ".hidden.test",
    ".probe",
    "lost+found",
  ])
    mkdirSync(join(mailFolder, name));
  symlinkSync("/", join(mailFolder, "link.test"));
  const domains = {
    "_new.test": limits({ deleteAfterDays: 20, deleteLargeAfterDays: 3 }),
    "_two.test": limits({ deleteAfterDays: 5, deleteLargeAfterDays: 4, inactiveAccountsAfterDays: 100 }),
  };
  const left = leftDomains({ mailFolder, domains });
  const times = { deleteAfterDays: 20, deleteLargeAfterDays: 4, inactiveAccountsAfterDays: 100 };
  expect(Object.keys(left).sort()).toEqual(["192.0.2.7", "2001:db8::9", "_old.test", "older.example"]);
  for (const each of Object.values(left)) expect(each).toMatchObject(times);
});
