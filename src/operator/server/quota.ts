/** What a ResourceQuota leaves for a pod that takes the place of another one. Pure. */
import type { V1Container } from "@kubernetes/client-node";
import { amountOf } from "../../api/quantity.ts";
import type { Json } from "../../kube/kinds.ts";
import type { LivePod } from "./live.ts";

/**
 * The quota counts the pod that runs, which is gone when its successor is made. Undefined where the
 * sentence is not about a quota, or names something that can't be counted here; else whether there
 * is room in the place of the pod.
 */
export function quotaHasRoom(said: string, running: LivePod): boolean | undefined {
  const parts = /exceeded quota: [^,]+, requested: (\S+), used: (\S+), limited: (\S+)$/.exec(said.trim());
  if (!parts) return undefined;
  const [requested, used, limited] = parts.slice(1).map(amountsIn);
  for (const [name, amount] of requested ?? []) {
    const freed = usageOf(running, name);
    const [before, most] = [used?.get(name), limited?.get(name)];
    if (freed === undefined || before === undefined || most === undefined) return undefined;
    if (Number.isNaN(before - freed + amount - most)) return undefined;
    if (before - freed + amount > most) return false;
  }
  return true;
}

/** "pods=1,requests.cpu=100m" */
function amountsIn(text: string | undefined): Map<string, number> {
  const pairs = (text ?? "").split(",").map((each) => each.split("=") as [string, string | undefined]);
  return new Map(pairs.flatMap(([name, amount]) => (amount === undefined ? [] : [[name, amountOf(amount)] as const])));
}

/** What a pod counts for. Its init containers run before the others, so the larger counts. */
function usageOf({ spec }: LivePod, name: string): number | undefined {
  if (name === "pods" || name === "count/pods") return 1;
  const [, kind = "requests", what] = /^(?:(requests|limits)[.])?(cpu|memory|ephemeral-storage)$/.exec(name) ?? [];
  if (what === undefined) return undefined;
  const of = (container: Json<V1Container>) => {
    const amount = container.resources?.[kind as "requests" | "limits"]?.[what];
    return amount === undefined ? 0 : amountOf(amount);
  };
  const lasting = (spec?.containers ?? []).reduce((sum, container) => sum + of(container), 0);
  return Math.max(lasting, ...(spec?.initContainers ?? []).map(of));
}
