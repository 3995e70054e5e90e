/** Where the files of another relay are found. */
import { mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { accountNames, findTree } from "../../../src/cli/import/tree.ts";
import { ForeignRelay, foreignIni, opendkimKey } from "../../helpers/foreign-relay.ts";

const pem = opendkimKey();
let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tree-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("all of a machine", async () => {
  const relay = new ForeignRelay(folder, "nine.test", pem);
  const address = relay.account("alice1234", { password: "x" });
  relay.write("etc/chatmail-nocreate", "");
  const tree = await findTree(folder);
  expect(tree).toMatchObject({ domain: "nine.test", mailboxes: relay.mailboxes, dkimPem: pem, closed: true });
  expect(tree.ini?.get("max_mailbox_size")).toBe("500M");
  expect(await accountNames(tree)).toEqual({ accounts: [address], strange: [] });
});

test("a domain that is an address", async () => {
  const relay = new ForeignRelay(folder, "192.0.2.1", pem);
  const address = relay.account("alice1234", { password: "x" });
  expect(address).toBe("alice1234@[192.0.2.1]");
  const tree = await findTree(folder);
  expect(tree.domain).toBe("192.0.2.1");
  expect(await accountNames(tree)).toEqual({ accounts: [address], strange: [] });
});

test("a relay without accounts yet", async () => {
  new ForeignRelay(folder, "nine.test", pem);
  expect(await accountNames(await findTree(folder))).toEqual({ accounts: [], strange: [] });
});

test("mailboxes in a place of their own, as chatmail.ini says", async () => {
  const relay = new ForeignRelay(folder, "nine.test", pem);
  const address = relay.account("alice1234", { password: "x" });
  mkdirSync(join(folder, "srv"));
  renameSync(relay.mailboxes, join(folder, "srv", "boxes"));
  const ini = foreignIni("nine.test", "mailboxes_dir = /srv/boxes\n");
  relay.write("usr/local/lib/chatmaild/chatmail.ini", ini);
  const tree = await findTree(folder);
  expect(tree.mailboxes).toBe(join(folder, "srv", "boxes"));
  expect((await accountNames(tree)).accounts).toEqual([address]);
});

test.each([
  { when: "home/vmail/mail alone", at: (relay: ForeignRelay) => join(relay.root, "home/vmail/mail") },
  { when: "the folder of the domain alone", at: (relay: ForeignRelay) => relay.mailboxes },
])("$when", async ({ at }) => {
  const relay = new ForeignRelay(folder, "nine.test", pem);
  relay.account("alice1234", { password: "x" });
  const tree = await findTree(at(relay));
  expect(tree).toMatchObject({ domain: "nine.test", mailboxes: relay.mailboxes, ini: undefined, dkimPem: undefined });
});

test("two domains, and nothing says which", async () => {
  for (const domain of ["nine.test", "ten.test"]) new ForeignRelay(folder, domain, pem).account("alice1234");
  rmSync(join(folder, "usr"), { recursive: true });
  await expect(findTree(folder)).rejects.toThrow(/of nine\.test and of ten\.test: name the directory of one/);
});

test("chatmail.ini of one domain, mailboxes of another", async () => {
  const relay = new ForeignRelay(folder, "nine.test", pem);
  relay.account("alice1234");
  relay.write("usr/local/lib/chatmaild/chatmail.ini", foreignIni("ten.test"));
  await expect(findTree(folder)).rejects.toThrow(/no mailboxes of ten\.test/);
});
