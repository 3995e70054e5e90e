/** `expire --now`: the daily clean-up at once. */
import { randomBytes } from "node:crypto";
import { childNames } from "../../api/names.ts";
import { type CronJob, type Job, type Pod, resources } from "../../kube/kinds.ts";
import { CliError } from "../exit.ts";
import { listAll, readServer } from "../objects.ts";
import type { Session } from "../session.ts";
import { pairs } from "../text/table.ts";
import { serverWord, type Verb } from "../verb.ts";
import { countsIn, jobOf, jobState } from "../views/expiry-job.ts";
import { watchOne } from "../watch-one.ts";

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
          const { namespace = "" } = server.metadata;
          const client = await session.client();
          const at = { namespace, name: childNames(name).expiryCronJob };
          const cronJob = await client.get<CronJob>(resources.cronJob, at, session.signal);
          if (!cronJob) throw new CliError("missing", `there is no CronJob ${at.name}`);
          const job = await client.create(
            resources.job,
            jobOf(cronJob, randomBytes(3).toString("hex")),
            session.signal,
          );
          session.progress.at(`job ${job.metadata.name} runs`);
          for await (const seen of watchOne<Job>(
            client,
            resources.job,
            { namespace, name: job.metadata.name },
            session.signal,
          )) {
            if (!seen) throw new CliError("missing", `job ${job.metadata.name} was deleted`);
            const state = jobState(seen);
            if (state === "done") break;
            if (state !== "runs") throw new CliError("failed", `job ${job.metadata.name} failed: ${state.failed}`);
          }
          const counts = await countsOf(session, job);
          session.show(counts ?? {}, () =>
            counts
              ? pairs(Object.entries(counts).map(([what, count]) => [what, String(count)]))
              : "expiry has run; its counts can't be read\n",
          );
          return "done";
        }),
      );
  },
};

async function countsOf(session: Session, { metadata: { namespace = "", name } }: Job) {
  try {
    const client = await session.client();
    const labelSelector = `batch.kubernetes.io/job-name=${name}`;
    const [pod] = await listAll<Pod>(client, resources.pod, { namespace, labelSelector }, session.signal);
    if (!pod) return undefined;
    const lines: string[] = [];
    const options = { container: "expire", tailLines: 20 };
    for await (const line of client.logs({ namespace, name: pod.metadata.name }, options, session.signal))
      lines.push(line);
    return countsIn(lines);
  } catch {
    session.signal.throwIfAborted();
    return undefined;
  }
}
