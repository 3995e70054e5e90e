/** What we read of objects that Kubernetes keeps: only the fields we use, all of them optional. */
import type { KubeObject } from "../../kube/object.ts";

export interface LiveSecret extends KubeObject {
  type?: string;
  data?: Record<string, string>;
}

export interface LiveVolumeClaim extends KubeObject {
  spec?: { resources?: { requests?: { storage?: string } } };
  status?: { phase?: string };
}

export interface LiveService extends KubeObject {
  status?: { loadBalancer?: { ingress?: { ip?: string; hostname?: string }[] } };
}

export interface LiveStatefulSet extends KubeObject {
  status?: {
    observedGeneration?: number;
    readyReplicas?: number;
    currentRevision?: string;
    updateRevision?: string;
  };
}

export interface ContainerStatus {
  name: string;
  ready?: boolean;
  restartCount?: number;
  state?: {
    waiting?: { reason?: string; message?: string };
    running?: object;
    terminated?: { exitCode?: number; reason?: string };
  };
  lastState?: { terminated?: { exitCode?: number; reason?: string } };
}

export interface PodCondition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
}

export interface LivePod extends KubeObject {
  spec?: { initContainers?: { name: string; image?: string }[]; containers?: { name: string; image?: string }[] };
  status?: {
    phase?: string;
    reason?: string;
    message?: string;
    podIP?: string;
    hostIP?: string;
    hostIPs?: { ip: string }[];
    conditions?: PodCondition[];
    containerStatuses?: ContainerStatus[];
    initContainerStatuses?: ContainerStatus[];
  };
}

export interface LiveCronJob extends KubeObject {
  status?: { lastScheduleTime?: string; lastSuccessfulTime?: string };
}

export interface LiveJob extends KubeObject {
  status?: { conditions?: { type: string; status: string; message?: string; lastTransitionTime?: string }[] };
}

export interface LiveEvent extends KubeObject {
  type?: string;
  message?: string;
  lastTimestamp?: string;
  eventTime?: string;
  involvedObject?: { kind?: string | undefined; namespace?: string | undefined; name?: string | undefined };
}
