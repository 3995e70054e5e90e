/**
 * The cloud of the lab, a process of its own (`node load-balancer.ts STATE-FOLDER`): gives
 * LoadBalancer Services an address of the documentation range and routes it to a node. kube-proxy
 * does the rest, so the client's own address reaches the pod.
 */
import { setTimeout as wait } from "node:timers/promises";
import { kubeApi } from "./kube-api.ts";
import {
  assignAddresses,
  planRoutes,
  type ServiceView,
  type SliceView,
  serviceKey,
  statusChange,
} from "./load-balancer-plan.ts";
import { kubeconfig } from "./place.ts";
import { ip, presentRoutes, refuseUnknown } from "./routes.ts";

type List<T> = { items: T[] };
interface NodeView {
  metadata: { name: string };
  status: { addresses?: { type: string; address: string }[] };
}

/** Changes come in bursts: a moment of patience makes one pass of them. */
const burstMs = 30;
/** Even without news everything is looked at again. */
const lookAgainMs = 15_000;

const collections = {
  services: "/api/v1/services",
  slices: "/apis/discovery.k8s.io/v1/endpointslices",
  nodes: "/api/v1/nodes",
} as const;

const say = (text: string) => console.log(`${new Date().toISOString()} ${text}`);

/** Brings addresses and routes in line with the cluster once. */
async function reconcile(api: ReturnType<typeof kubeApi>, routed: Map<string, string>) {
  const [services, slices, nodes] = await Promise.all([
    api.get<List<ServiceView>>(collections.services),
    api.get<List<SliceView>>(collections.slices),
    api.get<List<NodeView>>(collections.nodes),
  ]);
  const nodeAddresses = new Map(
    nodes.items.flatMap(({ metadata, status }) => {
      const internal = status.addresses?.find(({ type, address }) => type === "InternalIP" && address.includes("."));
      return internal ? [[metadata.name, internal.address] as const] : [];
    }),
  );
  const assigned = assignAddresses(services.items);
  const routes = planRoutes(assigned, services.items, slices.items, nodeAddresses);
  for (const [address, node] of routes) {
    if (routed.get(address) === node) continue;
    await ip(["route", "replace", `${address}/32`, "via", node]);
    routed.set(address, node);
    say(`${address} goes to ${node}`);
  }
  for (const address of routed.keys()) {
    if (routes.has(address)) continue;
    await ip(["route", "del", `${address}/32`]).catch(() => {});
    routed.delete(address);
    say(`${address} is free`);
  }
  for (const service of services.items) {
    const change = statusChange(service, assigned.get(serviceKey(service)));
    if (change === undefined) continue;
    const { namespace, name } = service.metadata;
    const ingress = change === null ? null : [{ ip: change, ipMode: "VIP" }];
    await api.patch(`/api/v1/namespaces/${namespace}/services/${name}/status`, {
      status: { loadBalancer: { ingress } },
    });
    say(`${serviceKey(service)} has ${change ?? "no address any more"}`);
  }
}

/**
 * One connection's life: watches, and reconciles on every change; throws when the API server goes
 * away.
 */
async function serve(routed: Map<string, string>) {
  const api = kubeApi(kubeconfig);
  const end = new AbortController();
  let news = false;
  let wake = () => {};
  const changed = () => {
    news = true;
    wake();
  };
  const watches = Object.values(collections).map((path) => api.watch(path, changed, end.signal));
  const broken = Promise.race(watches);
  for (const each of [...watches, broken]) each.catch(() => {}); // seen where `broken` is waited for
  try {
    for (;;) {
      news = false;
      await reconcile(api, routed);
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      if (!news) await Promise.race([woken, broken, wait(lookAgainMs, undefined, { ref: false })]);
      await wait(burstMs);
    }
  } finally {
    end.abort();
  }
}

await refuseUnknown();
// what an earlier life of this process has made
const routed = await presentRoutes();
let last = "";
for (;;) {
  await serve(routed).catch((thrown) => {
    if (String(thrown) !== last) say(String(thrown)); // once, while an API server is away
    last = String(thrown);
  });
  await wait(1000);
}
