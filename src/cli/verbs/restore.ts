/**
 * `restore`: from a backup in a file. Before there is a server, its keys become Secrets; into a
 * server whose pod waits for it, accounts and mail.
 */
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { z } from "zod";
import type { WrittenServer } from "../../api/chatmail-server.ts";
import { childNames } from "../../api/names.ts";
import { type OpenArchive, openArchive } from "../../backup/archive.ts";
import { decrypted } from "../../backup/encryption.ts";
import { inPieces } from "../../backup/pieces.ts";
import { isApiError } from "../../kube/client.ts";
import { type Pod, resources, type Secret } from "../../kube/kinds.ts";
import { sizeText } from "../../lib/size-text.ts";
import { codeOf, messageOf } from "../../lib/text.ts";
import { programs } from "../../pod/layout.ts";
import { CliError } from "../exit.ts";
import { streamInPod } from "../in-pod.ts";
import { servers } from "../objects.ts";
import type { Session } from "../session.ts";
import { serverWord, type Verb } from "../verb.ts";
import { keysIn, type RestoredKey, secretsOf } from "../views/restored-keys.ts";
import { watchOne } from "../watch-one.ts";

interface Options {
  identity: string;
}

/** A file that can be read from its beginning more than once. */
interface Source {
  file: string;
  /** Of the file with secret keys of age. */
  identities: string;
}

export const restore: Verb = {
  rights: [
    "create, get `secrets`; get `chatmailservers`",
    "for accounts and mail: get, list, watch `pods`; create `pods/exec`, which is the right to read all mail of the relay",
  ],
  add(program, action) {
    program
      .command("restore")
      .summary("bring back a relay from a backup in a file: first its keys, then its accounts and mail")
      .description(
        "Decrypts a backup on this machine. Where there is no ChatmailServer of the name, its keys become Secrets: DKIM keys, certificate, invites, TURN secret; nothing that exists is changed. Where there is one with bootstrap.restore.upload, its pod waits for accounts and mail, and gets them; the relay starts when all of it is there. Elsewhere bootstrap.restore names a store, and the pod fetches the backup itself.",
      )
      .argument(...serverWord)
      .argument("<file>", "the backup: a file of this machine")
      .requiredOption("--identity <file>", "file with the secret key of age, as age-keygen writes it")
      .action(
        action<[string, string], Options>(async (session, [name, file], { identity }) => {
          const identities = await reading(`--identity ${identity}`, readFile(identity, "utf8"));
          const source = { file, identities };
          const server = await serverOf(session, name);
          return server ? restoreAccounts(session, server, source) : restoreKeys(session, name, source);
        }),
      );
  },
};

const fileTroubles: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EISDIR: "it is a directory",
};

/** `what`: the argument that names the file. */
async function reading<T>(what: string, read: Promise<T>): Promise<T> {
  try {
    return await read;
  } catch (cause) {
    throw new CliError("usage", `${what}: ${fileTroubles[String(codeOf(cause))] ?? messageOf(cause)}`, { cause });
  }
}

/** Gives it decrypted, and closes the file however little of it was read. */
async function withBackup<T>(
  { file, identities }: Source,
  use: (stream: ReadableStream<Uint8Array>) => Promise<T>,
): Promise<T> {
  const opened = createReadStream(file);
  try {
    await reading(file, once(opened, "readable"));
    return await use(await decrypted(Readable.toWeb(opened) as ReadableStream<Uint8Array>, identities));
  } finally {
    opened.destroy();
  }
}

/** Also undefined where the cluster does not know the kind yet. */
async function serverOf(session: Session, name: string): Promise<WrittenServer | undefined> {
  const client = await session.client();
  const namespace = await session.namespace();
  const found = await client.get(servers, { namespace, name }, session.signal).catch((thrown: unknown) => {
    if (isApiError(thrown, 404)) return undefined;
    throw thrown;
  });
  return found as WrittenServer | undefined;
}

async function restoreKeys(session: Session, name: string, source: Source) {
  const { manifest, keys } = await withBackup(source, async (stream) => {
    const archive = await openArchive(stream);
    return { manifest: archive.manifest, keys: await firstKeys(archive) };
  });
  const namespace = await session.namespace();
  const secrets = secretsOf(manifest, keys, { name, namespace });
  if (secrets.length === 0) throw new CliError("missing", "there are no keys in this backup");
  const client = await session.client();
  const there: string[] = [];
  const absent: Secret[] = [];
  for (const secret of secrets) {
    const at = { namespace, name: secret.metadata.name };
    const found = await client.get<Secret>(resources.secret, at, session.signal);
    if (!found) absent.push(secret);
    else if (!haveSameData(found, secret)) there.push(secret.metadata.name);
  }
  if (there.length > 0)
    throw new CliError(
      "failed",
      `nothing is changed: ${there.map((each) => `Secret ${each}`).join(" and ")} exist already, with other contents. Delete them first if the keys in the backup are the right ones`,
    );
  for (const secret of absent)
    try {
      await client.create<Secret>(resources.secret, secret, session.signal);
    } catch (thrown) {
      if (!isApiError(thrown, 409)) throw thrown;
      throw new CliError("failed", `Secret ${secret.metadata.name} was created by somebody else just now`);
    }
  const names = secrets.map(({ metadata }) => metadata.name);
  const { domains, time } = manifest;
  session.show({ secrets: names, domains, time }, () =>
    [
      `keys of ${domains.join(", ")} of ${time}: ${names.map((each) => `Secret ${each}`).join(", ")}`,
      `accounts and mail: create ChatmailServer ${name} with bootstrap.restore. With upload: true there, run this command once more\n`,
    ].join("\n"),
  );
  return "done" as const;
}

const haveSameData = ({ data: one = {} }: Secret, { data: other = {} }: Secret) =>
  [...Object.keys(one), ...Object.keys(other)].every((key) => one[key] === other[key]);

/** Keys come first in an archive: the mail behind them is not read. */
async function firstKeys({ entries }: OpenArchive): Promise<RestoredKey[]> {
  const found: RestoredKey[] = [];
  for await (const { name, body } of entries) {
    const key = keysIn(name);
    if (!key) {
      await body.cancel();
      break;
    }
    found.push({ ...key, text: await new Response(body).text() });
  }
  return found;
}

const some = z.int().min(0);
const Received = z.object({ accounts: some, files: some, time: z.string() });

/** The secret key stays here: the pod gets what is decrypted, through the API server's TLS. */
async function restoreAccounts(session: Session, server: WrittenServer, source: Source) {
  const { name } = server.metadata;
  const { domain, bootstrap } = server.spec;
  // what the file is, before anything is asked of the pod
  const { manifest } = await withBackup(source, (stream) => openArchive(stream, domain));
  if (bootstrap?.restore?.upload !== true)
    throw new CliError(
      "failed",
      `nothing is restored: ChatmailServer ${name} exists, and takes no backup from here, since it has no bootstrap.restore.upload. To restore its keys, too, delete it first`,
    );
  await podWaits(session, server);
  const command = [programs.node, programs.backup, "receive", "--domain", domain];
  const running = await streamInPod(session, server, "restore", command);
  const said: Buffer[] = [];
  const listening = (async () => {
    for await (const chunk of running.output) said.push(chunk);
  })().catch(() => undefined);
  let bytes = 0;
  let isLost = false;
  try {
    await withBackup(source, async (stream) => {
      for await (const piece of inPieces(stream)) {
        await running.write(piece).catch((cause: unknown) => {
          isLost = true;
          throw new CliError("failed", `nothing is restored: the connection broke: ${messageOf(cause)}`, { cause });
        });
        bytes += piece.length;
        session.progress.at(`${sizeText(bytes)} sent`);
      }
    });
  } catch (thrown) {
    session.signal.throwIfAborted();
    if (!isLost) running.stop();
    // what the program says explains more than that it has gone
    const ended = await running.ended.catch(() => undefined);
    if (ended && ended.code !== 0) throw failed(ended.stderr, ended.code);
    throw thrown;
  }
  const { code, stderr } = await running.ended.catch((cause: unknown) => {
    session.signal.throwIfAborted();
    throw new CliError("failed", `whether all was restored is not known: ${messageOf(cause)}. Run this again`, {
      cause,
    });
  });
  await listening;
  if (code !== 0) throw failed(stderr, code);
  const received = receivedIn(Buffer.concat(said).toString("utf8"));
  session.show({ domains: manifest.domains, time: manifest.time, ...received }, () =>
    [
      `accounts of ${domain} of ${manifest.time}: ${received?.accounts ?? "?"}, with ${received?.files ?? "?"} files`,
      `the relay starts now: kubectl chatmail status ${name}\n`,
    ].join("\n"),
  );
  return "done" as const;
}

function failed(stderr: string, code: number): CliError {
  return new CliError(
    "failed",
    `nothing is restored: ${stderr.trim().replace(/^backup: /, "") || `exit code ${code}`}`,
  );
}

function receivedIn(text: string): z.infer<typeof Received> | undefined {
  try {
    return Received.parse(JSON.parse(text.trim().split("\n").at(-1) ?? ""));
  } catch {
    return undefined;
  }
}

/**
 * Until the container runs that takes the backup. Throws where it has ended well: nothing is to be
 * filled.
 */
async function podWaits(session: Session, { metadata: { namespace, name } }: WrittenServer): Promise<void> {
  const client = await session.client();
  const at = { namespace, name: childNames(name).pod };
  session.progress.at(`until pod ${at.name} waits for the backup`);
  for await (const pod of watchOne<Pod>(client, resources.pod, at, session.signal)) {
    const found = pod?.status?.initContainerStatuses?.find((each) => each.name === "restore");
    if (found?.state?.running) return;
    if (found?.state?.terminated?.exitCode === 0)
      throw new CliError("failed", `nothing is restored: the volume of ${name} has accounts already`);
  }
}
