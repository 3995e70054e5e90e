/** A run of a CronJob that does not wait for its time, with the user's rights. */
import { randomBytes } from "node:crypto";
import { type CronJob, type Job, type Pod, resources } from "../kube/kinds.ts";
import { CliError } from "./exit.ts";
import { listAll } from "./objects.ts";
import type { Session } from "./session.ts";
import { jobOf, jobState } from "./views/cron-job.ts";
import { watchOne } from "./watch-one.ts";

/** Creates a job and waits for its end. `whyFailed`: what its pod has left, if that says more. */
export async function runNow(
  session: Session,
  at: { namespace: string; name: string },
  whyFailed: (job: Job) => Promise<string | undefined> = async () => undefined,
): Promise<Job> {
  const { signal } = session;
  const client = await session.client();
  const cronJob = await client.get<CronJob>(resources.cronJob, at, signal);
  if (!cronJob) throw new CliError("missing", `there is no CronJob ${at.name}`);
  const job = await client.create(resources.job, jobOf(cronJob, randomBytes(3).toString("hex")), signal);
  const { name } = job.metadata;
  session.progress.at(`job ${name} runs`);
  for await (const seen of watchOne<Job>(client, resources.job, { namespace: at.namespace, name }, signal)) {
    if (!seen) throw new CliError("missing", `job ${name} was deleted`);
    const state = jobState(seen);
    if (state === "done") return seen;
    if (state !== "runs")
      throw new CliError("failed", `job ${name} failed: ${(await whyFailed(seen)) ?? state.failed}`);
  }
  throw new CliError("missing", `job ${name} was deleted`);
}

/** The newest first. */
export async function podsOf(session: Session, { metadata: { namespace = "", name } }: Job): Promise<Pod[]> {
  const labelSelector = `batch.kubernetes.io/job-name=${name}`;
  const client = await session.client();
  const pods = await listAll<Pod>(client, resources.pod, { namespace, labelSelector }, session.signal);
  const madeAt = ({ metadata }: Pod) => metadata.creationTimestamp ?? "";
  return pods.sort((a, b) => (madeAt(a) < madeAt(b) ? 1 : -1));
}
