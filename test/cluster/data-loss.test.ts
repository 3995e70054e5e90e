/**
 * A volume and a signing key that somebody deletes, with the controllers and the kubelet of a real
 * cluster: nothing empty takes their place.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { KubeObject } from "../../src/kube/object.ts";
import { ports } from "../../src/mail/ports.ts";
import { onAnyLoad } from "../helpers/accounts.ts";
import { someAccount } from "../helpers/first-message.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { apply, kubectl, kubectlJson, objectIn, theObject } from "../helpers/kubectl.ts";
import { encryptedMessage } from "../helpers/messages.ts";
import {
  getServer,
  namespace,
  operatorIsInstalled,
  removeServer,
  serverObject,
  serverReady,
} from "../helpers/servers.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { patienceMs, until } from "../helpers/until.ts";

const name = "loss";
const domain = "_loss.test";
const { address, password } = someAccount(domain);
let volume = "";

const inNamespace = (...args: string[]) => kubectl(["-n", namespace, ...args]);
const exists = async (what: string) => (await objectIn(namespace, what)) !== undefined;
const get = <T = KubeObject>(what: string) => theObject<T>(namespace, what);
const says = (type: string, reason: string) =>
  until(
    `${type} to be ${reason}`,
    async () => {
      const found = (await getServer(name)).status?.conditions?.find((each) => each.type === type);
      return found?.reason === reason ? found : undefined;
    },
    { patienceMs: patienceMs.pod, everyMs: 100 },
  );
const at = async (port: number) => ({
  host: (await getServer(name)).status?.addresses?.[0]?.value ?? "",
  port,
});
const messages = async () => {
  const client = await ImapClient.ready(await at(ports.imaps), address, password);
  const { untagged } = await client.say("SELECT INBOX");
  await client.logout();
  return untagged.find((line) => line.includes("EXISTS"));
};

beforeAll(async () => {
  await operatorIsInstalled();
  await removeServer(name);
  await apply(serverObject(name, { domain, accounts: onAnyLoad }));
  await serverReady(name);
  const smtp = await SmtpClient.ready(await at(ports.submissions), address, password);
  const data = encryptedMessage({ from: address, to: [address] });
  expect(await smtp.send({ from: address, to: [address], data })).toMatchObject({ code: 250 });
  await smtp.quit();
  await until("the message", async () => (await messages())?.includes("1 EXISTS"), { patienceMs: patienceMs.pod });
});

afterAll(async () => {
  await removeServer(name);
  if (volume) await kubectl(["delete", "pv", volume, "--ignore-not-found", "--wait=false"]);
});

test("a claim that is deleted is kept by the pod, and the status says what to do before the pod goes", async () => {
  volume = (await get<{ spec: { volumeName: string } }>(`pvc/${name}-data`)).spec.volumeName;
  await inNamespace("delete", "pvc", `${name}-data`, "--wait=false");
  const { message } = await says("StorageReady", "VolumeEnding");
  expect(message).toContain(`volume ${volume} to Retain`);
  expect(await messages()).toContain("1 EXISTS");
  await kubectl(["patch", "pv", volume, "-p", '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}']);
});

test("without its pod it is gone: no controller makes an empty one, and no pod waits for whatever comes", async () => {
  await inNamespace("delete", "pod", `${name}-0`);
  await says("Stalled", "VolumeLost");
  await until("the claim to be gone", async () => !(await exists(`pvc/${name}-data`)), { patienceMs: patienceMs.pod });
  await until("no pod", async () => !(await exists(`pod/${name}-0`)), { patienceMs: patienceMs.pod });
  expect((await get<{ spec: { replicas: number } }>(`sts/${name}`)).spec.replicas).toBe(0);
});

test("restored, all messages are there", async () => {
  await kubectl(["patch", "pv", volume, "--type=json", "-p", '[{"op":"remove","path":"/spec/claimRef"}]']);
  const { spec } = await kubectlJson<{ spec: { storageClassName: string; capacity: { storage: string } } }>([
    "get",
    "pv",
    volume,
  ]);
  await apply({
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: `${name}-data`, namespace },
    spec: {
      accessModes: ["ReadWriteOnce"],
      storageClassName: spec.storageClassName,
      volumeName: volume,
      resources: { requests: { storage: spec.capacity.storage } },
    },
  });
  await until(
    "it to be bound",
    async () => (await get<{ status: { phase: string } }>(`pvc/${name}-data`)).status.phase === "Bound",
    { patienceMs: patienceMs.pod },
  );
  // what has none of our labels is found within a minute, or when the server changes
  await inNamespace("annotate", "cms", name, "example.org/restored=yes");
  await serverReady(name);
  expect(await messages()).toContain("1 EXISTS");
});

test("a signing key that is deleted is not replaced, the pod goes on, and the restored one is used again", async () => {
  const secret = await get<KubeObject & { data: object; type: string }>(`secret/${name}-dkim`);
  const pod = (await get(`pod/${name}-0`)).metadata.uid;
  await inNamespace("delete", "secret", `${name}-dkim`);
  await says("Stalled", "DKIMKeyLost");
  expect(await exists(`secret/${name}-dkim`)).toBe(false);
  expect(await messages()).toContain("1 EXISTS");
  const { apiVersion, kind, data, type } = secret;
  const { labels, annotations } = secret.metadata;
  await apply({ apiVersion, kind, type, data, metadata: { name: `${name}-dkim`, namespace, labels, annotations } });
  await serverReady(name);
  expect((await get(`pod/${name}-0`)).metadata.uid).toBe(pod);
});
