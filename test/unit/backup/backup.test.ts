import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { packArchive } from "../../../src/backup/archive.ts";
import { type BackupOptions, makeBackup } from "../../../src/backup/backup.ts";
import { collect } from "../../../src/backup/collect.ts";
import { decrypted, encrypted } from "../../../src/backup/encryption.ts";
import { folderDestination } from "../../../src/backup/folder.ts";
import { moveIntoPlace, restoreMail } from "../../../src/backup/restore.ts";
import { addressDomain } from "../../../src/mail/address.ts";

const domain = "nine.example.org";
const day = new Date("2026-11-20T00:00:00Z");
let folder: string;
let identity: string;
let recipient: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "chatmail-backup-"));
  identity = await generateIdentity();
  recipient = await identityToRecipient(identity);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const at = (...parts: string[]) => join(folder, ...parts);

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(at(path)), { recursive: true });
  await writeFile(at(path), text);
  await utimes(at(path), day, day);
}

/** An account with mail in its inbox and in another folder, and with files of Dovecot. */
async function account(name: string, of = domain): Promise<string> {
  const home = `mail/${of}/${name}@${addressDomain(of)}`;
  await put(`${home}/password`, "{SHA512-CRYPT}$6$salt$hash");
  await put(`${home}/enforceE2EEincoming`, "");
  await put(`${home}/metadata.json`, "{}");
  await put(`${home}/dovecot-uidlist`, "3 V1 N3 G1\n1 :1.eml\n");
  await put(`${home}/dovecot.index.log`, "made again");
  // Dovecot makes it in the account's own folder, too
  await put(`${home}/maildirfolder`, "");
  await put(`${home}/cur/1.eml:2,S`, "read");
  await put(`${home}/new/2.eml`, "new");
  await put(`${home}/tmp/3.eml`, "half");
  await put(`${home}/.DeltaChat/cur/4.eml:2,`, "x".repeat(200_000));
  return home;
}

const options = (contents: "Identity" | "All", keep = 3): BackupOptions => ({
  manifest: { server: "nine", domains: [domain], time: "2026-11-29T22:18:00.123Z" },
  sources: { mailFolder: at("mail"), identity: [{ kind: "dkim", folder: at("dkim") }], contents },
  recipients: [recipient],
  destination: folderDestination(at("backups")),
  keep,
});

const open = async (name: string, key = identity) => decrypted(await folderDestination(at("backups")).read(name), key);

async function filesUnder(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1))
    .sort();
}

test("all of it comes back: files, contents and times", async () => {
  await account("alice");
  await account("bob");
  const report = await makeBackup(options("All"));
  expect(report).toMatchObject({
    name: "nine-20261129T221800Z-all.tar.gz.age",
    accounts: 2,
    messages: 6,
    deleted: [],
  });
  const restored = await restoreMail(await open(report.name), at("restored"));
  expect(restored).toMatchObject({ accounts: 2, files: 2 * 8, manifest: { contents: "All", server: "nine" } });
  const kept = (await filesUnder(at("mail"))).filter((file) => !/\/tmp\/|dovecot\.index/.test(file));
  expect(await filesUnder(at("restored"))).toEqual(kept);
  for (const file of kept) {
    expect(await readFile(at("restored", file))).toEqual(await readFile(at("mail", file)));
    expect((await stat(at("restored", file))).mtime).toEqual(day);
  }
});

test.each(["192.0.2.7", "2001:db8::9"])(
  "accounts of %s come back, whose addresses have it in brackets",
  async (literal) => {
    await account("alice", literal);
    const { name, accounts } = await makeBackup(options("All"));
    expect(accounts).toBe(1);
    expect(await restoreMail(await open(name), at("restored"))).toMatchObject({ accounts: 1, files: 8 });
  },
);

test("Identity has the accounts and the keys, and no mail", async () => {
  const home = await account("alice");
  // as the kubelet mounts a Secret
  await put(`dkim/${domain}/..2026/rsa.pem`, "KEY");
  await symlink("..2026", at("dkim", domain, "..data"));
  await symlink("..data/rsa.pem", at("dkim", domain, "rsa.pem"));
  const names: string[] = [];
  for await (const { name, body } of collect(options("Identity").sources, { accounts: 0, messages: 0 })) {
    names.push(name);
    await body.cancel();
  }
  expect(names).toEqual([
    `identity/dkim/${domain}/rsa.pem`,
    ...["enforceE2EEincoming", "metadata.json", "password"].map((file) => `${home}/${file}`),
  ]);
});

test("of those of the server the newest stay, whatever else lies there", async () => {
  await account("alice");
  for (const name of ["nine-20261101T000000Z-all.tar.gz.age", "nine-20261102T000000Z-identity.tar.gz.age"])
    await put(`backups/${name}`, "old");
  await put("backups/nine-too-20261101T000000Z-all.tar.gz.age", "another server's");
  await put("backups/notes.txt", "a person's");
  const { deleted, name } = await makeBackup(options("All", 2));
  expect(deleted).toEqual(["nine-20261101T000000Z-all.tar.gz.age"]);
  expect((await readdir(at("backups"))).sort()).toEqual(
    ["nine-20261102T000000Z-identity.tar.gz.age", "nine-too-20261101T000000Z-all.tar.gz.age", "notes.txt", name].sort(),
  );
});

test("one that fails leaves nothing under its name, and deletes none", async () => {
  await account("alice");
  await put("backups/nine-20261101T000000Z-all.tar.gz.age", "old");
  const signal = AbortSignal.abort(new Error("stopped"));
  await expect(makeBackup({ ...options("All", 1), signal })).rejects.toThrow();
  expect(await readdir(at("backups"))).toEqual(["nine-20261101T000000Z-all.tar.gz.age"]);
});

describe("nothing is restored from", () => {
  const spoilt = async (change: (bytes: Buffer) => Buffer) => {
    await account("alice");
    const { name } = await makeBackup(options("All"));
    await writeFile(at("backups", name), change(await readFile(at("backups", name))));
    const restoring = async () => restoreMail(await open(name), at("restored"));
    await expect(restoring()).rejects.toThrow(/backup|age/);
    expect((await readdir(at("restored")).catch(() => [])).filter((entry) => !entry.startsWith("."))).toEqual([]);
  };

  test("one that was cut off", () => spoilt((bytes) => bytes.subarray(0, bytes.length - 40)));
  test("one that was cut off in the middle", () => spoilt((bytes) => bytes.subarray(0, bytes.length >> 1)));
  test("one with a changed byte", () =>
    spoilt((bytes) => {
      const at = bytes.length - 100;
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      return bytes;
    }));
  test("an empty file", () => spoilt(() => Buffer.alloc(0)));
  test("another file", () => spoilt(() => Buffer.from("hello")));

  test("one for another key", async () => {
    await account("alice");
    const { name } = await makeBackup(options("All"));
    await expect(open(name, await generateIdentity())).rejects.toThrow(
      "this backup is encrypted for other keys than the one given",
    );
  });

  const written = async (manifest: object, entries: [name: string, text: string][]) => {
    async function* all() {
      for (const [name, text] of entries)
        yield { name, size: text.length, modified: day, body: new Blob([text]).stream() };
    }
    const packed = packArchive(manifest as never, all());
    return decrypted(await encrypted(packed, [recipient]), identity);
  };
  const manifest = { format: 1, contents: "All", server: "nine", domains: [domain], time: day.toISOString() };

  test("one of a newer format", async () => {
    await expect(restoreMail(await written({ ...manifest, format: 2 }, []), at("restored"))).rejects.toThrow(
      "this backup has format 2, and this version reads formats up to 1",
    );
  });
  test("one whose manifest lacks something", async () => {
    await expect(restoreMail(await written({ format: 1 }, []), at("restored"))).rejects.toThrow(/contents/);
  });
  test.each([
    "mail/../../etc/passwd",
    `mail/${domain}/../x/password`,
    `mail/${domain}/alice@other.example/password`,
    `mail/${domain}/password`,
    "/mail/x",
  ])("one with the path %s", async (name) => {
    await expect(restoreMail(await written(manifest, [[name, "x"]]), at("restored"))).rejects.toThrow(/damaged/);
    expect((await readdir(at("restored")).catch(() => [])).filter((entry) => !entry.startsWith("."))).toEqual([]);
  });
});

test("nothing is restored from one of another domain", async () => {
  await account("alice");
  const { name } = await makeBackup(options("All"));
  await expect(restoreMail(await open(name), at("restored"), { domain: "ten.example.org" })).rejects.toThrow(
    `this is a backup of ${domain}, and not of ten.example.org`,
  );
  expect(await readdir(at("restored")).catch(() => [])).toEqual([]);
  expect(await restoreMail(await open(name), at("restored"), { domain })).toMatchObject({ accounts: 1 });
});

test("a volume with accounts stays as it is", async () => {
  await account("alice");
  const { name } = await makeBackup(options("All"));
  await put(`restored/${domain}/carol@${domain}/password`, "hers");
  await expect(restoreMail(await open(name), at("restored"))).rejects.toThrow(
    `the volume has accounts of ${domain} already: a backup is restored into a new volume only`,
  );
  expect(await filesUnder(at("restored"))).toEqual([`${domain}/carol@${domain}/password`]);
});

test("a restore that was interrupted begins anew, and one that was complete is moved into place", async () => {
  await account("alice");
  const { name } = await makeBackup(options("All"));
  await put(`restored/.restoring/${domain}/alice@${domain}/password`, "half");
  await restoreMail(await open(name), at("restored"));
  expect(await readFile(at("restored", domain, `alice@${domain}`, "password"), "utf8")).toMatch(/^\{SHA512-CRYPT\}/);

  await put(`again/.restored/${domain}/bob@${domain}/password`, "his");
  expect(await moveIntoPlace(at("again"))).toBe(true);
  expect(await filesUnder(at("again"))).toEqual([`${domain}/bob@${domain}/password`]);
  expect(await moveIntoPlace(at("again"))).toBe(false);
});

test.each(["", "age1notakey", "ssh-ed25519 AAAA"])("%j is refused as a recipient", async (bad) => {
  const recipients = bad === "" ? [] : [bad];
  await expect(encrypted(new Blob(["x"]).stream(), recipients)).rejects.toThrow(/recipient/);
});
