import { childNames } from "../../../api/names.ts";
import type { CronJob } from "../../../kube/kinds.ts";
import { expiryContainer } from "../../../pod/containers.ts";
import { expiryTime } from "../expiry-time.ts";
import { cronJob } from "./job-pod.ts";
import type { PodPlan } from "./pod.ts";

/** The daily clean-up. What one run leaves, the next one removes. */
export function expiryCronJob(plan: PodPlan): CronJob {
  const { server } = plan;
  const { hour, minute } = expiryTime(server);
  return cronJob(plan, {
    name: childNames(server.metadata.name).expiryCronJob,
    component: "expiry",
    schedule: `${minute} ${hour} * * *`,
    container: expiryContainer,
    besideRelay: true,
  });
}
