/** `restore`: the keys in a backup become Secrets, before there is a server. */
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { type OpenArchive, openArchive } from "../../backup/archive.ts";
import { decrypted } from "../../backup/encryption.ts";
import { isApiError } from "../../kube/client.ts";
import { resources, type Secret } from "../../kube/kinds.ts";
import { codeOf, messageOf } from "../../lib/text.ts";
import { CliError } from "../exit.ts";
import { serverWord, type Verb } from "../verb.ts";
import { keysIn, type RestoredKey, secretsOf } from "../views/restored-keys.ts";

interface Options {
  identity: string;
}

export const restore: Verb = {
  rights: ["create, get `secrets`"],
  add(program, action) {
    program
      .command("restore")
      .summary("create the Secrets of a relay from a backup, before the relay")
      .description(
        "Decrypts a backup on this machine and creates the Secrets of the relay in the cluster: DKIM keys, certificate, invites, TURN secret. Nothing that exists is changed. Create the ChatmailServer of that name and domain afterwards; its bootstrap.restore brings accounts and mail.",
      )
      .argument(...serverWord)
      .argument("<file>", "the backup: a file of this machine")
      .requiredOption("--identity <file>", "file with the secret key of age, as age-keygen writes it")
      .action(
        action<[string, string], Options>(async (session, [name, file], { identity }) => {
          const key = await reading(`--identity ${identity}`, readFile(identity, "utf8"));
          const { manifest, keys } = await keysOf(file, key);
          const secrets = secretsOf(manifest, keys, {
            name,
            namespace: await session.namespace(),
          });
          if (secrets.length === 0) throw new CliError("missing", "there are no keys in this backup");
          const client = await session.client();
          const there: string[] = [];
          for (const { metadata } of secrets) {
            const { namespace = "" } = metadata;
            if (await client.get(resources.secret, { namespace, name: metadata.name }, session.signal))
              there.push(metadata.name);
          }
          if (there.length > 0)
            throw new CliError(
              "failed",
              `nothing is changed: ${there.map((each) => `Secret ${each}`).join(" and ")} exist already. Delete them first if the keys in the backup are the right ones`,
            );
          for (const secret of secrets)
            try {
              await client.create<Secret>(resources.secret, secret, session.signal);
            } catch (thrown) {
              if (!isApiError(thrown, 409)) throw thrown;
              throw new CliError("failed", `Secret ${secret.metadata.name} was created by somebody else just now`);
            }
          const names = secrets.map(({ metadata }) => metadata.name);
          const domains = manifest.domains;
          session.show({ secrets: names, domains, time: manifest.time }, () =>
            [
              `keys of ${domains.join(", ")} of ${manifest.time}: ${names.map((each) => `Secret ${each}`).join(", ")}`,
              `accounts and mail come with spec.bootstrap.restore of ChatmailServer ${name}\n`,
            ].join("\n"),
          );
          return "done";
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

/** `secret`: text of the file with the secret key of age. */
async function keysOf(
  file: string,
  secret: string,
): Promise<{ manifest: OpenArchive["manifest"]; keys: RestoredKey[] }> {
  const opened = createReadStream(file);
  try {
    await reading(file, once(opened, "readable"));
    const archive = await openArchive(await decrypted(Readable.toWeb(opened) as ReadableStream<Uint8Array>, secret));
    return { manifest: archive.manifest, keys: await firstKeys(archive) };
  } finally {
    opened.destroy();
  }
}

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
