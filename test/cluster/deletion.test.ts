/**
 * The end of relays in a real cluster: mail that waits is sent, what the policy keeps is found
 * again, and neither a namespace nor a server stays because nobody lets it go.
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { deletionFinalizer } from "../../src/api/names.ts";
import type { KubeObject } from "../../src/kube/object.ts";
import { ports } from "../../src/mail/ports.ts";
import { someAccount } from "../helpers/first-message.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { apply, kubectl, kubectlJson, objectIn, theObject } from "../helpers/kubectl.ts";
import { encryptedMessage } from "../helpers/messages.ts";
import {
  freshServer,
  getServer,
  namespace,
  operatorIsInstalled,
  podOf,
  removeServer,
  serverObject,
  serverReady,
} from "../helpers/servers.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { patienceMs, until } from "../helpers/until.ts";

const leaving = { name: "leaving", domain: "_leaving.test" };
const staying = { name: "staying", domain: "_staying.test" };
const alice = someAccount(leaving.domain);
const bob = someAccount(staying.domain);
const other = "ending-namespace";
const patience = { patienceMs: patienceMs.pod, everyMs: 200 };

const inNamespace = (...args: string[]) => kubectl(["-n", namespace, ...args]);
const exists = async (what: string) => (await objectIn(namespace, what)) !== undefined;
const get = <T = KubeObject>(what: string) => theObject<T>(namespace, what);
const at = async (name: string, port: number) => ({
  host: (await getServer(name)).status?.addresses?.[0]?.value ?? "",
  port,
});
const messagesOf = async (name: string, { address, password }: typeof alice) => {
  const client = await ImapClient.ready(await at(name, ports.imaps), address, password);
  const { untagged } = await client.say("SELECT INBOX");
  await client.logout();
  return Number(untagged.join("\n").match(/(\d+) EXISTS/)?.[1]);
};
const send = async (to: string) => {
  const smtp = await SmtpClient.ready(await at(leaving.name, ports.submissions), alice.address, alice.password);
  const data = encryptedMessage({ from: alice.address, to: [to] });
  expect(await smtp.send({ from: alice.address, to: [to], data })).toMatchObject({ code: 250 });
  await smtp.quit();
};
const isGone = (name: string) => until(`${name} to be gone`, async () => !(await exists(`cms/${name}`)), patience);

beforeAll(async () => {
  await operatorIsInstalled();
  await Promise.all([
    freshServer(leaving.name, { domain: leaving.domain, storage: { reclaimPolicy: "RetainIdentity" } }),
    freshServer(staying.name, { domain: staying.domain }),
  ]);
});
afterAll(async () => {
  await operatorIsInstalled();
  for (const { name } of [leaving, staying]) await removeServer(name);
  await kubectl(["delete", "namespace", other, "--ignore-not-found", "--wait"]);
});

test("mail that waits is sent before the pod ends, all mail is deleted, accounts and keys stay", async () => {
  await send(alice.address);
  await until("the message", async () => (await messagesOf(leaving.name, alice)) === 1, patience);
  expect(await messagesOf(staying.name, bob)).toBe(0);
  // the peer does not answer while the mail is accepted
  await inNamespace("annotate", "cms", staying.name, "chatmail.dev/pause=true", "--overwrite");
  await inNamespace("scale", "statefulset", staying.name, "--replicas=0");
  await until("no pod", async () => !(await exists(`pod/${staying.name}-0`)), patience);
  await send(bob.address);

  const key = await get<KubeObject & { data: object }>(`secret/${leaving.name}-dkim`);
  const volume = (await get(`pvc/${leaving.name}-data`)).metadata.uid;
  await inNamespace("delete", "cms", leaving.name, "--wait=false");
  const left = async () =>
    (await getServer(leaving.name)).status?.conditions
      ?.find(({ type }) => type === "Ready")
      ?.message.includes("1 message left in the queue");
  await until("the status to say what is left", left, patience);
  await inNamespace("annotate", "cms", staying.name, "chatmail.dev/pause-");
  await serverReady(staying.name);
  await isGone(leaving.name);
  await until("Bob to have it", async () => (await messagesOf(staying.name, bob)) === 1, patience);

  expect((await get(`pvc/${leaving.name}-data`)).metadata).toMatchObject({ uid: volume });
  expect((await get(`pvc/${leaving.name}-data`)).metadata.deletionTimestamp).toBeUndefined();
  expect((await get<typeof key>(`secret/${leaving.name}-dkim`)).data).toEqual(key.data);
  await until("no pod", async () => !(await exists(`pod/${leaving.name}-0`)), patience);
});

test("created again, people log in as before and find no mail", async () => {
  const spec = {
    domain: leaving.domain,
    storage: { reclaimPolicy: "RetainIdentity" },
    accounts: { registration: "Closed" },
  };
  await apply(serverObject(leaving.name, spec));
  await serverReady(leaving.name);
  // no account is created: it is the one that was there
  expect(await messagesOf(leaving.name, alice)).toBe(0);
  const mail = await podOf(leaving.name).exec("dovecot", "find", "/var/lib/chatmail/mail", "-path", "*/cur/*");
  expect(mail.trim()).toBe("");
});

test("a namespace that is deleted ends, whatever its servers' policies", async () => {
  await kubectl(["create", "namespace", other]);
  const file = await readFile(new URL("../../install/chatmail-operator.yaml", import.meta.url), "utf8");
  const roles = file
    .split("\n---\n")
    .filter((text) => /^kind: Role(Binding)?$/m.test(text) && !text.includes("-leader"))
    .map((text) => text.replace(/^( {2})namespace: .*$/m, `$1namespace: ${other}`));
  await apply(...roles);
  await inNamespace("set", "env", "deployment/chatmail-operator", `WATCH_NAMESPACES=${namespace},${other}`);
  await inNamespace("rollout", "status", "deployment/chatmail-operator", "--timeout=120s");
  for (const [name, reclaimPolicy] of [
    ["one", "Delete"],
    ["two", "RetainIdentity"],
  ] as const) {
    const server = serverObject(name, { domain: `_${name}.ending.test`, storage: { reclaimPolicy } });
    await apply({ ...server, metadata: { name, namespace: other } });
  }
  const held = async () => {
    const { items } = await kubectlJson<{ items: KubeObject[] }>(["-n", other, "get", "cms"]);
    return items.filter(({ metadata }) => metadata.finalizers?.includes(deletionFinalizer)).length === 2;
  };
  await until("both to have the finalizer", held, patience);
  const running = async () =>
    (await kubectl(["-n", other, "get", "pods", "-o", "name"])).trim().split("\n").length === 2;
  await until("their pods", running, patience);
  await kubectl(["delete", "namespace", other, "--wait=false"]);
  const ended = async () => (await kubectl(["get", "namespace", other, "--ignore-not-found", "-o", "name"])) === "";
  await until("the namespace to be gone", ended, patience);
  await operatorIsInstalled();
});

test("with the operator gone first, the lines of docs/removing.md let a server go", async () => {
  const page = await readFile(new URL("../../docs/removing.md", import.meta.url), "utf8");
  const lines = /kubectl get chatmailservers -A[\s\S]*?\n {2}done/.exec(page)?.[0] ?? "";
  expect(lines).toContain("finalizers");
  await inNamespace("scale", "deployment", "chatmail-operator", "--replicas=0");
  await until(
    "no operator",
    async () => !(await inNamespace("get", "pods", "-o", "name")).includes("operator"),
    patience,
  );
  await inNamespace("delete", "cms", leaving.name, "--wait=false");
  expect((await get(`cms/${leaving.name}`)).metadata.finalizers).toEqual([deletionFinalizer]);
  await shell(lines);
  await isGone(leaving.name);
  expect(await exists(`pvc/${leaving.name}-data`)).toBe(true);
});

function shell(script: string): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile("sh", ["-ec", script], (error, _, stderr) => (error ? reject(new Error(stderr)) : resolve()));
  });
}
