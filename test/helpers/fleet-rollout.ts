/**
 * A fleet of servers whose pods are only objects, and a rollout through it: what the test of a
 * rollout and its measurement share.
 */
import type { ChatmailFleetStatus, WrittenFleet, WrittenFleetSpec } from "../../src/api/chatmail-fleet.ts";
import { apiVersion, chatmailFleet } from "../../src/api/names.ts";
import type { Counter } from "../../src/lib/metrics.ts";
import { DryCluster, type Replaced } from "./dry-cluster.ts";
import { namespace, OperatorCluster, type RunningOperator, relayImage } from "./operator-cluster.ts";
import { until } from "./until.ts";

const name = "many";
export const imageOf = (version: string) => `${relayImage.replace(/:[^:]*$/, "")}:${version}`;

/** Calls of the operator to the API server, without those of its Lease, which go by time. */
export interface Calls {
  reads: number;
  writes: number;
  /** Writes by resource. */
  written: Record<string, number>;
}
/** By resource what was written, and how often something was read. */
type Counts = ReadonlyMap<string, number>;
const reads = "(reads)";

export class FleetRollout {
  readonly cluster: OperatorCluster;
  readonly pods: DryCluster;
  readonly size: number;
  readonly #patienceMs: number;
  #operator: RunningOperator;
  #past: Counts = new Map();

  private constructor(cluster: OperatorCluster, pods: DryCluster, options: { size: number; patienceMs: number }) {
    this.cluster = cluster;
    this.pods = pods;
    this.size = options.size;
    this.#patienceMs = options.patienceMs;
    this.#operator = cluster.startOperator();
  }

  /**
   * Of version 1, all of them Ready. Every hundredth has the label ring: canary, and three at
   * least.
   */
  static async open(options: {
    size: number;
    rollout: WrittenFleetSpec["rollout"];
    isBroken: (pod: Replaced) => boolean;
    patienceMs: number;
  }): Promise<FleetRollout> {
    const cluster = await OperatorCluster.open();
    const made = new FleetRollout(cluster, new DryCluster(cluster, options.isBroken), options);
    try {
      await cluster.make(chatmailFleet.plural, {
        apiVersion,
        kind: chatmailFleet.kind,
        metadata: { name, namespace },
        spec: {
          defaults: {
            updatePolicy: { progressDeadlineSeconds: 30 },
            // the range of node ports has room for those of 346 servers
            network: { service: { allocateNodePorts: false } },
          },
          rollout: { ...options.rollout, version: "1" },
        },
      });
      await made.#makeServers();
      await made.untilUpdated("1");
      return made;
    } catch (error) {
      await made.close();
      throw error;
    }
  }

  /** An address literal has no DKIM key, and to make a thousand of them would take minutes. */
  async #makeServers(): Promise<void> {
    let next = 0;
    const worker = async () => {
      for (let nth = next++; nth < this.size; nth = next++) {
        const address = `8.8.${nth >> 8}.${nth & 255}`;
        const spec = { domain: address, fleetRef: { name }, network: { addresses: [address] } };
        await this.cluster.make("chatmailservers", {
          apiVersion,
          kind: "ChatmailServer",
          metadata: { name: nameOf(nth), namespace, labels: { ring: isCanary(nth, this.size) ? "canary" : "wide" } },
          spec,
        });
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));
  }

  edit(rollout: WrittenFleetSpec["rollout"]): Promise<void> {
    return this.cluster.change(chatmailFleet.plural, name, { spec: { rollout } });
  }

  async status(): Promise<ChatmailFleetStatus> {
    return (await this.cluster.get<WrittenFleet>(chatmailFleet.plural, name)).status ?? {};
  }

  async untilStatus(what: string, holds: (status: ChatmailFleetStatus) => boolean): Promise<ChatmailFleetStatus> {
    let last: ChatmailFleetStatus = {};
    const found = async () => {
      last = await this.status();
      return holds(last);
    };
    await until(what, found, { patienceMs: this.#patienceMs, everyMs: 200 }).catch((cause) => {
      throw new Error(`${String(cause)}; last: ${JSON.stringify(last)}`, { cause });
    });
    return last;
  }

  /** All servers have this version, and are Ready. */
  untilUpdated(version: string, more: (status: ChatmailFleetStatus) => boolean = () => true) {
    return this.untilStatus(
      `all servers to have version ${version}`,
      (status) =>
        status.rollout?.target === imageOf(version) &&
        status.servers?.updated === this.size &&
        status.servers.ready === this.size &&
        more(status),
    );
  }

  /** Ends the operator as a process that is killed, and starts another one. */
  restart(): void {
    this.#past = this.#counts();
    this.#operator.kill();
    this.#operator = this.cluster.startOperator();
  }

  /** Since the last call of this. */
  takeCalls(): Calls {
    const counts = this.#counts();
    this.#past = plus(this.#past, counts, -1);
    const written = [...counts].filter(([name, count]) => name !== reads && count > 0);
    return {
      reads: counts.get(reads) ?? 0,
      writes: written.reduce((sum, [, count]) => sum + count, 0),
      written: Object.fromEntries(written),
    };
  }

  /** Of this operator, and of those before it, without what was taken. */
  #counts(): Counts {
    return plus(this.#past, countsIn(this.#operator.client.requests));
  }

  async close(): Promise<void> {
    await this.#operator.stop();
    await this.pods.stop();
    await this.cluster.close();
  }
}

export const isCanary = (nth: number, size: number): boolean => nth < Math.max(3, size / 100);
export const nameOf = (nth: number) => `s-${nth}`;

function countsIn(requests: Counter): Counts {
  const counts = new Map<string, number>();
  for (const { labels, value } of requests.entries()) {
    const { method, resource = "" } = labels;
    const name = method === "GET" ? reads : resource;
    if (resource !== "leases") counts.set(name, (counts.get(name) ?? 0) + value);
  }
  return counts;
}

function plus(one: Counts, other: Counts, sign: 1 | -1 = 1): Counts {
  const sum = new Map(one);
  for (const [name, count] of other) sum.set(name, (sum.get(name) ?? 0) + sign * count);
  return sum;
}
