/**
 * The operator in this process against a real etcd and kube-apiserver. There are no other
 * controllers and no kubelet: `bringUp` plays them for one server, and `removeServer` plays the
 * garbage collector.
 */
import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import type { ChatmailServer, Condition } from "../../src/api/chatmail-server.ts";
import { apiVersion, chatmailFleet, chatmailServer, group, labels, version } from "../../src/api/names.ts";
import { type Client, kubeClient } from "../../src/kube/client.ts";
import type { Service, StatefulSet } from "../../src/kube/kinds.ts";
import type { KubeObject } from "../../src/kube/object.ts";
import type { BackOffLimits } from "../../src/lib/back-off.ts";
import type { Metrics } from "../../src/lib/metrics.ts";
import { allowedImages } from "../../src/operator/config.ts";
import { runControllers } from "../../src/operator/controllers.ts";
import type { OwnershipTimes } from "../../src/operator/ownership.ts";
import type { Policy } from "../../src/operator/rollout/policy.ts";
import type { LiveJob } from "../../src/operator/server/live.ts";
import type { ServerDefaults } from "../../src/operator/server/spec.ts";
import { makeWorld, type World } from "../../src/operator/server/world.ts";
import { type ApiServer, type ApiServerOptions, startApiServer } from "./api-server.ts";
import { keptLog } from "./fake-api-server.ts";
import { patienceMs, until } from "./until.ts";

export const relayImage = "registry.example/chatmail-relay:1";
export const namespace = "chatmail";
export const base64 = (text: string) => Buffer.from(text).toString("base64");

export interface LiveSecret extends KubeObject {
  type?: string;
  data?: Record<string, string>;
}

/** What the operator makes for each server, by kind and the ending of its name. */
export const childKinds = [
  ["configmaps", "-plan"],
  ["configmaps", "-dns"],
  ["persistentvolumeclaims", "-data"],
  ["services", ""],
  ["networkpolicies", ""],
  ["networkpolicies", "-expiry"],
  ["statefulsets", ""],
  ["cronjobs", "-expiry"],
] as const;

export interface OperatorOptions {
  /** Namespaces that it watches; by default all. */
  scopes?: readonly string[];
  /** Where the operator's calls go, such as a fault proxy. */
  url?: URL;
  /** Which operator it is, where there are several. */
  leaseName?: string;
  ownershipTimes?: OwnershipTimes;
  /** For what specs leave out. */
  serverDefaults?: ServerDefaults;
  /** By default that of all tests. */
  relayImage?: string;
  rollout?: Policy;
  now?: () => Date;
  /** By which it finds name servers; by default one that is not there, so no names are known. */
  resolvers?: readonly string[];
  /** Between tries to use an ACME account. */
  acmeBackOff?: BackOffLimits;
  metrics?: Metrics;
  /** What the reconcile sees instead of the world as it was made. */
  worldOf?: (made: World) => World;
}

export interface RunningOperator {
  world: World;
  client: Client;
  log: ReturnType<typeof keptLog>;
  /** Stops as SIGTERM does; safe to repeat. */
  stop(): Promise<void>;
  /** Stops to work at once, as a process that is killed: what is under way is cut off. */
  kill(): void;
}

export class OperatorCluster {
  readonly server: ApiServer;

  private constructor(server: ApiServer) {
    this.server = server;
  }

  /** With the CRD and these namespaces. */
  static async open(
    namespaces: readonly string[] = [namespace],
    options: ApiServerOptions = {},
  ): Promise<OperatorCluster> {
    const server = await startApiServer(options);
    const cluster = new OperatorCluster(server);
    for (const each of namespaces) await server.makeNamespace(each);
    for (const { plural } of [chatmailServer, chatmailFleet]) {
      const crd = parse(await readFile(`crds/${plural}.yaml`, "utf8")) as KubeObject;
      await server.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd);
      const served = async () => (await server.request("GET", pathOf(plural, ""))).status === 200;
      await until("the CRD to be served", served, { patienceMs: patienceMs.client });
    }
    return cluster;
  }

  close(): Promise<void> {
    return this.server.stop();
  }

  /** A world as the operator has it; nothing is reconciled yet. */
  makeWorld(options: OperatorOptions = {}) {
    const stopping = new AbortController();
    const log = keptLog();
    const requests = options.metrics?.counter("rest_client_requests_total");
    const client = kubeClient(this.server.credentials(options.url), {
      userAgent: "test",
      ...(requests && { requests }),
    });
    const made = makeWorld({
      client,
      scopes: options.scopes ?? [""],
      relayImage: options.relayImage ?? relayImage,
      ...(options.rollout && { rollout: options.rollout }),
      ...(options.now && { now: options.now }),
      resolvers: options.resolvers ?? ["127.0.0.253"],
      ...(options.acmeBackOff && { acmeBackOff: options.acmeBackOff }),
      allowedImages: allowedImages(relayImage, ["registry.example/team/"]),
      ...(options.serverDefaults && { serverDefaults: options.serverDefaults }),
      operatorNamespace: namespace,
      leaseName: options.leaseName ?? "chatmail-operator",
      ...(options.ownershipTimes && { ownershipTimes: options.ownershipTimes }),
      instance: "test",
      signal: stopping.signal,
      log,
      ...(options.metrics && { metrics: options.metrics }),
    });
    const world = options.worldOf?.(made) ?? made;
    const close = async () => {
      stopping.abort(new Error("stopped"));
      await world.events.close();
      await world.cache.ended;
      client.close();
    };
    return { world, client, log, stopping, close };
  }

  startOperator(options: OperatorOptions = {}): RunningOperator {
    const { world, client, log, stopping, close } = this.makeWorld(options);
    const { metrics } = options;
    const running = runControllers(world, { workers: 2, log, signal: stopping.signal, ...(metrics && { metrics }) });
    const stop = async () => {
      stopping.abort(new Error("stopped"));
      await running;
      await close();
    };
    return { world, client, log, stop, kill: () => stopping.abort(new Error("killed")) };
  }

  async get<T = KubeObject>(kind: string, name: string, at = namespace): Promise<T> {
    return (await this.server.request<T>("GET", pathOf(kind, name, at))).body;
  }

  async exists(kind: string, name: string): Promise<boolean> {
    return (await this.server.request("GET", pathOf(kind, name))).status === 200;
  }

  async make(kind: string, object: object, at = namespace): Promise<void> {
    const answer = await this.server.request("POST", pathOf(kind, "", at), object);
    if (answer.status !== 201) throw new Error(JSON.stringify(answer.body));
  }

  makeServer(name: string, spec: object, at = namespace): Promise<void> {
    const metadata = { name, namespace: at };
    return this.make(chatmailServer.plural, { apiVersion, kind: chatmailServer.kind, metadata, spec }, at);
  }

  makeSecret(
    name: string,
    type: string,
    data: Record<string, string>,
    metadata: { labels?: object; annotations?: object } = {},
  ): Promise<void> {
    const object = { apiVersion: "v1", kind: "Secret", metadata: { name, namespace, ...metadata }, type, data };
    return this.make("secrets", object);
  }

  /** A change by somebody who is not the operator. */
  async change(kind: string, name: string, patch: object, at = namespace): Promise<void> {
    const path = pathOf(kind, name, at);
    const answer = await this.server.request("PATCH", path, patch, "application/merge-patch+json");
    if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
  }

  patch(name: string, spec: object, at = namespace): Promise<void> {
    return this.change(chatmailServer.plural, name, { spec }, at);
  }

  async remove(kind: string, name: string, at = namespace): Promise<void> {
    const answer = await this.server.request("DELETE", pathOf(kind, name, at));
    if (answer.status >= 300 && answer.status !== 404) throw new Error(JSON.stringify(answer.body));
  }

  async statusOf(name: string, at = namespace): Promise<NonNullable<ChatmailServer["status"]>> {
    return (await this.get<ChatmailServer>(chatmailServer.plural, name, at)).status ?? {};
  }

  async condition(name: string, type: string, at = namespace): Promise<Condition | undefined> {
    return (await this.statusOf(name, at)).conditions?.find((each) => each.type === type);
  }

  /** Waits until the condition has this reason, and gives it. */
  async conditionIs(name: string, type: string, reason: string, at = namespace): Promise<Condition> {
    let last: Condition | undefined;
    const found = async () => {
      last = await this.condition(name, type, at);
      return last?.reason === reason ? last : undefined;
    };
    const patience = { patienceMs: patienceMs.client, everyMs: 50 };
    return until(`${name} to say ${type} ${reason}`, found, patience).catch((cause) => {
      throw new Error(`${String(cause)}; last: ${JSON.stringify(last)}`, { cause });
    });
  }

  /** Waits until the name servers were asked for its records: the status changes then by itself. */
  async dnsIsKnown(name: string): Promise<void> {
    const known = async () => {
      const { reason = "RecordsNotVerified" } = (await this.condition(name, "DNSReady")) ?? {};
      return reason !== "RecordsNotVerified";
    };
    await until(`the records of ${name} to be looked for`, known, { patienceMs: patienceMs.client });
  }

  /** Waits for the StatefulSet and for what is applied after it. */
  async setUp(name: string): Promise<void> {
    const made = async () => (await this.exists("statefulsets", name)) && this.exists("cronjobs", `${name}-expiry`);
    await until(`the StatefulSet and the CronJob of ${name}`, made, { patienceMs: patienceMs.client });
  }

  /**
   * What would change if the operator wrote: the versions of the server, its children and its
   * Secrets.
   */
  async versions(name: string): Promise<Record<string, string | undefined>> {
    const secrets = ["-tls", "-dkim", "-invites", "-turn"].map((ending) => ["secrets", ending] as const);
    const all = [[chatmailServer.plural, ""] as const, ...childKinds, ...secrets];
    const found = await Promise.all(
      all.map(async ([kind, ending]) => {
        const { status, body } = await this.server.request("GET", pathOf(kind, `${name}${ending}`));
        return status === 200 ? [[`${kind}/${name}${ending}`, body.metadata.resourceVersion] as const] : [];
      }),
    );
    return Object.fromEntries(found.flat());
  }

  /**
   * Plays scheduler, kubelet, volumes and load balancer: the pod of the present template runs, and
   * all is ready.
   */
  async bringUp(name: string, address = "203.0.113.77"): Promise<void> {
    const set = await this.get<KubeObject & { spec: { template: { metadata: object; spec: object } } }>(
      "statefulsets",
      name,
    );
    const { generation } = set.metadata;
    await this.setStatus("persistentvolumeclaims", `${name}-data`, { phase: "Bound" });
    await this.setStatus("services", name, { loadBalancer: { ingress: [{ ip: address }] } });
    await this.server.request("DELETE", `${pathOf("pods", `${name}-0`)}?gracePeriodSeconds=0`);
    const { template } = set.spec;
    const metadata = { ...template.metadata, name: `${name}-0`, namespace };
    const spec = { ...template.spec, nodeName: "node-1" };
    await this.make("pods", { apiVersion: "v1", kind: "Pod", metadata, spec });
    await this.setStatus("pods", `${name}-0`, {
      phase: "Running",
      conditions: [{ type: "Ready", status: "True" }],
    });
    const revision = `${name}-${generation}`;
    await this.setStatus("statefulsets", name, {
      observedGeneration: generation,
      replicas: 1,
      readyReplicas: 1,
      currentRevision: revision,
      updateRevision: revision,
    });
  }

  /**
   * Plays the controller of endpoints: the Service leads to a ready pod at this address, by the
   * ports of the template that it names.
   */
  async leadsTo(name: string, address: string): Promise<void> {
    const service = await this.get<Service>("services", name);
    const set = await this.get<StatefulSet>("statefulsets", name);
    const named = (set.spec?.template.spec?.containers ?? []).flatMap(({ ports = [] }) => ports);
    const ports = (service.spec?.ports ?? []).flatMap(({ name: port, protocol, targetPort }) =>
      named
        .filter((each) => each.name === targetPort)
        .map((each) => ({ name: port, protocol, port: each.containerPort })),
    );
    await this.make("endpointslices", endpointsOf(name, address, ports));
  }

  /** The job that checks another image for a server, unless it is about to be removed. */
  async imageCheck(name: string): Promise<LiveJob | undefined> {
    const path = `${pathOf("jobs", "")}?labelSelector=${labels.server}%3D${name},${labels.component}%3Dcheck`;
    const { body } = await this.server.request<{ items: LiveJob[] }>("GET", path);
    return body.items.find(({ spec }) => spec?.ttlSecondsAfterFinished !== 0);
  }

  /** Plays the job's controller, scheduler and kubelet: its pod is there and has this status. */
  async imageCheckIs(name: string, status: object): Promise<LiveJob> {
    const job = await until(`the check of ${name}`, () => this.imageCheck(name), { patienceMs: patienceMs.client });
    await this.#checkPodIs(job, status);
    return job;
  }

  /**
   * Plays all that a job that checks an image needs: its pod finds that all is well, and what is to
   * be removed is removed.
   */
  async passImageCheck(job: LiveJob): Promise<void> {
    if (job.spec?.ttlSecondsAfterFinished !== 0) {
      if (!(await this.exists("pods", checkPodOf(job)))) await this.#checkPodIs(job, { phase: "Succeeded" });
      return;
    }
    await this.server.request("DELETE", pathOf("pods", checkPodOf(job)));
    await this.server.request("DELETE", `${pathOf("jobs", job.metadata.name)}?propagationPolicy=Background`);
  }

  async #checkPodIs(job: LiveJob, status: object): Promise<void> {
    const { metadata, spec } = job;
    const pod = checkPodOf(job);
    if (!(await this.exists("pods", pod))) {
      const owner = { apiVersion: "batch/v1", kind: "Job", name: metadata.name, uid: metadata.uid, controller: true };
      const { template } = spec ?? {};
      const own = { ...template?.metadata, name: pod, namespace, ownerReferences: [owner] };
      await this.make("pods", { apiVersion: "v1", kind: "Pod", metadata: own, spec: template?.spec });
    }
    await this.setStatus("pods", pod, status);
  }

  /** Plays the job's controller. */
  async endJob(name: string, type: "Complete" | "Failed"): Promise<void> {
    const now = new Date().toISOString().replace(/[.]\d+Z$/, "Z");
    const ended = { status: "True", lastTransitionTime: now, lastProbeTime: now, reason: "Test", message: "played" };
    const before = type === "Complete" ? "SuccessCriteriaMet" : "FailureTarget";
    await this.setStatus("jobs", name, {
      startTime: now,
      ...(type === "Complete" && { completionTime: now, succeeded: 1 }),
      conditions: [
        { ...ended, type: before },
        { ...ended, type },
      ],
    });
  }

  /**
   * Plays the kubelet: a pod of the job has ended, and its container has left the message. Then the
   * job ends, too.
   */
  async runJob(name: string, { exitCode, message }: { exitCode: number; message: object }): Promise<void> {
    const { spec, metadata } = await this.get<LiveJob>("jobs", name);
    const { template } = spec ?? {};
    const own = { ...template?.metadata, name: `${name}-pod`, namespace };
    await this.make("pods", {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { ...own, labels: { ...own.labels, "batch.kubernetes.io/job-name": metadata.name } },
      spec: template?.spec,
    });
    const finishedAt = new Date().toISOString().replace(/[.]\d+Z$/, "Z");
    const state = { terminated: { exitCode, message: JSON.stringify(message), finishedAt, reason: "Ended" } };
    const container = template?.spec?.containers[0]?.name;
    await this.setStatus("pods", `${name}-pod`, {
      phase: exitCode === 0 ? "Succeeded" : "Failed",
      containerStatuses: [{ name: container, ready: false, restartCount: 0, image: "x", imageID: "", state }],
    });
    await this.endJob(name, exitCode === 0 ? "Complete" : "Failed");
  }

  /** Plays the volume controller: the claim gets this volume. */
  async bindVolume(name: string, volumeName = `pv-${name}`): Promise<void> {
    await this.change("persistentvolumeclaims", `${name}-data`, { spec: { volumeName } });
    const capacity = { storage: "10Gi" };
    await this.setStatus("persistentvolumeclaims", `${name}-data`, { phase: "Bound", capacity });
  }

  /**
   * As often as the template changes: the address of the Service may be in it. Resolves when the
   * server is Ready.
   */
  async runs(name: string): Promise<void> {
    const isReady = async () => {
      const { metadata, status } = await this.get<KubeObject & { status?: { observedGeneration?: number } }>(
        "statefulsets",
        name,
      );
      if (status?.observedGeneration !== metadata.generation) await this.bringUp(name);
      last = await this.condition(name, "Ready");
      // names of an earlier run may be in the DNS of the lab: ServingUnpublished
      return last?.status === "True";
    };
    let last: Condition | undefined;
    await until(`${name} to be Ready`, isReady, { patienceMs: patienceMs.client, everyMs: 100 }).catch((cause) => {
      throw new Error(`${String(cause)}: ${last?.reason} ${last?.message}`, { cause });
    });
  }

  /**
   * From now on the API server refuses these objects, as an admission policy of a cluster does.
   * Returns what ends it.
   */
  async refuse(resource: string, names: readonly string[]): Promise<() => Promise<void>> {
    const name = `refuse-${resource}`;
    const root = "/apis/admissionregistration.k8s.io/v1";
    const rules = [{ apiGroups: ["*"], apiVersions: ["*"], operations: ["CREATE"], resources: [resource] }];
    const policy = {
      metadata: { name },
      spec: {
        matchConstraints: { resourceRules: rules },
        validations: [{ expression: `!(object.metadata.name in ${JSON.stringify(names)})`, message: "not here" }],
      },
    };
    const binding = { metadata: { name }, spec: { policyName: name, validationActions: ["Deny"] } };
    await this.server.request("POST", `${root}/validatingadmissionpolicies`, policy);
    await this.server.request("POST", `${root}/validatingadmissionpolicybindings`, binding);
    const isRefused = async () => {
      const path = `${pathOf(resource, names[0] ?? "")}?dryRun=All&fieldManager=try`;
      const [apiVersion, kind] = kinds[resource] ?? ["v1", "Secret"];
      const object = { apiVersion, kind, metadata: { name: names[0], namespace }, ...smallest[resource] };
      const { body } = await this.server.request<{ message?: string }>(
        "PATCH",
        path,
        object,
        "application/apply-patch+yaml",
      );
      return body.message?.includes("not here") ?? false;
    };
    await until("the policy to hold", isRefused, { patienceMs: patienceMs.client });
    return async () => {
      await this.server.request("DELETE", `${root}/validatingadmissionpolicybindings/${name}`);
      await this.server.request("DELETE", `${root}/validatingadmissionpolicies/${name}`);
      await until("the policy to be gone", async () => !(await isRefused()), { patienceMs: patienceMs.client });
    };
  }

  async setStatus(kind: string, name: string, status: object): Promise<void> {
    const path = `${pathOf(kind, name)}/status`;
    const answer = await this.server.request("PATCH", path, { status }, "application/merge-patch+json");
    if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
  }

  /** What the server owned goes with it, as the garbage collector has it; what is kept stays. */
  async removeServer(name: string, world: World): Promise<void> {
    await this.remove(chatmailServer.plural, name);
    for (const [kind, ending] of childKinds)
      if (kind !== "persistentvolumeclaims") await this.remove(kind, `${name}${ending}`);
    await until(`the operator to know that ${name} is gone`, () => !world.stores.servers.get(namespace, name));
  }
}

const roots: Record<string, string> = {
  [chatmailServer.plural]: `/apis/${group}/${version}`,
  [chatmailFleet.plural]: `/apis/${group}/${version}`,
  statefulsets: "/apis/apps/v1",
  networkpolicies: "/apis/networking.k8s.io/v1",
  cronjobs: "/apis/batch/v1",
  jobs: "/apis/batch/v1",
  leases: "/apis/coordination.k8s.io/v1",
  certificates: "/apis/cert-manager.io/v1",
  issuers: "/apis/cert-manager.io/v1",
  dnsendpoints: "/apis/externaldns.k8s.io/v1alpha1",
  endpointslices: "/apis/discovery.k8s.io/v1",
  ingresses: "/apis/networking.k8s.io/v1",
  ingressroutes: "/apis/traefik.io/v1alpha1",
  ingressroutetcps: "/apis/traefik.io/v1alpha1",
};

/** What the controller of endpoints makes for a Service with one ready pod. */
export const endpointsOf = (service: string, address: string, ports: readonly object[]) => ({
  apiVersion: "discovery.k8s.io/v1",
  kind: "EndpointSlice",
  metadata: { name: `${service}-1`, namespace, labels: { "kubernetes.io/service-name": service } },
  addressType: "IPv4",
  endpoints: [{ addresses: [address], conditions: { ready: true } }],
  ports,
});

const checkPodOf = ({ metadata }: KubeObject) => `${metadata.name}-pod`;

/** How each is written where it is applied. */
const kinds: Record<string, readonly [apiVersion: string, kind: string]> = {
  configmaps: ["v1", "ConfigMap"],
  secrets: ["v1", "Secret"],
  services: ["v1", "Service"],
  persistentvolumeclaims: ["v1", "PersistentVolumeClaim"],
  pods: ["v1", "Pod"],
  statefulsets: ["apps/v1", "StatefulSet"],
  cronjobs: ["batch/v1", "CronJob"],
  jobs: ["batch/v1", "Job"],
  networkpolicies: ["networking.k8s.io/v1", "NetworkPolicy"],
};

const tryLabels = { try: "it" };
const template = {
  metadata: { labels: tryLabels },
  spec: { containers: [{ name: "a", image: "b" }], restartPolicy: "Never" },
};
/** The spec of the smallest valid one, where one is needed. */
const smallest: Record<string, object> = {
  services: { spec: { ports: [{ port: 1 }] } },
  persistentvolumeclaims: { spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } } },
  pods: { spec: template.spec },
  statefulsets: {
    spec: {
      serviceName: "a",
      selector: { matchLabels: tryLabels },
      template: { ...template, spec: { ...template.spec, restartPolicy: "Always" } },
    },
  },
  cronjobs: { spec: { schedule: "0 0 * * *", jobTemplate: { spec: { template } } } },
  jobs: { spec: { template } },
  networkpolicies: { spec: { podSelector: {} } },
};

export function pathOf(kind: string, name: string, at = namespace): string {
  return `${roots[kind] ?? "/api/v1"}/namespaces/${at}/${kind}${name && `/${name}`}`;
}
