/**
 * The operator by Helm, in a namespace of its own beside the one of `kubectl apply`: installed,
 * made two, its leader lost, removed.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { WrittenServer } from "../../src/api/chatmail-server.ts";
import { apiVersion, chatmailServer } from "../../src/api/names.ts";
import { apply, kubectl, kubectlJson } from "../helpers/kubectl.ts";
import { operatorIsInstalled, testImages } from "../helpers/servers.ts";
import { patienceMs, until } from "../helpers/until.ts";

const namespace = "by-helm";
const operator = "by-helm-chatmail-operator";
const server = { apiVersion, kind: chatmailServer.kind, metadata: { name: "eleven", namespace } };

const helm = (...args: string[]) => promisify(execFile)("helm", ["-n", namespace, ...args]);
const inNamespace = (...args: string[]) => kubectl(["-n", namespace, ...args]);
const tagOf = (image: string) => image.slice(image.lastIndexOf(":") + 1);

/** Waits until the server is Ready with this burst, so with its newest spec. */
const readyWithBurst = (sendBurst: number) =>
  until(
    `eleven to be Ready with sendBurst ${sendBurst}`,
    async () => {
      const { status, metadata, spec } = await kubectlJson<WrittenServer>(["-n", namespace, "get", "cms", "eleven"]);
      const ready = status?.conditions?.find(({ type }) => type === "Ready");
      const current = status?.observedGeneration === metadata.generation && spec.accounts?.sendBurst === sendBurst;
      return current && ready?.status === "True";
    },
    { patienceMs: patienceMs.pod, everyMs: 100 },
  );

const leader = async () =>
  (await inNamespace("get", "lease", operator, "-o", "jsonpath={.spec.holderIdentity}")).trim();

beforeAll(async () => {
  await operatorIsInstalled(); // brings the CRD, which both share
  const { operator, relay } = testImages();
  const images = `image.tag=${tagOf(operator)},relayImage.tag=${tagOf(relay)}`;
  const values = `crds.enabled=false,replicas=2,serverDefaults.accounts.createBurst=77,${images}`;
  await helm("install", namespace, "charts/chatmail-operator", "--create-namespace", "--set", values, "--wait");
});

afterAll(async () => {
  await helm("uninstall", namespace, "--ignore-not-found");
  await kubectl(["delete", "namespace", namespace, "--ignore-not-found", "--wait"]);
});

test("a server in its namespace becomes Ready", async () => {
  await apply({ ...server, spec: { domain: "_eleven.test", accounts: { sendBurst: 20 } } });
  await readyWithBurst(20);
  const plan = await inNamespace("get", "configmap", "eleven-plan", "-o", "jsonpath={.data}");
  expect(plan).toContain('\\"createBurst\\": 77'); // serverDefaults of the chart
});

test("helm test finds that it works", async () => {
  expect((await helm("test", namespace)).stdout).toMatch(/Phase:\s+Succeeded/);
});

/**
 * What a user of this role may do with ChatmailServers; kubectl ends with an error where it prints
 * "no".
 */
const can = (user: string, verb: string, where: string, ...more: readonly string[]) =>
  kubectl(["auth", "can-i", verb, chatmailServer.plural, "--as", user, "-n", where, ...more]).then(
    (said) => said.trim() === "yes",
    (thrown) => {
      if (!String(thrown).includes("can-i")) throw thrown;
      return false;
    },
  );

test.each([
  { role: "view", may: ["get", "list", "watch"], mayNot: ["create", "patch", "delete"] },
  { role: "edit", may: ["get", "create", "update", "patch", "delete"], mayNot: [] },
  { role: "admin", may: ["get", "create", "update", "patch", "delete"], mayNot: [] },
])("who has the role $role in a namespace has it for its servers", async ({ role, may, mayNot }) => {
  const user = `someone-who-may-${role}`;
  await inNamespace("create", "rolebinding", user, `--clusterrole=${role}`, `--user=${user}`);
  // the API server adds the rules to its own roles a moment after they are there
  await until("the role to hold", () => can(user, "get", namespace));
  const allowed = [];
  for (const verb of [...may, ...mayNot]) if (await can(user, verb, namespace)) allowed.push(verb);
  expect(allowed).toEqual(may);
  expect(await can(user, "patch", namespace, "--subresource=status")).toBe(false);
  expect(await can(user, "get", "default")).toBe(false);
});

test("when the leading replica is lost the other one goes on", async () => {
  const lost = await leader();
  const pods = (await inNamespace("get", "pods", "-o", "name")).trim().split("\n");
  const pod = pods.find((name) => lost.startsWith(name.replace("pod/", "")));
  await inNamespace("delete", pod ?? "pod/none", "--force", "--grace-period=0");
  await apply({ ...server, spec: { domain: "_eleven.test", accounts: { sendBurst: 30 } } });
  await readyWithBurst(30);
  expect(await leader()).not.toBe(lost);
});

test("a replica whose lease another has taken ends at once, and is started anew", async () => {
  // an identity is the pod's name and a process number
  const pod = (await leader()).replace(/-\d+$/, "");
  const patch = { spec: { holderIdentity: "somebody-else" } };
  await inNamespace("patch", "lease", operator, "--type=merge", "-p", JSON.stringify(patch));
  const last = ["get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}"];
  await until("it to end", async () => (await inNamespace(...last)) === "1", { patienceMs: patienceMs.client });
  // nobody is there under that name, so one of the two leads once its time is over
  const ours = async () => (await leader()) !== "somebody-else";
  await until("another leader", ours, { patienceMs: patienceMs.client });
});

test("helm uninstall leaves the server and its relay as they are, and nothing that waits for an operator", async () => {
  const storage = { reclaimPolicy: "Delete" };
  await apply({ ...server, spec: { domain: "_eleven.test", accounts: { sendBurst: 30 }, storage } });
  const finalizers = () => inNamespace("get", "cms", "eleven", "-o", "jsonpath={.metadata.finalizers}");
  await until("the finalizer", async () => (await finalizers()) !== "", { patienceMs: patienceMs.client });
  await helm("uninstall", namespace, "--wait");
  expect(await finalizers()).toBe("");
  expect(await inNamespace("get", "pod", "eleven-0", "-o", "jsonpath={.status.phase}")).toBe("Running");
  expect(await inNamespace("get", "deployments", "-o", "name")).toBe("");
});

test("deleted without an operator, the server takes its volume and keys with it as its policy says", async () => {
  await inNamespace("delete", "cms", "eleven");
  const left = async () =>
    (await inNamespace("get", "pvc,secret", "-l", "chatmail.dev/server=eleven", "-o", "name")) === "";
  await until("all to be gone", left, { patienceMs: patienceMs.pod, everyMs: 200 });
});
