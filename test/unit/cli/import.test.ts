/**
 * `kubectl chatmail import`, whole: the files of another relay, the verb, exec on the wire, and the
 * program that takes them into a volume. The API server is an HTTP server with three objects.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { makeRsaKey } from "../../../src/dns/dkim-key.ts";
import { selectorsIn } from "../../../src/pod/dkim.ts";
import { receiveImport } from "../../../src/relay/import/receiver.ts";
import { answerExec, type Exec } from "../../helpers/exec-server.ts";
import { ForeignRelay, foreignIni, opendkimKey } from "../../helpers/foreign-relay.ts";
import { callPlugin } from "../../helpers/plugin.ts";
import { limits } from "../relay/settings.ts";

const domain = "nine.test";
const now = Date.parse("2026-11-29T12:00:00Z");
const dkimPem = opendkimKey();
const ownPem = await makeRsaKey();
let folder = "";
let mailFolder = "";
let foreign: ForeignRelay;
let server: Server;
let secret: { metadata: object; data: Record<string, string> };
let freeBytes = 2 ** 30;
/** What comes before the program's own work on each exec. */
let meddle: (exec: Exec) => void = () => undefined;

beforeEach(async () => {
  freeBytes = 2 ** 30;
  meddle = () => undefined;
  folder = mkdtempSync(join(tmpdir(), "import-"));
  mailFolder = join(folder, "volume");
  mkdirSync(mailFolder);
  foreign = new ForeignRelay(join(folder, "old"), domain, dkimPem);
  const rsa = Buffer.from(ownPem).toString("base64");
  secret = {
    metadata: { name: "nine-dkim", namespace: "mail", resourceVersion: "1", creationTimestamp: "2026-11-28T12:00:00Z" },
    data: { "rsa.pem": rsa },
  };
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const path = new URL(request.url ?? "/", "http://it").pathname;
    const objects: Record<string, object> = {
      "/apis/chatmail.dev/v1alpha1/namespaces/mail/chatmailservers": { metadata: {}, items: [] },
      "/apis/chatmail.dev/v1alpha1/namespaces/mail/chatmailservers/nine": {
        metadata: { name: "nine", namespace: "mail" },
        spec: { domain, accounts: { sendBurst: 7 } },
      },
      "/apis/chatmail.dev/v1alpha1/namespaces/mail/chatmailservers/ten": {
        metadata: { name: "ten", namespace: "mail" },
        spec: { domain: "ten.test" },
      },
      "/api/v1/namespaces/mail/pods/nine-0": { metadata: { name: "nine-0" } },
      "/api/v1/namespaces/mail/secrets/nine-dkim": secret,
    };
    if (request.method === "PATCH") {
      const patch = JSON.parse(Buffer.concat(chunks).toString()) as {
        metadata: object;
        data: Record<string, string | null>;
      };
      expect(patch.metadata).toEqual({ resourceVersion: "1" });
      const data = Object.entries({ ...secret.data, ...patch.data }).filter(([, value]) => value !== null);
      secret = { ...secret, data: Object.fromEntries(data) as Record<string, string> };
    }
    const found = objects[path];
    response.writeHead(found ? 200 : 404, { "content-type": "application/json" });
    response.end(
      JSON.stringify(
        path.endsWith("nine-dkim") ? secret : (found ?? { kind: "Status", code: 404, message: "not found" }),
      ),
    );
  });
  answerExec(server, async (exec) => {
    meddle(exec);
    const config = { mailFolder, domains: { [domain]: limits() } };
    const write = (bytes: Buffer) => exec.write(bytes);
    await receiveImport({ config, requests: exec.input, write, freeBytes: async () => freeBytes, now: () => now });
    return { code: 0 };
  });
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  writeFileSync(
    join(folder, "kubeconfig"),
    JSON.stringify({
      clusters: [{ name: "it", cluster: { server: url, "insecure-skip-tls-verify": true } }],
      users: [{ name: "me", user: { token: "t" } }],
      contexts: [{ name: "it", context: { cluster: "it", user: "me", namespace: "mail" } }],
      "current-context": "it",
    }),
  );
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

const call = (...words: string[]) =>
  callPlugin(["import", ...words, "--from-directory", foreign.root], {
    environment: { KUBECONFIG: join(folder, "kubeconfig") },
    now: new Date(now),
  });
const imported = async (...words: string[]) => {
  const called = await call("nine", "-o", "json", ...words);
  expect(called).toMatchObject({ code: 0 });
  return JSON.parse(called.out) as {
    counts: { accounts: Record<string, number>; mails: Record<string, number>; left: object };
    dkim: { state: string };
    differences: object[];
    notCarriedOver: string[];
  };
};
const here = (address: string, ...path: string[]) => join(mailFolder, domain, address, ...path);
const textHere = (address: string, path: string) => readFileSync(here(address, path), "utf8");
const day = Date.parse("2026-11-20");

/** Three accounts, as people leave them. */
function people() {
  const tokens = JSON.stringify({ devicetoken: { "openpgp:abc": now / 1000 - 60 } });
  const alice = foreign.account("alice1234", {
    password: "alice's password",
    lastLogin: "2026-11-20",
    files: { "metadata.json": tokens, "note.txt": "?" },
    mails: [
      { text: "one", flags: "S" },
      { text: "two", isNew: true },
      { text: "three", folder: ".DeltaChat", flags: "RS" },
    ],
  });
  const bob = foreign.account("bob123456", { password: "bob's password", files: { DISABLED: "" } });
  const carol = foreign.account("carol1234", { mails: [{ text: "blocked" }] });
  // a creation that was interrupted, and what is no account
  foreign.account("dave12345");
  mkdirSync(join(foreign.mailboxes, "Eve@elsewhere.test"));
  return { alice, bob, carol };
}

const mailsHere = (address: string, at = "cur") =>
  existsSync(here(address, at)) ? readdirSync(here(address, at)).sort() : [];

describe("an import", () => {
  test("brings passwords, flags, last logins, tokens, UIDs and mail, and the key", async () => {
    const { alice, bob, carol } = people();
    const { counts, dkim, notCarriedOver, differences } = await imported();
    expect(counts.accounts).toMatchObject({ total: 3, new: 3, blocked: 1, disabled: 1, strange: 1, otherPassword: 0 });
    expect(counts.mails).toMatchObject({ total: 4, wanted: 4, flags: 0 });
    expect(textHere(alice, "password")).toBe(readFileSync(join(foreign.home(alice), "password"), "utf8"));
    expect(statSync(here(alice, "password")).mtimeMs).toBe(day);
    expect(textHere(alice, "metadata.json")).toContain("openpgp:abc");
    expect(textHere(alice, "dovecot-uidlist")).toMatch(/^3 V1790000000 N37 /);
    expect(existsSync(here(alice, ".DeltaChat", "maildirfolder"))).toBe(true);
    expect(existsSync(here(alice, "dovecot.index.log"))).toBe(false);
    expect(existsSync(here(alice, "note.txt"))).toBe(false);
    const [seen = ""] = mailsHere(alice);
    expect(seen).toMatch(/:2,S$/);
    expect(gunzipSync(readFileSync(here(alice, "cur", seen))).toString()).toBe("one");
    expect(statSync(here(alice, "cur", seen)).mtimeMs).toBe(statSync(join(foreign.home(alice), "cur", seen)).mtimeMs);
    expect(mailsHere(alice, "new")).toHaveLength(1);
    expect(mailsHere(alice, ".DeltaChat/cur")).toEqual([expect.stringMatching(/:2,RS$/)]);
    expect(mailsHere(alice, "tmp")).toEqual([]);
    expect(existsSync(here(bob, "DISABLED"))).toBe(true);
    // nobody may come by the mail by choosing a password
    expect([mailsHere(carol).length, existsSync(here(carol, "password"))]).toEqual([1, false]);
    expect(readdirSync(join(mailFolder, domain)).sort()).toEqual([alice, bob, carol]);
    expect(dkim.state).toBe("new");
    expect(selectorsIn(Object.keys(secret.data))).toEqual(["opendkim"]);
    expect(differences).toEqual([{ field: "accounts.sendBurst", theirs: 10, ours: 7 }]);
    expect(notCarriedOver).toEqual(["certificates and the ACME account", "1 file note.txt in the folders of accounts"]);
  });

  test("dry: says the same, and does nothing", async () => {
    people();
    const { counts, dkim } = await imported("--dry-run");
    expect(counts.accounts).toMatchObject({ total: 3, new: 3 });
    expect(counts.mails).toMatchObject({ total: 4, wanted: 4 });
    expect(counts.mails.bytes).toBeGreaterThan(0);
    expect(dkim.state).toBe("new");
    expect(readdirSync(mailFolder)).toEqual([]);
    expect(Object.keys(secret.data)).toEqual(["rsa.pem"]);
  });

  test("a second pass: what is new, other flags, later logins; what was deleted here stays so", async () => {
    const { alice, bob } = people();
    await imported();
    const [first = ""] = mailsHere(alice);
    rmSync(here(alice, "cur", first));
    const [unseen = ""] = mailsHere(alice, "new");
    rmSync(join(foreign.home(alice), "new", unseen));
    writeFileSync(join(foreign.home(alice), "cur", `${unseen}:2,S`), "x");
    foreign.mail(alice, { text: "four", isNew: true });
    foreign.account("frank1234", { password: "frank's password" });
    utimesSync(join(foreign.home(bob), "password"), day / 1000 + 86_400 * 30, day / 1000 + 86_400 * 30);
    const dry = await imported("--dry-run");
    const { counts, dkim } = await imported();
    expect(dry.counts).toEqual({ ...counts, freeBytes });
    expect(counts.accounts).toMatchObject({ total: 4, new: 1, same: 2, changed: 1 });
    expect(counts.mails).toMatchObject({ wanted: 1, flags: 1 });
    expect(mailsHere(alice)).toEqual([`${unseen}:2,S`]);
    expect(mailsHere(alice, "new")).toHaveLength(1);
    expect(dkim.state).toBe("known");
    const again = await imported();
    expect(again.counts).toMatchObject({ accounts: { same: 4 }, mails: { wanted: 0, flags: 0 } });
  });

  test("a password that an administrator has changed here stays; one that was taken here does not", async () => {
    const { alice, bob } = people();
    mkdirSync(here(bob), { recursive: true });
    writeFileSync(here(bob, "password"), "{SHA512-CRYPT}$6$somebody$else");
    await imported();
    expect(textHere(bob, "password")).not.toContain("somebody");
    writeFileSync(here(alice, "password"), "blocked");
    const { counts } = await imported();
    expect(counts.accounts).toMatchObject({ kept: 1 });
    expect(textHere(alice, "password")).toBe("blocked");
  });

  test("cut off after any number of bytes, it goes on where it was", async () => {
    const { alice } = people();
    for (let nth = 0; nth < 20; nth++) foreign.mail(alice, { text: `mail ${nth} ${"x".repeat(5000)}`, flags: "S" });
    for (const bytes of [10, 500, 3_000, 6_000, 7_500, 9_000]) {
      let got = 0;
      let isDry = true;
      meddle = (exec) => {
        if (isDry) {
          isDry = false;
          return;
        }
        exec.input.on("data", (chunk: Buffer) => {
          got += chunk.length;
          if (got >= bytes) exec.cut();
        });
      };
      const called = await call("nine");
      if (called.code === 0) expect(got).toBeLessThan(bytes);
      else expect(called.err).toMatch(/ended before|interrupted|not open|closed/);
    }
    meddle = () => undefined;
    await imported();
    expect(mailsHere(alice)).toHaveLength(21);
    for (const name of mailsHere(alice))
      expect(readFileSync(here(alice, "cur", name))).toEqual(readFileSync(join(foreign.home(alice), "cur", name)));
    expect(mailsHere(alice, "tmp")).toEqual([]);
  });

  test("a large mail comes whole", async () => {
    const alice = foreign.account("alice1234", { password: "alice's password" });
    const bytes = Buffer.alloc(3 * 2 ** 20, "abcdefg");
    writeFileSync(join(foreign.home(alice), "cur", "1.M1.h,S=3:2,"), bytes);
    await imported();
    expect(readFileSync(here(alice, "cur", "1.M1.h,S=3:2,")).equals(bytes)).toBe(true);
  });
});

describe("what is refused, with nothing done", () => {
  test.each([
    { when: "another domain", words: ["ten"], says: /is of nine\.test, and ten of ten\.test/ },
    { when: "no such server", words: ["eleven"], says: /no ChatmailServer eleven/, code: 4 },
    { when: "too little room", words: ["nine"], room: 10, says: /10 B free.*storage\.size/s },
  ])("$when", async ({ words, says, code = 1, room }) => {
    people();
    freeBytes = room ?? freeBytes;
    const called = await call(...words);
    expect(called).toMatchObject({ code, out: "", err: expect.stringMatching(says) as unknown });
    expect(readdirSync(mailFolder)).toEqual([]);
  });

  test("a key that is none; without it, all the rest", async () => {
    const { alice } = people();
    foreign.write("etc/dkimkeys/opendkim.private", "x");
    const called = await call("nine");
    expect(called).toMatchObject({ code: 1, err: expect.stringMatching(/no RSA private key.*--no-dkim/) as unknown });
    expect(readdirSync(mailFolder)).toEqual([]);
    await imported("--no-dkim");
    expect(existsSync(here(alice, "password"))).toBe(true);
    expect(Object.keys(secret.data)).toEqual(["rsa.pem"]);
  });

  test.each([
    { when: "no directory", path: "nowhere", code: 2, says: /there is no such directory/ },
    { when: "no mailboxes", path: "empty", code: 1, says: /has no mailboxes.*home\/vmail\/mail\/DOMAIN/ },
  ])("$when", async ({ path, code, says }) => {
    mkdirSync(join(folder, "empty"));
    const called = await callPlugin(["import", "nine", "--from-directory", join(folder, path)]);
    expect(called).toMatchObject({ code, err: expect.stringMatching(says) as unknown });
  });
});

test("the directory of the mailboxes alone", async () => {
  const { alice } = people();
  const environment = { KUBECONFIG: join(folder, "kubeconfig") };
  const called = await callPlugin(["import", "nine", "--from-directory", foreign.mailboxes], { environment });
  expect(called).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^3 accounts \(3 new\); 4 mails copied/) as unknown,
  });
  expect(called.err).toMatch(/accounts: +3; 3 new here; 1 disabled, 1 without a password/);
  expect(called.err).toContain("chatmail.ini was not found");
  expect(existsSync(here(alice, "password"))).toBe(true);
});

test("--spec: a resource to be applied, and what it can't say", async () => {
  people();
  foreign.write(
    "usr/local/lib/chatmaild/chatmail.ini",
    foreignIni(domain, "max_mailbox_size = 1G\nfancy = 1\nwww_folder = /w\n"),
  );
  foreign.write("etc/chatmail-nocreate", "");
  const called = await call("nine", "--spec");
  expect(parse(called.out)).toEqual({
    apiVersion: "chatmail.dev/v1alpha1",
    kind: "ChatmailServer",
    metadata: { name: "nine" },
    spec: { domain, accounts: { registration: "Closed", mailboxQuota: "1Gi" } },
  });
  expect(called.err).toMatch(/www_folder = \/w: put your pages/);
  expect(called.err).toMatch(/without effect: fancy/);
});
