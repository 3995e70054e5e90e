/**
 * Plays the StatefulSet controller, the kubelet and the volumes for many servers at once, against a
 * real API server: a new template replaces the pod, which is down until its successor is ready.
 * Nothing runs.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { childNames, labels } from "../../src/api/names.ts";
import { Cache } from "../../src/kube/cache.ts";
import { kubeClient } from "../../src/kube/client.ts";
import { resources, type StatefulSet } from "../../src/kube/kinds.ts";
import type { LiveJob } from "../../src/operator/server/live.ts";
import { keptLog } from "./fake-api-server.ts";
import { namespace, type OperatorCluster, pathOf } from "./operator-cluster.ts";

export interface Replaced {
  name: string;
  image: string;
}

export class DryCluster {
  readonly #cluster: OperatorCluster;
  readonly #stopping = new AbortController();
  readonly #waiting = new Set<string>();
  readonly #checks = new Map<string, LiveJob>();
  readonly #sets = new Map<string, StatefulSet>();
  readonly #done = new Map<string, string>();
  readonly #isBroken: (pod: Replaced) => boolean;
  readonly #ended: Promise<unknown>;
  readonly #down = new Set<string>();
  #mostDown = 0;
  /** Pods in the order in which they were started. */
  readonly started: Replaced[] = [];

  /** `isBroken`: a pod that never becomes ready. */
  constructor(cluster: OperatorCluster, isBroken: (pod: Replaced) => boolean) {
    this.#cluster = cluster;
    this.#isBroken = isBroken;
    const client = kubeClient(cluster.server.credentials(), { userAgent: "dry-cluster" });
    const { signal } = this.#stopping;
    const cache = new Cache({ client, log: keptLog(), signal, namespaces: [namespace] });
    const sets = cache.store(resources.statefulSet, { labelSelector: labels.server });
    sets.listen(({ type, object }) => {
      if (type === "deleted") return;
      this.#sets.set(object.metadata.name, object);
      this.#waiting.add(object.metadata.name);
    });
    const checks = cache.store<LiveJob>(resources.job, { labelSelector: `${labels.component}=check` });
    checks.listen(({ type, object }) => {
      if (type !== "deleted") this.#checks.set(object.metadata.name, object);
    });
    const workers = Array.from({ length: 8 }, () => this.#work(signal));
    this.#ended = Promise.all([...workers, cache.ended.then(() => client.close())]);
  }

  /** How many pods were not ready at one moment, at most, since the last call. */
  takeMostDown(): number {
    const most = this.#mostDown;
    this.#mostDown = this.#down.size;
    return most;
  }

  get down(): ReadonlySet<string> {
    return this.#down;
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error("stopped"));
    await this.#ended;
  }

  async #work(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const [check] = this.#checks.values();
      const [name] = this.#waiting;
      if (check) {
        this.#checks.delete(check.metadata.name);
        await this.#cluster.passImageCheck(check);
      } else if (name === undefined) await sleep(5);
      else {
        this.#waiting.delete(name);
        const set = this.#sets.get(name);
        if (set) await this.#replace(set);
      }
    }
  }

  async #replace(set: StatefulSet): Promise<void> {
    const { name, generation = 0 } = set.metadata;
    const { template } = set.spec ?? {};
    const text = JSON.stringify(template);
    const isFirst = !this.#done.has(name);
    if (!template || this.#done.get(name) === text) return;
    this.#done.set(name, text);
    const pod = { name, image: template.spec?.containers[0]?.image ?? "" };
    this.#down.add(name);
    this.#mostDown = Math.max(this.#mostDown, this.#down.size);
    const { server } = this.#cluster;
    const podName = childNames(name).pod;
    if (isFirst)
      await this.#cluster.setStatus("persistentvolumeclaims", childNames(name).volumeClaim, { phase: "Bound" });
    else await server.request("DELETE", `${pathOf("pods", podName)}?gracePeriodSeconds=0`);
    this.started.push(pod);
    const metadata = { ...template.metadata, name: podName, namespace };
    const spec = { ...template.spec, nodeName: "node-1" };
    await this.#cluster.make("pods", { apiVersion: "v1", kind: "Pod", metadata, spec });
    const isBroken = this.#isBroken(pod);
    const lastTransitionTime = new Date().toISOString().replace(/[.]\d+Z$/, "Z");
    const conditions = [{ type: "Ready", status: isBroken ? "False" : "True", lastTransitionTime }];
    await this.#cluster.setStatus("pods", podName, { phase: "Running", conditions });
    if (!isBroken) this.#down.delete(name);
    const revision = `${name}-${generation}`;
    await this.#cluster.setStatus("statefulsets", name, {
      observedGeneration: generation,
      replicas: 1,
      readyReplicas: isBroken ? 0 : 1,
      currentRevision: revision,
      updateRevision: revision,
    });
    // changed meanwhile
    if (this.#sets.get(name) !== set) this.#waiting.add(name);
  }
}
