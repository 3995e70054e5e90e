/** `import`: accounts, mail and the DKIM key of a relay that was set up with cmdeploy. */
import { stringify } from "yaml";
import { ChatmailServerSpec, type WrittenServer } from "../../api/chatmail-server.ts";
import { apiVersion, chatmailServer, childNames } from "../../api/names.ts";
import { resolve } from "../../api/resolve.ts";
import { resources, type Secret } from "../../kube/kinds.ts";
import { sizeText } from "../../lib/size-text.ts";
import { messageOf } from "../../lib/text.ts";
import { signsMail } from "../../mail/address.ts";
import { type ImportedKey, importedKey } from "../../operator/identity/imported-key.ts";
import { dataOf, textsIn } from "../../operator/identity/secret.ts";
import { programs } from "../../pod/layout.ts";
import { CliError } from "../exit.ts";
import { differences, type IniSpec, specOfIni } from "../import/chatmail-ini.ts";
import { type Counts, LinkLost, sendTree } from "../import/send.ts";
import { findTree, isFolder, selector, type Tree } from "../import/tree.ts";
import { streamInPod } from "../in-pod.ts";
import { readLayers } from "../layers.ts";
import { readServer } from "../objects.ts";
import type { Session } from "../session.ts";
import { serverWord, type Verb } from "../verb.ts";
import { dkimState, doneText, notCarriedOver, type Plan, planText } from "../views/import.ts";

interface ImportOptions {
  fromDirectory: string;
  dryRun?: boolean;
  spec?: boolean;
  dkim: boolean;
}

/** Room that stays free for what comes meanwhile. */
const mostOfRoom = 0.9;

export const import_: Verb = {
  rights: [
    "get `chatmailservers`, `pods`; as with `spec`: get `chatmailfleets` and `leases`, list `deployments`",
    "get and create `pods/exec`, which is the right to read all mail of the relay",
    "for the DKIM key: get and patch `secrets`",
  ],
  add(program, action) {
    program
      .command("import")
      .summary("bring over accounts, mail and the DKIM key of a chatmail/relay server")
      .description(
        "Copies accounts with their passwords, flags, last logins and push tokens, all mail, and the DKIM key of a relay that was set up with cmdeploy, into a server of the same domain. It shows what it will do first. It can be interrupted and run again, and copies only what is missing or has changed; nothing is changed at the source. What was deleted here after it was copied does not come again.",
      )
      .argument(...serverWord)
      .requiredOption(
        "--from-directory <path>",
        "/ on the other relay itself, or a copy of /home/vmail/mail, /etc/dkimkeys and /usr/local/lib/chatmaild/chatmail.ini with the same paths below a directory",
      )
      .option("--dry-run", "show what would be done, and do nothing")
      .option("--spec", "print a ChatmailServer that goes by chatmail.ini, and do nothing; needs no cluster")
      .option("--no-dkim", "leave the DKIM keys of the server as they are")
      .action(
        action<[string], ImportOptions>(async (session, [name], options) => {
          const { fromDirectory: from } = options;
          if (!(await isFolder(from)))
            throw new CliError("usage", `--from-directory ${from}: there is no such directory`);
          const tree = await findTree(from);
          const ini: IniSpec = tree.ini
            ? specOfIni(tree.ini, { closed: tree.closed })
            : {
                spec: {},
                fields: {},
                unknown: [],
                notes: ["chatmail.ini was not found: the spec of the server was not compared"],
              };
          if (options.spec) return printSpec(session, name, tree, ini);
          const server = await readServer(session, name);
          if (server.spec.domain !== tree.domain)
            throw new CliError(
              "failed",
              `${options.fromDirectory} is of ${tree.domain}, and ${name} of ${server.spec.domain}: accounts can't change their domain`,
            );
          session.progress.at("what is here is compared");
          const key = options.dkim ? await keyOf(session, server, tree) : undefined;
          const plan: Plan = {
            source: options.fromDirectory,
            domain: tree.domain,
            counts: await transfer(session, server, tree, true),
            dkim: options.dkim
              ? dkimState(key?.key, selector)
              : { state: "none", message: "left as it is (--no-dkim)" },
            differences: await differencesOf(session, server, ini),
            ini: { unknown: ini.unknown, notes: ini.notes },
            notCarriedOver: [],
          };
          plan.notCarriedOver = notCarriedOver(tree.others, plan.counts.left);
          const text = () => planText(plan, session.around.out.columns ?? 100);
          if (options.dryRun) {
            session.show(plan, text);
            return "done";
          }
          session.progress.end();
          for (const line of text().trimEnd().split("\n")) session.note(line);
          const { mails, freeBytes } = plan.counts;
          if (mails.bytes > mostOfRoom * freeBytes)
            throw new CliError(
              "failed",
              `the volume has ${sizeText(freeBytes)} free, and ${sizeText(mails.bytes)} are to be copied: set storage.size to a larger size. Nothing was copied`,
            );
          if (key?.key.kind === "problem")
            throw new CliError("failed", `DKIM: ${key.key.message}. Nothing was copied; --no-dkim goes without it`);
          const counts = await transfer(session, server, tree, false);
          if (key?.key.kind === "new") await takeKey(session, key.secret, key.key);
          session.show({ ...plan, counts }, () => doneText(counts, name));
          return "done";
        }),
      );
  },
};

async function transfer(session: Session, server: WrittenServer, tree: Tree, dryRun: boolean): Promise<Counts> {
  const running = await streamInPod(session, server, "relay", [programs.node, programs.import]);
  try {
    const counts = await sendTree({
      tree,
      link: { write: running.write, answers: running.output },
      dryRun,
      progress: (text) => session.progress.at(text),
    });
    await finished(running.ended);
    return counts;
  } catch (thrown) {
    // what the program says explains more than that it has gone
    if (thrown instanceof LinkLost) await finished(running.ended);
    else running.stop();
    throw thrown;
  }
}

async function finished(ended: Promise<{ code: number; stderr: string }>): Promise<void> {
  const { code, stderr } = await ended;
  if (code === 0) return;
  if (stderr.includes("Cannot find module"))
    throw new CliError("failed", "the relay's image is older than this verb: update the server");
  throw new CliError("failed", `import in container relay: ${stderr.trim() || `exit code ${code}`}`);
}

interface FoundKey {
  secret: Secret;
  key: ImportedKey;
}

/** Undefined where the other relay has no key, or where the domain signs no mail. */
async function keyOf(session: Session, server: WrittenServer, tree: Tree): Promise<FoundKey | undefined> {
  if (tree.dkimPem === undefined || !signsMail(tree.domain)) return undefined;
  const { namespace, name } = server.metadata;
  const client = await session.client();
  const at = { namespace, name: childNames(name).dkimSecret };
  const secret = await client.get<Secret>(resources.secret, at, session.signal);
  if (!secret) throw new CliError("missing", `there is no Secret ${at.name}: kubectl chatmail status ${name} says why`);
  const records = server.status?.dns?.records ?? [];
  const published = records
    .filter(({ state, name: record }) => state === "Published" && record.includes("._domainkey."))
    .map(({ name: record }) => record.slice(0, record.indexOf(".")));
  const madeAt = secret.metadata.creationTimestamp ?? session.around.now().toISOString();
  const given = { selector, pem: tree.dkimPem, madeAt: String(madeAt), now: session.around.now(), published };
  return { secret, key: importedKey(textsIn(secret), given) };
}

/** Only in the version that was read: the operator may rotate keys meanwhile. */
async function takeKey(session: Session, secret: Secret, { patch }: ImportedKey & { kind: "new" }): Promise<void> {
  const { namespace = "", name, resourceVersion } = secret.metadata;
  const texts = Object.entries(patch).filter((each): each is [string, string] => each[1] !== null);
  const gone = Object.entries(patch).filter(([, text]) => text === null);
  const data = { ...dataOf(Object.fromEntries(texts)), ...Object.fromEntries(gone) };
  const client = await session.client();
  try {
    await client.merge(resources.secret, { namespace, name }, { metadata: { resourceVersion }, data }, session.signal);
  } catch (cause) {
    throw new CliError(
      "failed",
      `accounts and mail were copied, the DKIM key was not: ${messageOf(cause)}. Run this again`,
      { cause },
    );
  }
}

async function differencesOf(session: Session, server: WrittenServer, ini: IniSpec) {
  const { layers } = await readLayers(session, server);
  const resolved = resolve(ChatmailServerSpec, layers);
  return "spec" in resolved ? differences(ini, resolved.spec) : [];
}

function printSpec(session: Session, name: string, tree: Tree, ini: IniSpec) {
  const server = {
    apiVersion,
    kind: chatmailServer.kind,
    metadata: { name },
    spec: { ...ini.spec, domain: tree.domain },
  };
  for (const each of ini.notes) session.note(each);
  if (ini.unknown.length > 0) session.note(`unknown keys of chatmail.ini, without effect: ${ini.unknown.join(", ")}`);
  session.show(server, () => stringify(server, { lineWidth: 0 }));
  return "done" as const;
}
