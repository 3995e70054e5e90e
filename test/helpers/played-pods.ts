/**
 * Plays the StatefulSet controller, the kubelet and the volume controller for all servers of a
 * cluster: a pod of another template takes the place of the one that runs. It counts how many
 * servers are without service.
 */
import { labels } from "../../src/api/names.ts";
import type { KubeObject } from "../../src/kube/object.ts";
import { wait } from "../../src/lib/wait.ts";
import type { LiveJob } from "../../src/operator/server/live.ts";
import { imageOf } from "../../src/operator/server/rendered.ts";
import type { PodTemplate } from "../../src/operator/server/revision.ts";
import { namespace, type OperatorCluster, pathOf } from "./operator-cluster.ts";

interface LiveSet extends KubeObject {
  spec: { template: PodTemplate; replicas?: number };
  status?: { observedGeneration?: number };
}

interface LivePod extends KubeObject {
  status?: { conditions?: { type: string; status: string }[] };
}

export class PlayedPods {
  /** The most servers that were without service at one time, of those that have had it. */
  mostDown = 0;
  /** "server image" of each pod that was made, in that order. */
  readonly made: string[] = [];
  readonly #cluster: OperatorCluster;
  readonly #starts: (template: PodTemplate) => boolean;
  readonly #stopping = new AbortController();
  readonly #known = new Map<string, { generation: number | undefined; ready: boolean; served: boolean }>();
  #ended: Promise<void> = Promise.resolve();

  private constructor(cluster: OperatorCluster, starts: (template: PodTemplate) => boolean) {
    this.#cluster = cluster;
    this.#starts = starts;
  }

  /** `starts`: whether a pod of the template becomes ready. */
  static start(cluster: OperatorCluster, starts: (template: PodTemplate) => boolean = () => true): PlayedPods {
    const pods = new PlayedPods(cluster, starts);
    pods.#ended = pods.#run();
    return pods;
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error("stopped"));
    await this.#ended;
  }

  /** Counts anew. */
  reset(): void {
    this.mostDown = 0;
    this.made.length = 0;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#passImageChecks();
      const { body } = await this.#cluster.server.request<{ items: LiveSet[] }>("GET", pathOf("statefulsets", ""));
      for (const gone of [...this.#known.keys()].filter(
        (name) => !body.items.some((set) => set.metadata.name === name),
      ))
        this.#known.delete(gone);
      // first all old pods end, so that those that are replaced at one time are seen together
      const changed = body.items.filter(
        (set) => this.#known.get(set.metadata.name)?.generation !== set.metadata.generation,
      );
      const replaced: LiveSet[] = [];
      for (const set of changed) if (await this.#end(set)) replaced.push(set);
      this.#count();
      await wait(20, signal).catch(() => undefined);
      for (const set of replaced) await this.#make(set);
      await wait(30, signal).catch(() => undefined);
    }
  }

  async #passImageChecks(): Promise<void> {
    const path = `${pathOf("jobs", "")}?labelSelector=${labels.component}%3Dcheck`;
    const { body } = await this.#cluster.server.request<{ items: LiveJob[] }>("GET", path);
    for (const job of body.items) await this.#cluster.passImageCheck(job);
  }

  #count(): void {
    const down = [...this.#known.values()].filter(({ ready, served }) => served && !ready).length;
    this.mostDown = Math.max(this.mostDown, down);
  }

  /** False where the pod stays, because only other fields of the StatefulSet changed. */
  async #end(set: LiveSet): Promise<boolean> {
    const { name, generation } = set.metadata;
    const path = pathOf("pods", `${name}-0`);
    const { status, body: pod } = await this.#cluster.server.request<LivePod>("GET", path);
    const revision = (object: { metadata?: { annotations?: Record<string, string> } }) =>
      object.metadata?.annotations?.["chatmail.dev/revision"];
    const known = this.#known.get(name);
    if (status === 200 && revision(pod) === revision(set.spec.template)) {
      await this.#settle(set, known?.ready ?? true);
      return false;
    }
    if (status === 200) await this.#cluster.server.request("DELETE", `${path}?gracePeriodSeconds=0`);
    this.#known.set(name, { generation, ready: false, served: known?.served ?? false });
    return true;
  }

  async #make(set: LiveSet): Promise<void> {
    const { name } = set.metadata;
    const { template } = set.spec;
    const cluster = this.#cluster;
    const metadata = { ...template.metadata, name: `${name}-0`, namespace };
    const made = await cluster.server.request("POST", pathOf("pods", ""), {
      apiVersion: "v1",
      kind: "Pod",
      metadata,
      spec: { ...template.spec, nodeName: "node-1" },
    });
    // the server was removed meanwhile
    if (made.status !== 201) return;
    this.made.push(`${name} ${imageOf(template)}`);
    const ready = this.#starts(template);
    const lastTransitionTime = new Date().toISOString();
    const containerStatuses = ready
      ? []
      : [
          {
            name: "relay",
            image: "x",
            imageID: "x",
            ready: false,
            restartCount: 2,
            state: { waiting: { reason: "CrashLoopBackOff" } },
            lastState: { terminated: { exitCode: 3 } },
          },
        ];
    await cluster.setStatus("pods", `${name}-0`, {
      phase: "Running",
      conditions: [{ type: "Ready", status: ready ? "True" : "False", lastTransitionTime }],
      containerStatuses,
    });
    await cluster.setStatus("persistentvolumeclaims", `${name}-data`, { phase: "Bound" });
    await cluster.setStatus("services", name, { loadBalancer: { ingress: [{ ip: "203.0.113.77" }] } });
    await this.#settle(set, ready);
  }

  async #settle({ metadata: { name, generation } }: LiveSet, ready: boolean): Promise<void> {
    const revision = `${name}-${generation}`;
    await this.#cluster.setStatus("statefulsets", name, {
      observedGeneration: generation,
      replicas: 1,
      readyReplicas: ready ? 1 : 0,
      currentRevision: revision,
      updateRevision: revision,
    });
    this.#known.set(name, { generation, ready, served: ready || (this.#known.get(name)?.served ?? false) });
  }
}
