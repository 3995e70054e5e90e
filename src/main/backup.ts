/**
 * Backups of a relay, in a pod that mounts its volume and keys:
 *
 *     backup create --server NAME --contents Identity|All --recipient age1… [--keep N] TO
 *     backup restore --file NAME --identities FILE FROM
 *     backup list TO
 *
 * TO and FROM: `--folder PATH`, or `--bucket NAME --region NAME [--endpoint URL] [--prefix TEXT]
 * [--path-style]` with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment. Prints one
 * line of JSON with figures and no addresses.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { pino } from "pino";
import { makeBackup } from "../backup/backup.ts";
import type { Destination } from "../backup/destination.ts";
import { decrypted } from "../backup/encryption.ts";
import { folderDestination } from "../backup/folder.ts";
import { moveIntoPlace, restoreMail } from "../backup/restore.ts";
import { s3Destination } from "../backup/s3.ts";
import { messageOf } from "../lib/text.ts";
import { folders } from "../pod/layout.ts";
import { readStart } from "../relay/config.ts";

const text = { type: "string" } as const;
const options = {
  server: text,
  contents: { type: "string", default: "Identity" },
  recipient: { type: "string", multiple: true },
  keep: { type: "string", default: "14" },
  file: text,
  identities: text,
  folder: text,
  bucket: text,
  region: text,
  endpoint: text,
  prefix: { type: "string", default: "" },
  "path-style": { type: "boolean", default: false },
} as const;
type Values = ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>["values"];

try {
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const [verb] = positionals;
  const report = await run(verb, values);
  pino({ base: null }).info(report, `backup ${verb}`);
} catch (thrown) {
  console.error(`backup: ${messageOf(thrown)}`);
  process.exitCode = 1;
}

async function run(verb: string | undefined, values: Values): Promise<object> {
  switch (verb) {
    case "create":
      return create(values);
    case "restore":
      return restore(values);
    case "list":
      return { names: (await destinationOf(values).list()).sort() };
    default:
      throw new Error(`create, restore or list, not ${verb ?? "nothing"}`);
  }
}

async function create(values: Values): Promise<object> {
  const { contents } = values;
  if (contents !== "Identity" && contents !== "All") throw new Error(`--contents: Identity or All, not ${contents}`);
  const keep = Number(values.keep);
  if (!Number.isInteger(keep) || keep < 1) throw new Error(`--keep: a whole number from 1, not ${values.keep}`);
  const { settings } = await readStart(process.env);
  const start = performance.now();
  const report = await makeBackup({
    manifest: {
      server: given(values, "server"),
      domains: Object.keys(settings.domains),
      time: new Date().toISOString(),
    },
    sources: {
      mailFolder: settings.mailFolder,
      identity: [
        { kind: "tls", folder: folders.tls },
        { kind: "dkim", folder: folders.dkim },
        { kind: "invites", folder: folders.invites },
      ],
      contents,
    },
    recipients: values.recipient ?? [],
    destination: destinationOf(values),
    keep,
  });
  return { ...report, seconds: Math.round(performance.now() - start) / 1000 };
}

/** Also goes on with one that was interrupted when it was complete. */
async function restore(values: Values): Promise<object> {
  if (await moveIntoPlace(folders.mail)) return { moved: true };
  const identities = readFileSync(given(values, "identities"), "utf8");
  const file = await destinationOf(values).read(given(values, "file"));
  return restoreMail(await decrypted(file, identities), folders.mail);
}

function destinationOf(values: Values): Destination {
  const { folder, bucket, endpoint, prefix } = values;
  if ((folder === undefined) === (bucket === undefined)) throw new Error("--folder or --bucket: one of them");
  if (folder !== undefined) return folderDestination(folder);
  const fromEnvironment = (name: string) => process.env[name] ?? fail(`${name} is not set`);
  return s3Destination({
    endpoint,
    region: given(values, "region"),
    bucket: given(values, "bucket"),
    prefix,
    pathStyle: values["path-style"],
    accessKeyId: fromEnvironment("AWS_ACCESS_KEY_ID"),
    secretAccessKey: fromEnvironment("AWS_SECRET_ACCESS_KEY"),
  });
}

const given = (values: Values, name: "server" | "file" | "identities" | "region" | "bucket"): string =>
  values[name] ?? fail(`--${name} is missing`);

function fail(why: string): never {
  throw new Error(why);
}
