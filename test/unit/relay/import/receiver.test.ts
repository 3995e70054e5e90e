/** What the program in the relay container does with what it should not be sent. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { receiveImport } from "../../../../src/relay/import/receiver.ts";
import { limits } from "../settings.ts";

const domain = "nine.test";
const address = `alice1234@${domain}`;
let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "receiver-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function send(...frames: readonly (object | string)[]): Promise<string> {
  const pieces = frames.map((each) => Buffer.from(typeof each === "string" ? each : `${JSON.stringify(each)}\n`));
  async function* requests() {
    yield* pieces;
  }
  let said = "";
  const config = { mailFolder: folder, domains: { [domain]: limits() } };
  await receiveImport({
    config,
    requests: requests(),
    write: async (bytes) => {
      said += bytes.toString();
    },
    freeBytes: async () => 1000,
    now: Date.now,
  });
  return said;
}

const begin = { kind: "begin", format: 1, domain, dryRun: false };
const file = (path: string) => ({ path, base64: "", modifiedMs: 0 });
const mails = (...paths: string[]) => ({ kind: "mails", address, mails: paths });
const mail = (path: string, bytes: number) => ({ kind: "mail", address, path, bytes, modifiedMs: 0 });
const end = { kind: "end" };

describe("what is refused", () => {
  test.each([
    { when: "nothing", frames: [], says: /not begin/ },
    { when: "no JSON", frames: ["hello\n"], says: /not understood: hello/ },
    { when: "another format", frames: [{ ...begin, format: 2 }], says: /format 2 is not known/ },
    { when: "another domain", frames: [{ ...begin, domain: "ten.test" }], says: /no domain of this relay/ },
    { when: "no end", frames: [begin], says: /interrupted/ },
    { when: "an unknown request", frames: [begin, { kind: "drop" }], says: /not understood/ },
    { when: "a second beginning", frames: [begin, begin], says: /once/ },
    ...["../x@nine.test", "alice@ten.test", "Alice@nine.test", "alice", "a/b@nine.test"].map((bad) => ({
      when: `the account ${bad}`,
      frames: [begin, { kind: "account", address: bad, files: [] }],
      says: /can't be an account/,
    })),
    ...["../password", "cur/x", "imported.json", ".A/../password", "dovecot.conf"].map((path) => ({
      when: `the file ${path}`,
      frames: [begin, { kind: "account", address, files: [file(path)] }, end],
      says: /is not taken/,
    })),
    { when: "a mail outside of its account", frames: [begin, mails("../cur/x")], says: /no mail's path/ },
    { when: "a mail that was not asked for", frames: [begin, mail("cur/x", 0)], says: /not asked for/ },
    { when: "a mail that is not wanted", frames: [begin, mails("cur/x"), mail("cur/y", 0)], says: /not wanted/ },
    {
      when: "a mail that is cut off",
      frames: [begin, mails("cur/x"), mail("cur/x", 9), "short"],
      says: /within a mail/,
    },
    { when: "a size below nothing", frames: [begin, mails("cur/x"), mail("cur/x", -1)], says: /not understood/ },
  ])("$when", async ({ frames, says }) => {
    await expect(send(...frames)).rejects.toThrow(says);
  });

  test("a mail with a dry run", async () => {
    await expect(send({ ...begin, dryRun: true }, mails("cur/x"), mail("cur/x", 1), "a")).rejects.toThrow("not wanted");
    expect(readdirSync(folder)).toEqual([]);
  });
});

test("nothing but whole mails is ever in place", async () => {
  await expect(
    send(begin, mails("cur/x", "cur/y"), mail("cur/x", 2), "ok", mail("cur/y", 900_000), "cut"),
  ).rejects.toThrow();
  const home = join(folder, domain, address);
  expect(readdirSync(join(home, "tmp"))).toEqual([]);
  expect(readdirSync(join(home, "cur")).filter((name) => name !== "x")).toEqual([]);
});

test("an account without mail, and none at all", async () => {
  expect(await send(begin, end)).toBe('{"kind":"ready","freeBytes":1000}\n{"kind":"end"}\n');
  const said = await send(begin, { kind: "account", address, files: [] }, mails(), { kind: "done", address }, end);
  expect(said).toContain('"state":"new"');
});
