/** A new volume that is filled from the files of another relay, before its pod serves. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type BootstrapOptions, bootstrapImport } from "../../../src/cli/import/bootstrap.ts";
import { ForeignRelay } from "../../helpers/foreign-relay.ts";
import { limits, settings } from "../relay/settings.ts";

const domain = "nine.test";
let folder: string;
let foreign: ForeignRelay;
let alice: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "import-bootstrap-"));
  mkdirSync(mail());
  foreign = new ForeignRelay(join(folder, "old"), domain);
  alice = foreign.account("alice1234", {
    password: "alice's own password",
    mails: [{ text: "Subject: [...]\r\n\r\nthe first\r\n", flags: "S" }],
  });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const mail = () => join(folder, "new");
const fill = (more: Partial<BootstrapOptions> = {}) =>
  bootstrapImport({
    config: settings({ domains: { [domain]: limits() }, mailFolder: mail() }),
    domain,
    from: foreign.root,
    freeBytes: async () => 2 ** 30,
    now: Date.now,
    ...more,
  });
const homes = () => (existsSync(join(mail(), domain)) ? readdirSync(join(mail(), domain)) : []);

test("accounts and mail come once, and what changes at the source afterwards does not", async () => {
  expect(await fill()).toEqual({ imported: true, accounts: 1, strange: 0, messages: 1 });
  const [file = ""] = readdirSync(join(mail(), domain, alice, "cur"));
  expect(file).toMatch(/:2,S$/);
  expect(gunzipSync(readFileSync(join(mail(), domain, alice, "cur", file))).toString()).toContain("the first");
  foreign.account("carol1234", { password: "carol's own password" });
  expect(await fill()).toMatchObject({ imported: false });
  expect(homes()).toEqual([alice]);
});

test("one that was interrupted goes on", async () => {
  await fill();
  // as it was before the end
  rmSync(join(mail(), ".imported"));
  writeFileSync(join(mail(), ".importing"), "");
  foreign.account("carol1234", { password: "carol's own password" });
  expect(await fill()).toMatchObject({ imported: true, accounts: 2 });
  expect(homes()).toHaveLength(2);
});

test("a volume that has accounts is left as it is", async () => {
  await fill();
  rmSync(join(mail(), ".imported"));
  rmSync(foreign.root, { recursive: true });
  expect(await fill()).toMatchObject({ imported: false, why: "the volume has accounts" });
});

test.each<{ when: string; more: () => Partial<BootstrapOptions>; says: RegExp }>([
  {
    when: "the files are another domain's",
    more: () => ({ domain: "ten.test" }),
    says: /files of nine\.test, and this relay is ten\.test/,
  },
  { when: "there are no files", more: () => ({ from: join(folder, "none") }), says: /there is no such directory/ },
  { when: "there is no room", more: () => ({ freeBytes: async () => 3 }), says: /set storage\.size to a larger size/ },
])("nothing is taken where $when", async ({ more, says }) => {
  await expect(fill(more())).rejects.toThrow(says);
  expect(homes()).toEqual([]);
});
