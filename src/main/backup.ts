/**
 * Backups of a relay, in a pod that mounts its volume and keys:
 *
 *     backup create --server NAME --contents Identity|All --recipient age1… [--keep N] TO
 *     backup restore --file NAME --identities FILE FROM
 *     backup bootstrap --domain NAME [--file NAME] [--into FOLDER] --identities FILE FROM
 *     backup drill --domain NAME --identities FILE FROM
 *     backup list TO
 *
 * TO and FROM: `--folder PATH`, or `--bucket NAME --region NAME [--endpoint URL] [--prefix TEXT]
 * [--path-style]` with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment. Prints one
 * line of JSON with figures and no addresses, and leaves it as termination message, or what failed.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { pino } from "pino";
import { makeBackup } from "../backup/backup.ts";
import type { Destination } from "../backup/destination.ts";
import { drill } from "../backup/drill.ts";
import { decrypted } from "../backup/encryption.ts";
import { folderDestination } from "../backup/folder.ts";
import { newestBackup } from "../backup/naming.ts";
import { hasAccounts, moveIntoPlace, restoreMail } from "../backup/restore.ts";
import { s3Destination } from "../backup/s3.ts";
import { leaveMessage } from "../lib/termination-message.ts";
import { codeOf, messageOf } from "../lib/text.ts";
import { folders } from "../pod/layout.ts";
import { readStart } from "../relay/config.ts";

const text = { type: "string" } as const;
const options = {
  server: text,
  domain: text,
  into: { type: "string", default: folders.mail },
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

/** Of a job that is stopped: what was sent so far is taken back. */
const stopping = new AbortController();
process.once("SIGTERM", () => stopping.abort(new Error("stopped before the end")));

try {
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const [verb] = positionals;
  const report = await run(verb, values);
  leaveMessage(report);
  pino({ base: null }).info(report, `backup ${verb}`);
} catch (thrown) {
  leaveMessage({ problem: messageOf(thrown).slice(0, 1_000) });
  console.error(`backup: ${messageOf(thrown)}`);
  process.exitCode = 1;
}

async function run(verb: string | undefined, values: Values): Promise<object> {
  switch (verb) {
    case "create":
      return create(values);
    case "restore":
      return restore(values);
    case "bootstrap":
      return bootstrap(values);
    case "drill":
      return drillNewest(values);
    case "list":
      return { names: (await destinationOf(values).list()).sort() };
    default:
      throw new Error(`create, restore, bootstrap, drill or list, not ${verb ?? "nothing"}`);
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
        { kind: "turn", folder: folders.turnSecret },
        { kind: "acme-account", folder: folders.acmeAccount },
      ],
      contents,
    },
    recipients: values.recipient ?? [],
    destination: destinationOf(values),
    keep,
    signal: stopping.signal,
  });
  return { ...report, seconds: Math.round(performance.now() - start) / 1000 };
}

/** Also goes on with one that was interrupted when it was complete. */
async function restore(values: Values): Promise<object> {
  const { mailFolder } = (await readStart(process.env)).settings;
  if (await moveIntoPlace(mailFolder)) return { moved: true };
  const identities = ageKeys(given(values, "identities"));
  const file = await destinationOf(values).read(given(values, "file"));
  return restoreMail(await decrypted(file, identities), mailFolder);
}

/**
 * Of a pod that starts: a new volume is filled, any other is left as it is. What was complete is
 * moved into place, in which case neither the store nor the key is needed any more.
 */
async function bootstrap(values: Values): Promise<object> {
  const domain = given(values, "domain");
  const mailFolder = values.into;
  if (await moveIntoPlace(mailFolder)) return { moved: true };
  if (await hasAccounts(mailFolder)) return { restored: false, why: "the volume has accounts" };
  const from = destinationOf(values);
  const name = values.file ?? (await newestIn(from, domain));
  const identities = ageKeys(given(values, "identities"));
  const { manifest, ...counts } = await restoreMail(
    await decrypted(await from.read(name), identities),
    mailFolder,
    domain,
  );
  return { restored: true, name, contents: manifest.contents, time: manifest.time, ...counts };
}

async function drillNewest(values: Values): Promise<object> {
  const domain = given(values, "domain");
  const from = destinationOf(values);
  const name = await newestIn(from, domain);
  const identities = ageKeys(given(values, "identities"));
  const { manifest, ...counts } = await drill(await decrypted(await from.read(name), identities), domain);
  return { name, contents: manifest.contents, time: manifest.time, ...counts };
}

async function newestIn(from: Destination, domain: string): Promise<string> {
  const name = newestBackup(await from.list());
  return name ?? fail(`there is no backup of ${domain} in ${from.where}`);
}

function ageKeys(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (thrown) {
    throw new Error(`there is no secret key of age in ${path}: ${codeOf(thrown) ?? messageOf(thrown)}`);
  }
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

function given(values: Values, name: "server" | "domain" | "file" | "identities" | "region" | "bucket"): string {
  return values[name] ?? fail(`--${name} is missing`);
}

function fail(why: string): never {
  throw new Error(why);
}
