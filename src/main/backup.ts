/**
 * Backups of a relay, in a pod that mounts its volume and keys:
 *
 *     backup create --server NAME --contents Identity|All --recipient age1… [--keep N] TO
 *     backup restore --file NAME --identities FILE FROM
 *     backup bootstrap --domain NAME [--file NAME] [--into FOLDER] --identities FILE FROM
 *     backup bootstrap --domain NAME --upload [--into FOLDER]
 *     backup receive --domain NAME [--into FOLDER] < PIECES
 *     backup stream --server NAME --contents Identity|All --recipient age1… > FILE
 *     backup drill --domain NAME --identities FILE FROM
 *     backup list TO
 *
 * TO and FROM: `--folder PATH`, or `--bucket NAME --region NAME [--endpoint URL] [--prefix TEXT]
 * [--path-style] [--authority FILE]` with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the
 * environment. Prints one line of JSON with figures and no addresses, and leaves it as termination
 * message, or what failed.
 *
 * `stream` and `receive` are run by exec in a container that does something else: they leave none,
 * and `stream` prints its line on standard error. `receive` takes what the plugin has decrypted,
 * into the volume of a pod that waits with `bootstrap --upload`.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import { pino } from "pino";
import { makeBackup, streamBackup } from "../backup/backup.ts";
import type { Destination } from "../backup/destination.ts";
import { drill } from "../backup/drill.ts";
import { decrypted } from "../backup/encryption.ts";
import { folderDestination } from "../backup/folder.ts";
import { newestBackup } from "../backup/naming.ts";
import { fromPieces } from "../backup/pieces.ts";
import { forgetUnfinished, hasAccounts, moveIntoPlace, restoreMail } from "../backup/restore.ts";
import { s3Destination } from "../backup/s3.ts";
import { ifThereSync } from "../lib/if-there.ts";
import { leaveMessage } from "../lib/termination-message.ts";
import { codeOf, messageOf } from "../lib/text.ts";
import { wait } from "../lib/wait.ts";
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
  authority: text,
  prefix: { type: "string", default: "" },
  upload: { type: "boolean", default: false },
  "path-style": { type: "boolean", default: false },
} as const;
type Values = ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>["values"];

/** Of a job that is stopped: what was sent so far is taken back. */
const stopping = new AbortController();
process.once("SIGTERM", () => stopping.abort(new Error("stopped before the end")));

const everyMs = 500;
/** Name of a file with the process that receives: the container must not end before it. */
const receiverMark = ".restoring-pid-";

/** Their container is that of another program. */
const byExec = ["stream", "receive"];
const isByExec = byExec.includes(process.argv[2] ?? "");

try {
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const [verb] = positionals;
  const report = await run(verb, values);
  if (!isByExec) leaveMessage(report);
  const to = pino.destination({ dest: verb === "stream" ? 2 : 1, sync: true });
  pino({ base: null }, to).info(report, `backup ${verb}`);
} catch (thrown) {
  // a path of the disk has one
  const problem = messageOf(thrown).replaceAll(/[^\s/'"]+@[^\s/'"]+/g, "ADDRESS");
  if (!isByExec) leaveMessage({ problem: problem.slice(0, 1_000) });
  console.error(`backup: ${problem}`);
  process.exitCode = 1;
}
// whoever sends may leave the input open
if (isByExec) process.stdin.destroy();

async function run(verb: string | undefined, values: Values): Promise<object> {
  switch (verb) {
    case "create":
      return create(values);
    case "restore":
      return restore(values);
    case "bootstrap":
      return bootstrap(values);
    case "stream":
      return stream(values);
    case "receive":
      return receive(values);
    case "drill":
      return drillNewest(values);
    case "list":
      return { names: (await destinationOf(values).list()).sort() };
    default:
      throw new Error(`create, restore, bootstrap, stream, receive, drill or list, not ${verb ?? "nothing"}`);
  }
}

async function create(values: Values): Promise<object> {
  const keep = Number(values.keep);
  if (!Number.isInteger(keep) || keep < 1) throw new Error(`--keep: a whole number from 1, not ${values.keep}`);
  const start = performance.now();
  const report = await makeBackup({
    ...(await sourcesOf(values)),
    destination: destinationOf(values),
    keep,
    signal: stopping.signal,
  });
  return { ...report, seconds: Math.round(performance.now() - start) / 1000 };
}

/** What of this relay, and for whom. `turnDomain`: its secret is mounted without a folder. */
async function sourcesOf(values: Values, turnDomain?: (domains: readonly string[]) => string | undefined) {
  const { contents } = values;
  if (contents !== "Identity" && contents !== "All") throw new Error(`--contents: Identity or All, not ${contents}`);
  const { settings } = await readStart(process.env);
  const domains = Object.keys(settings.domains);
  const identity = [
    { kind: "tls", folder: folders.tls },
    { kind: "dkim", folder: folders.dkim },
    { kind: "invites", folder: folders.invites },
    { kind: "turn", folder: folders.turnSecret, domain: turnDomain?.(domains) },
    { kind: "acme-account", folder: folders.acmeAccount },
  ];
  return {
    manifest: { server: given(values, "server"), domains, time: new Date().toISOString() },
    sources: { mailFolder: settings.mailFolder, identity, contents },
    recipients: values.recipient ?? [],
  } as const;
}

/** Beside the relay daemon, with what its container mounts. */
async function stream(values: Values): Promise<object> {
  const { stream: bytes, report } = await streamBackup(await sourcesOf(values, ([domain]) => domain));
  await pipeline(Readable.fromWeb(bytes as never), process.stdout, { end: false });
  return report();
}

async function receive(values: Values): Promise<object> {
  const sent = Readable.toWeb(Readable.from(fromPieces(process.stdin), { objectMode: false }));
  const mark = join(values.into, `${receiverMark}${process.pid}`);
  writeFileSync(mark, "");
  const { manifest, ...counts } = await restoreMail(sent as ReadableStream<Uint8Array>, values.into, {
    domain: given(values, "domain"),
    beside: true,
  }).catch((thrown: unknown) => {
    rmSync(mark, { force: true });
    throw thrown;
  });
  return { contents: manifest.contents, time: manifest.time, ...counts };
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
  if (values.upload) return upload(mailFolder);
  const from = destinationOf(values);
  const name = values.file ?? (await newestIn(from, domain));
  const identities = ageKeys(given(values, "identities"));
  const { manifest, ...counts } = await restoreMail(await decrypted(await from.read(name), identities), mailFolder, {
    domain,
  });
  return { restored: true, name, contents: manifest.contents, time: manifest.time, ...counts };
}

/** Waits until `receive` has brought all of a backup, and has said so. */
async function upload(mailFolder: string): Promise<object> {
  await forgetUnfinished(mailFolder);
  while (!(await moveIntoPlace(mailFolder))) {
    await wait(everyMs, stopping.signal);
    stopping.signal.throwIfAborted();
  }
  for (const name of readdirSync(mailFolder).filter((each) => each.startsWith(receiverMark)))
    while (existsSync(`/proc/${name.slice(receiverMark.length)}`)) await wait(everyMs, stopping.signal);
  // whoever has run it by exec gets its exit code first
  await wait(everyMs, stopping.signal);
  await forgetUnfinished(mailFolder);
  return { restored: true };
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

function authorityIn(path: string): string {
  const pem = ifThereSync(() => readFileSync(path, "utf8"));
  if (pem?.includes("-----BEGIN CERTIFICATE-----")) return pem;
  return fail(
    pem === undefined
      ? "the ConfigMap or Secret that s3.caBundle names is missing, or lacks the key"
      : "what s3.caBundle names holds no certificate in PEM format",
  );
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
    ...(values.authority !== undefined && { authority: authorityIn(values.authority) }),
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
