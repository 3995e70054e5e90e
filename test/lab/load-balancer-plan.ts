/**
 * Which Service gets which address, and over which node packets for it go. Pure; load-balancer.ts
 * does it.
 */
import { createHash } from "node:crypto";

/** A Service, as far as it matters here. */
export interface ServiceView {
  metadata: { name: string; namespace: string; deletionTimestamp?: string };
  spec: {
    type?: string;
    loadBalancerClass?: string;
    loadBalancerIP?: string;
    ipFamilies?: string[];
    externalTrafficPolicy?: string;
  };
  status?: { loadBalancer?: { ingress?: { ip?: string }[] } };
}

/** An EndpointSlice, as far as it matters here. */
export interface SliceView {
  metadata: { namespace: string; labels?: Record<string, string> };
  endpoints?: { nodeName?: string; conditions?: { ready?: boolean } }[];
}

const prefix = "203.0.113.";
const isOurs = (ip: string | undefined): ip is string => ip?.startsWith(prefix) ?? false;

/** Key of a Service: namespace/name. */
export const serviceKey = ({ metadata }: ServiceView) => `${metadata.namespace}/${metadata.name}`;

const wantsAddress = ({ spec }: ServiceView) => spec.type === "LoadBalancer" && !spec.loadBalancerClass;

/** The address a Service has from us now. */
export const currentAddress = ({ status }: ServiceView): string | undefined =>
  status?.loadBalancer?.ingress?.map(({ ip }) => ip).find(isOurs);

/**
 * An address for each Service that wants one: the one it has, else the one it asks for, else one
 * that follows from its name, so that a Service made again gets the same. Whoever has an address
 * keeps it; the range holds 254.
 */
export function assignAddresses(services: readonly ServiceView[]): Map<string, string> {
  const taken = new Map<string, string>(); // address → key
  const wanting = services.filter(wantsAddress).sort((a, b) => (serviceKey(a) < serviceKey(b) ? -1 : 1));
  const settle = (pick: (service: ServiceView) => string | undefined) => {
    for (const service of wanting) {
      const key = serviceKey(service);
      const address = pick(service);
      if (address && !taken.has(address) && ![...taken.values()].includes(key)) taken.set(address, key);
    }
  };
  const asked = ({ spec }: ServiceView) => (isOurs(spec.loadBalancerIP) ? spec.loadBalancerIP : undefined);
  settle((service) => (asked(service) === undefined ? currentAddress(service) : undefined));
  settle(asked);
  settle(currentAddress);
  settle((service) => byName(serviceKey(service), taken));
  return new Map([...taken].map(([address, key]) => [key, address]));
}

function byName(key: string, taken: ReadonlyMap<string, string>): string | undefined {
  const start = createHash("sha256").update(key).digest().readUInt32BE() % 254;
  for (let step = 0; step < 254; step++) {
    const address = `${prefix}${((start + step) % 254) + 1}`;
    if (!taken.has(address)) return address;
  }
  return undefined;
}

/**
 * What to write into a Service's status: an address, null for none any more, undefined to leave it.
 */
export function statusChange(service: ServiceView, address: string | undefined): string | null | undefined {
  const current = currentAddress(service);
  if (address === current) return undefined;
  return address ?? null;
}

/**
 * The node for each address: the first, by name, that runs a ready endpoint; without one, or when
 * every node will do (policy Cluster), the first node of all.
 */
export function planRoutes(
  addressOf: ReadonlyMap<string, string>,
  services: readonly ServiceView[],
  slices: readonly SliceView[],
  nodes: ReadonlyMap<string, string>,
): Map<string, string> {
  const names = [...nodes.keys()].sort();
  const routes = new Map<string, string>();
  for (const service of services) {
    const address = addressOf.get(serviceKey(service));
    if (!address) continue;
    const { name, namespace } = service.metadata;
    const local = new Set(
      slices
        .filter(({ metadata: m }) => m.namespace === namespace && m.labels?.["kubernetes.io/service-name"] === name)
        .flatMap(({ endpoints }) => endpoints ?? [])
        .flatMap(({ nodeName, conditions }) => (nodeName && conditions?.ready !== false ? [nodeName] : [])),
    );
    const node = names.find((each) => local.has(each)) ?? names[0];
    const via = node && nodes.get(node);
    if (via) routes.set(address, via);
  }
  return routes;
}
