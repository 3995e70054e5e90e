/**
 * The first half of a restore, before there is a server: what the backup has of keys becomes
 * Secrets.
 */
import { type OpenArchive, openArchive } from "../../backup/archive.ts";
import { isApiError } from "../../kube/client.ts";
import { resources, type Secret } from "../../kube/kinds.ts";
import { CliError } from "../exit.ts";
import type { Session } from "../session.ts";
import { keysIn, type RestoredKey, secretsOf } from "../views/restored-keys.ts";
import { type Source, withBackup } from "./source.ts";

/** Nothing that exists is changed. */
export async function restoreKeys(session: Session, name: string, source: Source) {
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
