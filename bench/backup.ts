/**
 * Backups of a relay with many accounts: seconds, sizes and memory of Identity and All, into a
 * folder and into a real S3 server on this machine, and of the restore. Mails are text of base64,
 * as encrypted mail is, of 50 kB each. A restore begins when the accounts that were saved are
 * deleted, and what it brings is saved next: of 5 GiB at most 9 GiB are on the disk, and 13 with
 * S3, since the server puts an object together from its parts.
 */
import { randomBytes, randomInt } from "node:crypto";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { numberOf, readOptions, refuse } from "../scripts/options.ts";
import { makeBackup } from "../src/backup/backup.ts";
import type { Destination } from "../src/backup/destination.ts";
import { decrypted } from "../src/backup/encryption.ts";
import { folderDestination } from "../src/backup/folder.ts";
import { restoreMail } from "../src/backup/restore.ts";
import { s3Destination } from "../src/backup/s3.ts";
import { startS3Server } from "../test/helpers/s3-server.ts";
import { endSignal, printTable, say, writeJson } from "./machine.ts";

const usage = "npm run bench -- backup [--accounts 1000] [--gib 5] [--to folder|s3] [--json FILE]";
const { accounts, gib, to, json } = readOptions(
  usage,
  {
    options: {
      accounts: { type: "string", default: "1000" },
      gib: { type: "string", default: "5" },
      to: { type: "string" },
      json: { type: "string" },
    },
  },
  ({ values }) => {
    if (![undefined, "folder", "s3"].includes(values.to))
      refuse(`--to must be folder or s3, and is ${JSON.stringify(values.to)}`, usage);
    return {
      accounts: numberOf("--accounts", values.accounts, { whole: true }, usage),
      gib: numberOf("--gib", values.gib, {}, usage),
      to: values.to,
      json: values.json,
    };
  },
);
const domain = "nine.example.org";
const mailBytes = 50_000;
const mailsOfEach = Math.ceil((gib * 2 ** 30) / mailBytes / accounts);
const signal = endSignal();
const folder = mkdtempSync(join(tmpdir(), "chatmail-bench-backup-"));
const at = (...parts: string[]) => join(folder, ...parts);
/** Larger than what gzip remembers, so that no mail is found in another one. */
const pool = Buffer.from(randomBytes(48 * 2 ** 20).toString("base64"));

function makeAccounts(): void {
  for (let nth = 0; nth < accounts; nth++) {
    signal.throwIfAborted();
    const home = at("mail", domain, `user${nth}@${domain}`);
    mkdirSync(join(home, "cur"), { recursive: true });
    writeFileSync(join(home, "password"), `{SHA512-CRYPT}$6$salt$${randomBytes(48).toString("base64")}`);
    writeFileSync(join(home, "metadata.json"), JSON.stringify({ token: randomBytes(100).toString("hex") }));
    writeFileSync(join(home, "last-login"), "");
    for (let mail = 0; mail < mailsOfEach; mail++) {
      const from = randomInt(pool.length - mailBytes);
      writeFileSync(join(home, "cur", `${mail}.eml:2,S`), pool.subarray(from, from + mailBytes));
    }
  }
}

const rows: [string, string][] = [];
const figures: Record<string, object> = {};
const secondsOf = async <T>(work: () => Promise<T>): Promise<{ result: T; seconds: number }> => {
  const started = performance.now();
  const result = await work();
  return { result, seconds: Math.round((performance.now() - started) / 100) / 10 };
};
const mib = (bytes: number) => Math.round((bytes / 2 ** 20) * 10) / 10;

async function measure(what: string, contents: "Identity" | "All", destination: Destination): Promise<void> {
  say(`${what}: backup`);
  const identity = await generateIdentity();
  const made = await secondsOf(async () =>
    makeBackup({
      manifest: { server: "nine", domains: [domain], time: new Date().toISOString() },
      sources: { mailFolder: at("mail"), identity: [], contents },
      recipients: [await identityToRecipient(identity)],
      destination,
      keep: 1,
      signal,
    }),
  );
  const maxRssMib = mib(process.resourceUsage().maxRSS * 1024);
  const load = loadavg().map((each) => Math.round(each * 10) / 10)[0];
  say(`${what}: restore`);
  // Identity brings no mail back
  if (contents === "All") rmSync(at("mail"), { recursive: true });
  const back = await secondsOf(async () =>
    restoreMail(await decrypted(await destination.read(made.result.name), identity), at("restored")),
  );
  if (back.result.accounts !== accounts) throw new Error(`${back.result.accounts} accounts came back`);
  if (contents === "All") renameSync(at("restored"), at("mail"));
  else rmSync(at("restored"), { recursive: true });
  await destination.delete(made.result.name);
  const { size, messages } = made.result;
  figures[what] = {
    backupSeconds: made.seconds,
    restoreSeconds: back.seconds,
    mib: mib(size),
    messages,
    maxRssMib,
    load,
  };
  rows.push([
    what,
    `backup ${made.seconds} s, ${mib(size)} MiB, ${messages} messages, at most ${maxRssMib} MiB resident; restore ${back.seconds} s; load ${load}`,
  ]);
}

const s3 = to === "folder" ? undefined : await startS3Server();
try {
  say(`${accounts} accounts with ${mailsOfEach} messages each`);
  makeAccounts();
  const places: [string, Destination][] = [];
  if (to !== "s3") places.push(["folder", folderDestination(at("backups"))]);
  if (s3) places.push(["S3", s3Destination(s3.options)]);
  for (const contents of ["Identity", "All"] as const)
    for (const [place, destination] of places) await measure(`${contents}, ${place}`, contents, destination);
} finally {
  await s3?.stop();
  rmSync(folder, { recursive: true, force: true });
}
printTable(rows);
await writeJson(json, { accounts, mailsOfEach, mailBytes, ...figures });
