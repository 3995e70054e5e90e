/**
 * `restore`: from a backup in a file. Before there is a server, its keys become Secrets; into a
 * server whose pod waits for it, accounts and mail.
 */
import { readFile } from "node:fs/promises";
import type { WrittenServer } from "../../api/chatmail-server.ts";
import { isApiError } from "../../kube/client.ts";
import { servers } from "../objects.ts";
import { restoreAccounts } from "../restore/accounts.ts";
import { restoreKeys } from "../restore/keys.ts";
import { reading } from "../restore/source.ts";
import type { Session } from "../session.ts";
import { serverWord, type Verb } from "../verb.ts";

interface Options {
  identity: string;
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
