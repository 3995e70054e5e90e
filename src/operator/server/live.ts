/**
 * What we read of objects that Kubernetes keeps. What Kubernetes itself always sets is not optional
 * here.
 */
import type { V1ContainerStatus } from "@kubernetes/client-node";
import type { Json } from "../../kube/kinds.ts";

export type {
  CoreEvent as LiveEvent,
  CronJob as LiveCronJob,
  Job as LiveJob,
  Pod as LivePod,
  Secret as LiveSecret,
  Service as LiveService,
  StatefulSet as LiveStatefulSet,
  VolumeClaim as LiveVolumeClaim,
} from "../../kube/kinds.ts";

export type ContainerStatus = Json<V1ContainerStatus>;
