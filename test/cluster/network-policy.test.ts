/**
 * Who reaches the relay pod, and whom it reaches, on a real cluster. A network that does not
 * enforce NetworkPolicies (a bare machine's lab has such a one) proves only that the policies stop
 * nothing that has to pass; the workflow for forks has one that enforces them.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import type { LivePod } from "../../src/operator/server/live.ts";
import { apply, kubectl, kubectlJson } from "../helpers/kubectl.ts";
import {
  freshServer,
  namespace,
  operatorIsInstalled,
  patchServer,
  podOf,
  removeServer,
  serverReady,
} from "../helpers/servers.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { helperImage } from "../lab/node-image.ts";

const outside = "policy-test";
const name = "walled";
const health = ports.health;

const helperPod = (podName: string) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: podName, namespace: outside, labels: { app: podName } },
  spec: {
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: "main",
        image: helperImage,
        imagePullPolicy: "IfNotPresent",
        // on a port that the relay may connect to elsewhere, and on one that it may not
        command: ["sh", "-c", "mkdir -p /tmp; busybox httpd -p 443 -h /tmp && exec busybox httpd -f -p 8080 -h /tmp"],
        readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
      },
    ],
  },
});

let enforced: boolean;
const addresses: Record<string, string> = {};

/** Whether a pod of the helpers gets a connection within two seconds. */
const reaches = (from: string, to: string, port: number) =>
  kubectl([
    "-n",
    outside,
    "exec",
    from,
    "--",
    "busybox",
    "nc",
    "-w",
    "2",
    to,
    String(port),
    "-e",
    "busybox",
    "true",
  ]).then(
    () => true,
    () => false,
  );
const relayReaches = (to: string, port: number) =>
  podOf(name)
    .exec("dovecot", "timeout", "2", "bash", "-c", `: </dev/tcp/${to}/${port}`)
    .then(
      () => true,
      () => false,
    );
/** Policies reach the nodes a moment after they are applied. */
const becomes = (what: string, wanted: boolean, is: () => Promise<boolean>) =>
  until(what, async () => (await is()) === wanted, { patienceMs: patienceMs.client, everyMs: 200 });

const addressOf = async (where: string, pod: string) =>
  (await kubectlJson<LivePod & { status: { podIP: string } }>(["-n", where, "get", "pod", pod])).status.podIP;

beforeAll(async () => {
  await operatorIsInstalled();
  await kubectl(["delete", "namespace", outside, "--ignore-not-found"]);
  await kubectl(["create", "namespace", outside]);
  await apply(helperPod("prober"), helperPod("guarded"));
  const wait = ["wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s"];
  await kubectl(["-n", outside, ...wait]);
  await freshServer(name, { domain: "_walled.test", network: { privatePeers: [] } });
  addresses.relay = await addressOf(namespace, `${name}-0`);
  addresses.prober = await addressOf(outside, "prober");
  addresses.guarded = await addressOf(outside, "guarded");

  await becomes("the guarded pod to be reached", true, () => reaches("prober", addresses.guarded ?? "", 8080));
  await apply({
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: "guard", namespace: outside },
    spec: { podSelector: { matchLabels: { app: "guarded" } }, policyTypes: ["Ingress"] },
  });
  // kind's own network enforces them; the lab's on a bare machine has nothing that could
  enforced = (await kubectl(["-n", "kube-system", "get", "daemonsets", "-o", "name"])).includes("kindnet");
  await becomes("the guard", !enforced, () => reaches("prober", addresses.guarded ?? "", 8080));
  if (!enforced) console.warn("this cluster's network does not enforce NetworkPolicies: what is refused was not tried");
});

afterAll(async () => {
  await removeServer(name);
  await kubectl(["delete", "namespace", outside, "--ignore-not-found", "--wait=false"]);
});

test("everybody reaches the served ports", async () => {
  for (const port of [ports.smtp, ports.submissions, ports.imaps, ports.https, ports.http])
    await becomes(`port ${port} to answer`, true, () => reaches("prober", addresses.relay ?? "", port));
});

test("health and metrics are for the operator's namespace and for monitoring that is named", async () => {
  const asked = () => reaches("prober", addresses.relay ?? "", health);
  await becomes("health", !enforced, asked);
  const metricsFrom = {
    namespaceLabels: { "kubernetes.io/metadata.name": outside },
    podLabels: { app: "prober" },
  };
  await patchServer(name, { network: { policy: { metricsFrom } } });
  await becomes("health", true, asked);
  await becomes("health for others", !enforced, () => reaches("guarded", addresses.relay ?? "", health));
});

test("the relay resolves names, and reaches no pod that is not a relay", async () => {
  expect(await podOf(name).exec("dovecot", "getent", "hosts", "kubernetes.default.svc.cluster.local")).toMatch(/10\./);
  for (const port of [443, 8080])
    await becomes(`port ${port} of a pod`, !enforced, () => relayReaches(addresses.prober ?? "", port));
  const api = await kubectl(["get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}"]);
  await becomes("the API server", !enforced, () => relayReaches(api, 443));
});

test("with the policies turned off the network is as without them, and the pod is not replaced", async () => {
  const before = (await kubectlJson<LivePod>(["-n", namespace, "get", "pod", `${name}-0`])).metadata.uid;
  await patchServer(name, { network: { policy: { enabled: false } } });
  await becomes("health", true, () => reaches("guarded", addresses.relay ?? "", health));
  await becomes("a pod", true, () => relayReaches(addresses.prober ?? "", 8080));
  await serverReady(name);
  expect((await kubectlJson<LivePod>(["-n", namespace, "get", "pod", `${name}-0`])).metadata.uid).toBe(before);
});
