/** `expire --now`: the daily clean-up at once. */
import { childNames } from "../../api/names.ts";
import type { Job } from "../../kube/kinds.ts";
import { readServer } from "../objects.ts";
import { podsOf, runNow } from "../run-now.ts";
import type { Session } from "../session.ts";
import { pairs } from "../text/table.ts";
import { serverWord, type Verb } from "../verb.ts";
import { countsIn } from "../views/cron-job.ts";

export const expire: Verb = {
  rights: [
    "get `chatmailservers`, `cronjobs`",
    "create, list, watch `jobs`",
    "to show the counts: list `pods`, get `pods/log`",
  ],
  add(program, action) {
    program
      .command("expire")
      .summary("run the daily clean-up now, and show what it deleted")
      .description(
        "Creates a job from the CronJob of the daily clean-up, waits for its end and shows its counts. It deletes what the spec says, as every day; interrupting the command leaves the job running.",
      )
      .argument(...serverWord)
      .requiredOption("--now", "now: without it nothing is done")
      .action(
        action<[string], unknown>(async (session, [name]) => {
          const server = await readServer(session, name);
          const { namespace } = server.metadata;
          const job = await runNow(session, { namespace, name: childNames(name).expiryCronJob });
          const counts = await countsOf(session, job);
          session.show(counts ?? {}, () =>
            counts
              ? pairs(Object.entries(counts).map(([what, count]) => [inWords(what), String(count)]))
              : "expiry has run; its counts can't be read\n",
          );
          return "done";
        }),
      );
  },
};

/** "accountsRemoved" as people write it. */
const inWords = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

async function countsOf(session: Session, job: Job) {
  try {
    const client = await session.client();
    const [pod] = await podsOf(session, job);
    if (!pod) return undefined;
    const lines: string[] = [];
    const options = { container: "expire", tailLines: 20 };
    for await (const line of client.logs(
      { namespace: job.metadata.namespace ?? "", name: pod.metadata.name },
      options,
      session.signal,
    ))
      lines.push(line);
    return countsIn(lines);
  } catch {
    session.signal.throwIfAborted();
    return undefined;
  }
}
