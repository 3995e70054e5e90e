import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Domains } from "../../../../src/relay/domains.ts";
import { countUsers, deleteUser, disableUser, enableUser, findUsers } from "../../../../src/relay/users/users.ts";
import { limits } from "../settings.ts";

let folder = "";
let config: Domains;
const now = Date.parse("2026-11-29T12:00:00Z");
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "users-"));
  config = { mailFolder: folder, domains: { "nine.test": limits(), "ten.test": limits() } };
  account("nine.test", "alice1234@nine.test", "2026-11-28");
  account("nine.test", "bob123456@nine.test", "2026-09-01");
  account("ten.test", "alice1234@ten.test", "2026-11-29");
  // mail without a password, an interrupted creation, and what is no account at all
  mkdirSync(join(folder, "nine.test", "carol1234@nine.test", "cur"), { recursive: true });
  account("nine.test", "dave12345@nine.test", "2026-11-28", "");
  account("nine.test", "eve123456@elsewhere.test", "2026-11-28");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function account(domain: string, address: string, day: string, password = "{SHA512-CRYPT}$6$x") {
  const home = join(folder, domain, address);
  mkdirSync(join(home, "cur"), { recursive: true });
  writeFileSync(join(home, "cur", "1.M1.h,S=1:2,"), "x");
  const at = Date.parse(`${day}T00:00:00Z`) / 1_000;
  writeFileSync(join(home, "password"), password);
  utimesSync(join(home, "password"), at, at);
}

test("accounts are counted for each domain: those that there are, are used, and are disabled", async () => {
  await disableUser(config, "bob123456@nine.test");
  expect(await countUsers(config, now)).toEqual([
    { domain: "nine.test", accounts: 2, active: 1, disabled: 1 },
    { domain: "ten.test", accounts: 1, active: 1, disabled: 0 },
  ]);
});

test("they are found by a part of their address", async () => {
  expect(await findUsers(config, "ALICE", 50)).toEqual([
    { address: "alice1234@nine.test", lastLogin: "2026-11-28", disabled: false },
    { address: "alice1234@ten.test", lastLogin: "2026-11-29", disabled: false },
  ]);
  expect(await findUsers(config, "", 1)).toHaveLength(1);
  expect(await findUsers(config, "carol", 50)).toEqual([]);
});

test("disabled and enabled, as often as one likes", async () => {
  const flag = join(folder, "nine.test", "alice1234@nine.test", "DISABLED");
  await disableUser(config, "Alice1234@nine.test");
  await disableUser(config, "alice1234@nine.test");
  expect(existsSync(flag)).toBe(true);
  await enableUser(config, "alice1234@nine.test");
  await enableUser(config, "alice1234@nine.test");
  expect(existsSync(flag)).toBe(false);
});

test("an account is deleted whole, and no other", async () => {
  await deleteUser(config, "alice1234@nine.test");
  expect(readdirSync(join(folder, "nine.test")).sort()).toEqual([
    "bob123456@nine.test",
    "carol1234@nine.test",
    "dave12345@nine.test",
    "eve123456@elsewhere.test",
  ]);
  expect(existsSync(join(folder, "ten.test", "alice1234@ten.test"))).toBe(true);
});

test.each([
  "nobody123@nine.test",
  "carol1234@nine.test",
  "dave12345@nine.test",
  "../ten.test/alice1234@ten.test",
  "alice1234@elsewhere.test",
  "",
  "nine.test",
])("%j is no account: nothing is done", async (address) => {
  const before = readdirSync(folder, { recursive: true }).length;
  for (const act of [disableUser, enableUser, deleteUser])
    await expect(act(config, address)).rejects.toThrow(`there is no account ${address}`);
  expect(readdirSync(folder, { recursive: true })).toHaveLength(before);
});
