/**
 * A volume that is moved to another class while its relay is used, with the controllers, the
 * kubelet and the volumes of a real cluster: the copy is interrupted once.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { annotations } from "../../src/api/names.ts";
import { ports } from "../../src/mail/ports.ts";
import { onAnyLoad } from "../helpers/accounts.ts";
import { someAccount } from "../helpers/first-message.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { apply, kubectl, kubectlJson, theObject } from "../helpers/kubectl.ts";
import { encryptedMessage } from "../helpers/messages.ts";
import { callPlugin } from "../helpers/plugin.ts";
import {
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

const name = "moved";
const className = "moved-elsewhere";
const domain = "_moved.test";
const { address, password } = someAccount(domain);
const patience = { patienceMs: patienceMs.pod, everyMs: 100 };

const inNamespace = (...args: string[]) => kubectl(["-n", namespace, ...args]);
const at = async (port: number) => ({ host: (await getServer(name)).status?.addresses?.[0]?.value ?? "", port });
/** With the same password: an account that does not exist would be created, without mail. */
const messages = async () => {
  const client = await ImapClient.ready(await at(ports.imaps), address, password);
  const { untagged } = await client.say("SELECT INBOX");
  await client.logout();
  return untagged.find((line) => line.includes("EXISTS"));
};
/** As a client does: again where the relay is stopped meanwhile. */
const send = () => until("a message to be accepted", () => sendOnce().then(() => true), patience);
const sendOnce = async () => {
  const smtp = await SmtpClient.ready(await at(ports.submissions), address, password);
  const data = encryptedMessage({ from: address, to: [address] });
  expect(await smtp.send({ from: address, to: [address], data })).toMatchObject({ code: 250 });
  await smtp.quit();
};
/** A message whose reply was lost as the relay stopped is sent again, and may be there twice. */
const arrived = (count: number) => {
  let last: string | undefined;
  const areThere = async () => {
    last = await messages();
    return Number(/(\d+) EXISTS/.exec(last ?? "")?.[1]) >= count;
  };
  return until(`message ${count}`, areThere, patience).catch((cause) => {
    throw new Error(`${String(cause)}; last: ${last}`, { cause });
  });
};
const chatmail = (...words: string[]) =>
  callPlugin([...words, "-n", namespace], { environment: process.env as Record<string, string> });
/** Owner, mode, time in seconds, size and name of each mail. */
const listing = async () => {
  const stat = ["-exec", "stat", "-c", "%U %G %a %Y %s %n", "{}", "+"];
  const find = ["find", "/var/lib/chatmail/mail", "-path", "*/cur/*", ...stat];
  return (await podOf(name).exec("relay", ...find)).trim().split("\n");
};

beforeAll(async () => {
  await operatorIsInstalled();
  await removeServer(name);
  const { items } = await kubectlJson<{ items: { provisioner: string; metadata: { annotations?: object } }[] }>([
    "get",
    "storageclass",
  ]);
  const [standard] = items.filter(({ metadata }) =>
    JSON.stringify(metadata.annotations ?? {}).includes("is-default-class"),
  );
  await apply({
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: { name: className },
    provisioner: standard?.provisioner,
    volumeBindingMode: "WaitForFirstConsumer",
  });
  await apply(serverObject(name, { domain, accounts: onAnyLoad }));
  await serverReady(name);
  await send();
  await arrived(1);
  // enough that the copy can be interrupted in the middle
  const fill = "cd /var/lib/chatmail/mail && head -c 400000000 /dev/urandom > filling";
  await podOf(name).exec("relay", "sh", "-c", fill);
});

afterAll(async () => {
  await removeServer(name);
  await inNamespace("delete", "pvc", "-l", `chatmail.dev/server=${name}`, "--wait=false");
  await kubectl(["delete", "storageclass", className, "--ignore-not-found"]);
});

test("to another class: mail and password are there, also of mail that came during the copy", async () => {
  const before = await listing();
  const moving = chatmail("move-volume", name, "--class", className);
  const copying = async () => {
    const { items } = await kubectlJson<{ items: { metadata: { name: string }; status: { phase: string } }[] }>([
      ...["-n", namespace, "get", "pod", "-l", `chatmail.dev/server=${name},chatmail.dev/component=move`],
    ]);
    return items.find(({ status }) => status.phase === "Running")?.metadata.name;
  };
  const pod = await until("the copy to run", copying, patience);
  await inNamespace("delete", "pod", pod, "--grace-period=0", "--force");
  await send();
  const called = await moving;
  expect(called.err).toContain("the relay is stopped");
  expect(called).toMatchObject({
    code: 0,
    out: expect.stringContaining(`${name} is on claim ${name}-data-2`) as string,
  });
  await serverReady(name);
  await arrived(2);
  expect(await listing()).toEqual(expect.arrayContaining(before));
  const claim = await theObject<{ spec: { storageClassName: string } }>(namespace, `pvc/${name}-data-2`);
  expect(claim.spec.storageClassName).toBe(className);
  expect((await getServer(name)).status?.storage?.claimName).toBe(`${name}-data-2`);
});

test("the old volume is there until it is confirmed, and nothing refers to it then", async () => {
  await theObject(namespace, `pvc/${name}-data`);
  expect((await chatmail("move-volume", name, "--confirm")).out).toContain(`deleted claim ${name}-data`);
  const isGone = async () => !(await inNamespace("get", "pvc", "-o", "name")).includes(`/${name}-data\n`);
  await until("the old claim to be gone", isGone, patience);
  expect((await getServer(name)).metadata.annotations?.[annotations.moveVolume]).toBeUndefined();
  await inNamespace("delete", "pod", `${name}-0`);
  await serverReady(name);
  await arrived(2);
});
