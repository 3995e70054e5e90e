import { randomInt } from "node:crypto";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isInvite, provenPassword, provesInvite } from "../../../../src/relay/invites/policy.ts";
import { readInvites } from "../../../../src/relay/invites/store.ts";
import { settings } from "../settings.ts";

const token = "k3v9-friends";
const address = "abcdefghi@chat.example";
const made = provenPassword({ token, address, minLength: 9, below: randomInt });

test("a password of /new proves the invite it was made with, in any spelling of the address", () => {
  expect(made).toMatch(/^[A-Za-z0-9]{16}[A-Za-z0-9_-]{22}$/);
  expect(provesInvite(made, address, [token])).toBe(true);
  expect(provesInvite(made, address.toUpperCase(), ["another-one", token])).toBe(true);
});

test.each([
  ["another address", made, "bbcdefghi@chat.example", [token]],
  ["an invite that was taken back", made, address, ["another-one"]],
  ["no invites", made, address, []],
  ["another first letter", `${made[0] === "a" ? "b" : "a"}${made.slice(1)}`, address, [token]],
  ["another last letter", `${made.slice(0, -1)}!`, address, [token]],
  ["one letter less", made.slice(1), address, [token]],
  ["one letter more", `${made}x`, address, [token]],
  ["the invite itself", token.repeat(4), address, [token]],
  ["nothing", "", address, [token]],
])("%s proves nothing", (_, password, user, tokens) => expect(provesInvite(password, user, tokens)).toBe(false));

test("a relay that wants long passwords gets them", () => {
  const long = provenPassword({ token, address, minLength: 128, below: randomInt });
  expect(long).toHaveLength(128);
  expect(provesInvite(long, address, [token])).toBe(true);
});

test.each([
  [token, [token], true],
  [token, ["another-one", token], true],
  ["k3v9", [token], false],
  [`${token}x`, [token], false],
  ["", [token], false],
  [undefined, [token], false],
  [token, [], false],
])("%s among %j is an invite: %s", (given, tokens, valid) => expect(isInvite(given, tokens)).toBe(valid));

test("invites are the files of the mounted Secret, as they are now", async () => {
  const invitesFolder = join(settings().runFolder, "invites");
  expect(await readInvites({ invitesFolder })).toEqual([]);
  const data = join(invitesFolder, "..2026_11_23");
  mkdirSync(data, { recursive: true });
  symlinkSync("..2026_11_23", join(invitesFolder, "..data"));
  for (const [name, text] of [
    ["link", "https://chat.example/i/first-one\n"],
    ["friends", "second-one"],
    ["notes", "not one"],
  ] as const) {
    writeFileSync(join(data, name), text);
    symlinkSync(`..data/${name}`, join(invitesFolder, name));
  }
  expect((await readInvites({ invitesFolder })).sort()).toEqual(["first-one", "second-one"]);
  expect(await readInvites({})).toEqual([]);
});
