/**
 * ChatmailServers in the lab's cluster: made, waited for, and given their names in the lab's DNS.
 */
import { readFile } from "node:fs/promises";
import type { Previous } from "../../scripts/previous.ts";
import type { WrittenServer } from "../../src/api/chatmail-server.ts";
import { apiVersion, chatmailServer, labels } from "../../src/api/names.ts";
import type { Service } from "../../src/kube/kinds.ts";
import { ports } from "../../src/mail/ports.ts";
import { withLock } from "../lab/lock.ts";
import { publishZone } from "../lab/names.ts";
import { privatePeers, statePath } from "../lab/place.ts";
import { accepts } from "./accepts.ts";
import { onAnyLoad } from "./accounts.ts";
import { apply, kubectl, theObject } from "./kubectl.ts";
import type { RelayPod } from "./relay-pod.ts";
import { patienceMs, until } from "./until.ts";

/** Where `install/chatmail-operator.yaml` puts the operator, and the namespace it watches. */
export const namespace = "chatmail";

/**
 * Installs the operator as a user does, by `kubectl apply -f` of the generated file, with the
 * images that were built here. Several files do, side by side: two at once would both create what
 * is not there yet, and one would fail.
 */
export async function installOperator(
  images: { operator: string; relay: string },
  file: string | URL = new URL("../../install/chatmail-operator.yaml", import.meta.url),
): Promise<void> {
  const text = withImages(await readFile(file, "utf8"), images);
  const install = () => apply(text).then(operatorRolledOut);
  await withLock(install, () => {}, statePath("operator.lock"));
}

export async function operatorRolledOut(): Promise<void> {
  await kubectl(["-n", namespace, "rollout", "status", "deployment/chatmail-operator", "--timeout=120s"]);
}

/** The images that the runner of the cluster suite has built and loaded. */
export function testImages(): { operator: string; relay: string } {
  const { OPERATOR_IMAGE: operator, RELAY_IMAGE: relay } = process.env;
  if (!operator || !relay) throw new Error("run this suite by npm run test:cluster, which builds and loads the images");
  return { operator, relay };
}

export const operatorIsInstalled = (): Promise<void> => installOperator(testImages());

/** What was there before the newest change, which the runner has built and loaded, too. */
export function testPrevious(): Previous {
  const { PREVIOUS: previous } = process.env;
  if (!previous) throw new Error("run this by npm test test/cluster/upgrade.test.ts, which builds what is upgraded");
  return JSON.parse(previous) as Previous;
}

/** The install file with other images: the same edit that a user of a mirror makes. */
export function withImages(file: string, images: { operator: string; relay: string }): string {
  return file
    .replaceAll(/[^\s"']*\bchatmail-operator:[^\s"']+/g, images.operator)
    .replaceAll(/[^\s"']*\bchatmail-relay:[^\s"']+/g, images.relay);
}

/** A ChatmailServer as a user writes it. */
export const serverObject = (name: string, spec: Record<string, unknown>, at = namespace) => ({
  apiVersion,
  kind: chatmailServer.kind,
  metadata: { name, namespace: at },
  spec,
});

/** Looks into the pod of a server, as RelayPod does. */
export const podOf = (name: string): Pick<RelayPod, "exec" | "logs"> => ({
  exec: (container, ...command) => kubectl(["-n", namespace, "exec", `${name}-0`, "-c", container, "--", ...command]),
  logs: (container) =>
    kubectl(["-n", namespace, "logs", `${name}-0`, ...(container ? ["-c", container] : ["--all-containers"])]),
});

/**
 * Applies it in place of an earlier one, waits until it is Ready, and publishes its names. On a
 * busy machine addresses are made all the same.
 */
export async function freshServer(name: string, spec: Record<string, unknown>): Promise<WrittenServer> {
  await removeServer(name);
  const accounts = { ...onAnyLoad, ...(spec.accounts as object | undefined) };
  const network = { privatePeers, ...(spec.network as object | undefined) };
  await apply(serverObject(name, { ...spec, accounts, network }));
  const server = await serverReady(name);
  await publishNames(server);
  return server;
}

/**
 * The relays of examples/, as their user applies them; besides, they may connect to each other,
 * whose addresses are documentation's in the lab, and on a busy machine addresses are made all the
 * same.
 */
export async function applyExamples(): Promise<void> {
  await kubectl(["apply", "-f", "examples/chatmail.yaml", "-f", "examples/second.yaml"]);
  await Promise.all(
    ["nine", "ten"].map((name) => patchServer(name, { accounts: onAnyLoad, network: { privatePeers } })),
  );
}

export const patchServer = (name: string, spec: Record<string, unknown>, at = namespace): Promise<string> =>
  kubectl(["-n", at, "patch", "cms", name, "--type=merge", "-p", JSON.stringify({ spec })]);

export const getServer = (name: string, at = namespace): Promise<WrittenServer> =>
  theObject<WrittenServer>(at, `cms/${name}`);

/**
 * Waits until the server's Ready condition is True for its newest spec, and its address takes
 * connections: kube-proxy hears of a pod that is ready no sooner than the operator does, and
 * refuses them until then. Throws with the last conditions when it does not come.
 */
export async function serverReady(name: string, at = namespace): Promise<WrittenServer> {
  let last: WrittenServer | undefined;
  const ready = async () => {
    last = await getServer(name, at);
    const ready = last.status?.conditions?.find((each) => each.type === "Ready");
    return ready?.status === "True" && last.status?.observedGeneration === last.metadata.generation ? last : undefined;
  };
  const server = await until(`ChatmailServer ${name} to be Ready`, ready, {
    patienceMs: patienceMs.pod,
    everyMs: 100,
  }).catch((thrown) => {
    const said = last?.status?.conditions?.map(
      (each) => `  ${each.type}=${each.status} ${each.reason}: ${each.message}`,
    );
    throw new Error(`${String(thrown)}\n${said?.join("\n") ?? "  no status yet"}`, { cause: thrown });
  });
  await takesConnections(server);
  return server;
}

/** Addresses that the spec gives are of somebody who passes connections on: not of the lab. */
async function takesConnections(server: WrittenServer): Promise<void> {
  const host = server.status?.addresses?.[0]?.value;
  if (!host || server.spec.network?.addresses) return;
  const port = await reachedPort(server);
  await until(`${host} to take connections at port ${port}`, () => accepts(host, port), { patienceMs: patienceMs.pod });
}

async function reachedPort({ metadata, spec }: WrittenServer): Promise<number> {
  if (spec.network?.exposure !== "NodePort") return ports.imaps;
  const at = metadata.namespace ?? namespace;
  const service = await theObject<Service>(at, `service/${metadata.name}`);
  return service.spec?.ports?.find(({ port }) => port === ports.imaps)?.nodePort ?? 0;
}

/** The records that the status of a ready server asks for, as lines of a zone. */
export const zoneText = (server: WrittenServer): string =>
  (server.status?.dns?.records ?? [])
    .flatMap(({ name, type, values }) => values.map((value) => `${name} ${type} ${value}`))
    .join("\n");

/** Publishes the names of a ready server in the lab's DNS. */
export const publishNames = (server: WrittenServer): Promise<void> => publishZone(server.spec.domain, zoneText(server));

/** Removes a server and what `Retain` leaves behind. */
export async function removeServer(name: string): Promise<void> {
  await kubectl(["-n", namespace, "delete", "chatmailserver", name, "--ignore-not-found", "--wait"]);
  const kept = ["pvc,secret", "-l", `${labels.server}=${name}`, "--ignore-not-found", "--wait"];
  await kubectl(["-n", namespace, "delete", ...kept]);
}
