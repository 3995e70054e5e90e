/** What a reconcile of a server reads from and acts through. */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { chatmailServer, fieldManager, group, labels, labelValues, version } from "../../api/names.ts";
import { Applier } from "../../kube/apply.ts";
import type { Client } from "../../kube/client.ts";
import { trimmed } from "../../kube/fields.ts";
import { type KubeObject, type Resource, resources } from "../../kube/object.ts";
import { Store } from "../../kube/store.ts";
import type {
  LiveCronJob,
  LiveJob,
  LivePod,
  LiveSecret,
  LiveService,
  LiveStatefulSet,
  LiveVolumeClaim,
} from "./live.ts";

export const chatmailServers: Resource = { group, version, kind: chatmailServer.kind, plural: chatmailServer.plural };

/** As the watch brings it. */
export type LiveServer = ChatmailServer & KubeObject;

/** The cluster as we know it: our servers, and the objects that carry our label. */
export interface Stores {
  servers: Store<LiveServer>;
  configMaps: Store<KubeObject>;
  secrets: Store<LiveSecret>;
  volumeClaims: Store<LiveVolumeClaim>;
  services: Store<LiveService>;
  statefulSets: Store<LiveStatefulSet>;
  pods: Store<LivePod>;
  cronJobs: Store<LiveCronJob>;
  jobs: Store<LiveJob>;
}

export interface World {
  client: Client;
  applier: Applier;
  stores: Stores;
  relayImage: string;
  now: () => Date;
}

/** Which kind each store holds. */
export const storeResources = {
  servers: chatmailServers,
  configMaps: resources.configMap,
  secrets: resources.secret,
  volumeClaims: resources.volumeClaim,
  services: resources.service,
  statefulSets: resources.statefulSet,
  pods: resources.pod,
  cronJobs: resources.cronJob,
  jobs: resources.job,
} as const satisfies Record<keyof Stores, Resource>;

/** All that we make, and nothing else, is watched. */
export const ourLabelSelector = `${labels.managedBy}=${labelValues.managedBy}`;

export function makeWorld(options: { client: Client; scopes: readonly string[]; relayImage: string }): World {
  const { client, scopes, relayImage } = options;
  const store = <T extends KubeObject>() => new Store<T>({ scopes, trim: (object) => trimmed(object, fieldManager) });
  return {
    client,
    applier: new Applier({ client, fieldManager }),
    relayImage,
    now: () => new Date(),
    stores: {
      servers: store(),
      configMaps: store(),
      secrets: store(),
      volumeClaims: store(),
      services: store(),
      statefulSets: store(),
      pods: store(),
      cronJobs: store(),
      jobs: store(),
    },
  };
}

/** The store that holds children of this kind. */
export function storeOf(stores: Stores, resource: Resource): Store<KubeObject> | undefined {
  const name = Object.entries(storeResources).find(([, held]) => held === resource)?.[0];
  return name === undefined ? undefined : (stores[name as keyof Stores] as unknown as Store<KubeObject>);
}
