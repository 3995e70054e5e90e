/** `backup`: a backup at once. */
import { childNames } from "../../api/names.ts";
import type { Job } from "../../kube/kinds.ts";
import { backupReports } from "../../operator/server/backup-report.ts";
import { CliError } from "../exit.ts";
import { readServer } from "../objects.ts";
import { podsOf, runNow } from "../run-now.ts";
import type { Session } from "../session.ts";
import { pairs } from "../text/table.ts";
import { serverWord, type Verb } from "../verb.ts";

export const backup: Verb = {
  rights: ["get `chatmailservers`, `cronjobs`", "create, list, watch `jobs`", "to show what was saved: list `pods`"],
  add(program, action) {
    program
      .command("backup")
      .summary("make a backup now, and show what is in it")
      .description(
        "Creates a job from the CronJob of the backups, waits for its end and shows what was saved. The spec says where backups go, for whom they are encrypted and how many are kept; interrupting the command leaves the job running.",
      )
      .argument(...serverWord)
      .action(
        action<[string], unknown>(async (session, [name]) => {
          const server = await readServer(session, name);
          const { namespace } = server.metadata;
          if (!server.spec.backup?.destination && !server.spec.fleetRef)
            throw new CliError("missing", `${name} has no backup.destination: nothing says where a backup would go`);
          const at = { namespace, name: childNames(name).backupCronJob };
          const job = await runNow(session, at, async (failed) => (await reportsOf(session, failed))?.problem);
          const report = (await reportsOf(session, job))?.report;
          session.show(report ?? {}, () =>
            report
              ? pairs([
                  ["name", report.name],
                  ["bytes", String(report.size)],
                  ["accounts", String(report.accounts)],
                  ["messages", String(report.messages)],
                ])
              : "a backup was made; what is in it can't be read\n",
          );
          return "done";
        }),
      );
  },
};

/** What its pods have left; undefined where the user may not read them. */
async function reportsOf(session: Session, job: Job) {
  try {
    return backupReports(await podsOf(session, job));
  } catch {
    session.signal.throwIfAborted();
    return undefined;
  }
}
