/** `backup`: a backup at once, where the spec says, or into a file here. */
import { basename, dirname, resolve as resolvePath } from "node:path";
import { Readable } from "node:stream";
import { ChatmailServerSpec, type WrittenServer } from "../../api/chatmail-server.ts";
import { childNames } from "../../api/names.ts";
import { resolve } from "../../api/resolve.ts";
import { folderDestination } from "../../backup/folder.ts";
import type { Job } from "../../kube/kinds.ts";
import { messageOf } from "../../lib/text.ts";
import { backupReports } from "../../operator/server/backup-report.ts";
import { backupStream, type Report } from "../backup-stream.ts";
import { CliError } from "../exit.ts";
import { readLayers } from "../layers.ts";
import { readServer } from "../objects.ts";
import { podsOf, runNow } from "../run-now.ts";
import type { Session } from "../session.ts";
import { pairs } from "../text/table.ts";
import { repeated, serverWord, type Verb } from "../verb.ts";

interface Options {
  to?: string;
  recipient?: string[];
  contents?: string;
}

export const backup: Verb = {
  rights: [
    "get `chatmailservers`, `cronjobs`",
    "create, list, watch `jobs`",
    "to show what was saved: list `pods`",
    "with `--to`: get `chatmailservers`, `pods`; create `pods/exec`, which is the right to read all mail of the relay; as with `spec`: get `chatmailfleets` and `leases`, list `deployments`",
  ],
  add(program, action) {
    program
      .command("backup")
      .summary("make a backup now, and show what is in it")
      .description(
        "Creates a job from the CronJob of the backups, waits for its end and shows what was saved. The spec says where backups go, for whom they are encrypted and how many are kept; interrupting the command leaves the job running. With --to no job is made: the relay pod encrypts the backup and sends it here. It exits with 0 only if all of it has come.",
      )
      .argument(...serverWord)
      .option("--to <file>", "a file of this machine, or - for standard output, which then gets nothing else")
      .option(
        "--recipient <age1…>",
        "with --to: public key of age; may be repeated. Default: backup.encryption.ageRecipients of the spec",
        repeated,
      )
      .option("--contents <what>", "with --to: Identity or All. Default: backup.contents of the spec")
      .action(
        action<[string], Options>(async (session, [name], options) => {
          const server = await readServer(session, name);
          if (options.to !== undefined) return backupTo(session, server, { ...options, to: options.to });
          if (options.recipient || options.contents !== undefined)
            throw new CliError("usage", "--recipient and --contents go with --to: else the spec says both");
          return backupByJob(session, server);
        }),
      );
  },
};

async function backupByJob(session: Session, server: WrittenServer) {
  const { namespace, name } = server.metadata;
  if (!server.spec.backup?.destination && !server.spec.fleetRef)
    throw new CliError(
      "missing",
      `${name} has no backup.destination: nothing says where a backup would go. --to FILE brings one here`,
    );
  const at = { namespace, name: childNames(name).backupCronJob };
  const job = await runNow(session, at, async (failed) => (await reportsOf(session, failed))?.problem);
  const report = (await reportsOf(session, job))?.report;
  session.show(report ?? {}, () => (report ? reportText(report) : "a backup was made; what is in it can't be read\n"));
  return "done" as const;
}

const reportText = ({ name, size, accounts, messages }: Pick<Report, "name" | "size" | "accounts" | "messages">) =>
  pairs([
    ["name", name],
    ["bytes", String(size)],
    ["accounts", String(accounts)],
    ["messages", String(messages)],
  ]);

async function backupTo(session: Session, server: WrittenServer, options: Options & { to: string }) {
  const { to } = options;
  if (to === "-" && session.around.out.isTerminal)
    throw new CliError("usage", "a backup is no text for a terminal: name a file, or redirect standard output");
  const { layers } = await readLayers(session, server);
  const resolved = resolve(ChatmailServerSpec, layers);
  const ofSpec = "spec" in resolved ? resolved.spec.backup : undefined;
  const recipients = options.recipient ?? ofSpec?.encryption?.ageRecipients ?? [];
  const contents = options.contents ?? ofSpec?.contents ?? "Identity";
  if (contents !== "Identity" && contents !== "All")
    throw new CliError("usage", `--contents: Identity or All, not ${contents}`);
  if (recipients.length === 0)
    throw new CliError(
      "usage",
      "nobody could read the backup, and it never leaves the pod unencrypted: name a key with --recipient, or in backup.encryption.ageRecipients (age-keygen -y prints it)",
    );
  let report: Report | undefined;
  const all = async function* () {
    report = yield* backupStream(session, server, { contents, recipients });
  };
  if (to === "-") await toOutput(session, all());
  else await toFile(session, to, all());
  if (!report) throw new CliError("failed", "the backup has no end");
  const made = report;
  // standard output has the backup, and nothing else
  if (to === "-") for (const line of reportText(made).trimEnd().split("\n")) session.note(line);
  else session.show({ ...made, file: to }, () => reportText({ ...made, name: to }));
  return "done" as const;
}

async function toOutput(session: Session, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  let wrote = false;
  try {
    for await (const chunk of bytes) {
      wrote = true;
      await session.around.writeBytes(chunk).catch((cause: unknown) => {
        const why = `standard output took no more: ${messageOf(cause)}`;
        throw new CliError("failed", why, { cause });
      });
    }
  } catch (thrown) {
    if (wrote) session.note("what was written is not complete: don't use it");
    throw thrown;
  }
}

/** Under its name only when all of it is there; an earlier file of the name stays until then. */
async function toFile(session: Session, path: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  const whole = resolvePath(path);
  const stream = Readable.toWeb(Readable.from(bytes, { objectMode: false }));
  try {
    await folderDestination(dirname(whole)).write(
      basename(whole),
      stream as ReadableStream<Uint8Array>,
      session.signal,
    );
  } catch (cause) {
    session.signal.throwIfAborted();
    if (cause instanceof CliError) throw cause;
    throw new CliError("failed", `${path} can't be written: ${messageOf(cause)}`, { cause });
  }
}

/** What its pods have left; undefined where the user may not read them. */
async function reportsOf(session: Session, job: Job) {
  try {
    return backupReports(await podsOf(session, job));
  } catch {
    session.signal.throwIfAborted();
    return undefined;
  }
}
