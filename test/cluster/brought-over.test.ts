/**
 * A relay of cmdeploy lies on a volume as its administrator has copied it. A new server begins with
 * it, is backed up onto another volume, lost, and restored from there.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { labels } from "../../src/api/names.ts";
import { ports } from "../../src/mail/ports.ts";
import { onAnyLoad } from "../helpers/accounts.ts";
import { ForeignRelay } from "../helpers/foreign-relay.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { apply, kubectl, objectIn } from "../helpers/kubectl.ts";
import { encryptedMessage } from "../helpers/messages.ts";
import { callPlugin } from "../helpers/plugin.ts";
import {
  getServer,
  namespace,
  operatorIsInstalled,
  podOf,
  publishNames,
  removeServer,
  serverObject,
  serverReady,
  testImages,
} from "../helpers/servers.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { removeZone } from "../lab/names.ts";
import { privatePeers } from "../lab/place.ts";

const name = "brought";
const domain = "_brought.test";
const password = "alice's own password";
const claims = { old: "brought-old-relay", spare: "brought-spare" };
/** A pod with both volumes, into which an administrator copies. */
const carrier = "brought-carrier";
const ageSecret = "brought-age";
const patience = { patienceMs: patienceMs.pod, everyMs: 100 };

let folder: string;
let foreign: ForeignRelay;
let alice: string;
let carol: string;
let spec: Record<string, unknown>;
let identity: string;
let backupName = "";

const inNamespace = (...args: string[]) => kubectl(["-n", namespace, ...args]);
const inCarrier = (...command: string[]) => inNamespace("exec", carrier, "--", ...command);
const plugin = async (...words: string[]) => {
  const { KUBECONFIG = "" } = process.env;
  const { code, out, err } = await callPlugin(["-n", namespace, ...words], { environment: { KUBECONFIG } });
  if (code !== 0) throw new Error(`${words.join(" ")}: code ${code}: ${err}`);
  return out;
};
const at = async (port: number) => ({ host: (await getServer(name)).status?.addresses?.[0]?.value ?? "", port });
const inbox = async () => {
  const client = await ImapClient.ready(await at(ports.imaps), alice, password);
  const { untagged } = await client.say("SELECT INBOX");
  return { client, selected: untagged.join("\n") };
};
const countedInbox = async () => {
  const { client, selected } = await inbox();
  await client.logout();
  return selected;
};
const says = (type: string, reason: string) =>
  until(
    `${type} to be ${reason}`,
    async () =>
      (await getServer(name)).status?.conditions?.find((each) => each.type === type && each.reason === reason),
    patience,
  );

function claim(of: string) {
  const resources = { requests: { storage: "1Gi" } };
  const metadata = { name: of, namespace };
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata,
    spec: { accessModes: ["ReadWriteOnce"], resources },
  };
}

beforeAll(async () => {
  await operatorIsInstalled();
  await removeServer(name);
  folder = mkdtempSync(join(tmpdir(), "chatmail-brought-"));
  foreign = new ForeignRelay(join(folder, "old"), domain);
  alice = foreign.account("alice1234", {
    password,
    lastLogin: "2026-10-31",
    mails: [
      { text: "Subject: [...]\r\n\r\nthe first\r\n", flags: "S" },
      { text: "Subject: [...]\r\n\r\nthe second\r\n", flags: "" },
      { text: "Subject: [...]\r\n\r\nanswered\r\n", folder: ".DeltaChat", flags: "RS" },
    ],
  });
  carol = foreign.account("carol1234", { mails: [{ text: "Subject: [...]\r\n\r\nblocked\r\n" }] });
  identity = await generateIdentity();
  writeFileSync(join(folder, "age.key"), `${identity}\n`, { mode: 0o600 });
  const { out } = await callPlugin(["import", name, "--from-directory", foreign.root, "--spec"]);
  spec = (parse(out) as { spec: Record<string, unknown> }).spec;
  spec.accounts = { ...(spec.accounts as object | undefined), ...onAnyLoad };
  spec.network = { privatePeers };
  const mounts = Object.values(claims).map((each) => ({ name: each, mountPath: `/${each}` }));
  await apply(...Object.values(claims).map(claim), {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: carrier, namespace },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: "carrier",
          image: testImages().relay,
          imagePullPolicy: "Never",
          command: ["sleep", "infinity"],
          securityContext: { runAsUser: 0 },
          volumeMounts: mounts,
        },
      ],
      volumes: Object.values(claims).map((each) => ({ name: each, persistentVolumeClaim: { claimName: each } })),
    },
  });
  await inNamespace("wait", "--for=condition=Ready", `pod/${carrier}`, `--timeout=${patienceMs.pod / 1000}s`);
  const files = execFileSync("tar", ["-C", foreign.root, "-cf", "-", "."], { maxBuffer: 2 ** 26 });
  await kubectl(["-n", namespace, "exec", "-i", carrier, "--", "tar", "-C", `/${claims.old}`, "-xf", "-"], files);
});
afterAll(async () => {
  await removeServer(name);
  await inNamespace("delete", "pod", carrier, "--ignore-not-found", "--wait");
  await inNamespace("delete", "pvc", ...Object.values(claims), "--ignore-not-found", "--wait=false");
  await inNamespace("delete", "secret", ageSecret, "--ignore-not-found");
  await removeZone(domain);
  if (folder) rmSync(folder, { recursive: true });
});

test("files that the pod may not read are named, and nobody can take an address meanwhile", async () => {
  const metadata = { name: `${name}-dkim`, namespace, labels: { [labels.server]: name } };
  await apply(
    { apiVersion: "v1", kind: "Secret", metadata, stringData: { "opendkim.pem": foreign.dkimPem } },
    serverObject(name, { ...spec, bootstrap: { import: { volumeClaim: { name: claims.old } } } }),
  );
  const { message } = await says("PodReady", "RestoreFailed");
  expect(message).toMatch(/permission denied.+: user 5000, as which this runs, must be able to read all/);
});

test("once it may, the server begins with accounts, mail and key of the other relay", async () => {
  await inCarrier("chown", "-R", "5000:5000", `/${claims.old}`);
  const server = await serverReady(name);
  await publishNames(server);
  expect(server.status?.dkim?.keys?.map(({ selector, state }) => `${selector} ${state}`)).toEqual(["opendkim Active"]);
  const { client, selected } = await inbox();
  expect(selected).toContain("UIDVALIDITY 1790000000");
  const fetched = (await client.say("UID FETCH 1:* (UID FLAGS)")).untagged.join("\n");
  expect(fetched).toMatch(/UID 7 FLAGS \(\\Seen\)/);
  expect(fetched).toMatch(/UID 17 FLAGS \(\)/);
  expect((await client.messages()).join("\n")).toMatch(/the first.*the second/s);
  await client.say("SELECT DeltaChat");
  expect((await client.say("FETCH 1:* (FLAGS)")).untagged.join("\n")).toMatch(/\\Answered \\Seen/);
  await client.logout();
  const stranger = await ImapClient.open(await at(ports.imaps));
  expect(await stranger.login(alice, "another password")).toMatchObject({ status: "NO" });
  expect(await stranger.login(carol, "a new password")).toMatchObject({ status: "NO" });
  await stranger.logout();
});

test("mail is accepted, and is signed with the key of the other relay", async () => {
  const smtp = await SmtpClient.ready(await at(ports.submissions), alice, password);
  const data = encryptedMessage({ from: alice, to: [alice] });
  expect(await smtp.send({ from: alice, to: [alice], data })).toMatchObject({ code: 250 });
  await smtp.quit();
  await until("the third mail", async () => (await countedInbox()).includes("3 EXISTS"), patience);
  const status = `fetch("http://127.0.0.1:${ports.health}/status").then((it) => it.text()).then(console.log)`;
  const { signing } = JSON.parse(await podOf(name).exec("relay", "node", "-e", status)) as { signing: unknown };
  expect(signing).toEqual({ [domain]: ["opendkim"] });
});

test("without bootstrap the volume of the other relay is needed no more", async () => {
  const pod = (await objectIn<{ metadata: { uid: string } }>(namespace, `pod/${name}-0`))?.metadata.uid;
  await inNamespace("patch", "cms", name, "--type=merge", "-p", '{"spec":{"bootstrap":null}}');
  await until(
    "another pod",
    async () => {
      const found = await objectIn<{ metadata: { uid: string } }>(namespace, `pod/${name}-0`);
      return found !== undefined && found.metadata.uid !== pod;
    },
    patience,
  );
  await serverReady(name);
  expect(await countedInbox()).toContain("3 EXISTS");
});

test("a backup is written onto a volume", async () => {
  spec.backup = {
    contents: "All",
    destination: { volumeClaim: { name: claims.spare } },
    encryption: { ageRecipients: [await identityToRecipient(identity)] },
  };
  await inNamespace("patch", "cms", name, "--type=merge", "-p", JSON.stringify({ spec: { backup: spec.backup } }));
  await says("BackupReady", "BackupNotYetMade");
  expect(await plugin("backup", name)).toMatch(/accounts: +2\n/);
  await says("BackupReady", "BackupMade");
  const { backup } = (await getServer(name)).status ?? {};
  expect(backup).toMatchObject({ accounts: 2, messages: 5 });
  backupName = backup?.name ?? "";
});

test("lost with its volume and keys, it is restored from that volume, and people log in as before", async () => {
  await removeServer(name);
  const file = join(folder, backupName);
  await inNamespace("cp", `${carrier}:${claims.spare}/${domain}/${backupName}`, file);
  expect(await plugin("restore", name, file, "--identity", join(folder, "age.key"))).toContain(`Secret ${name}-dkim`);
  await apply({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: ageSecret, namespace },
    stringData: { identity },
  });
  const restore = { volumeClaim: { name: claims.spare }, ageIdentitySecretName: ageSecret };
  await apply(serverObject(name, { ...spec, bootstrap: { restore } }));
  const server = await serverReady(name);
  await publishNames(server);
  expect(server.status?.dkim?.keys?.map(({ selector }) => selector)).toEqual(["opendkim"]);
  const { client, selected } = await inbox();
  expect(selected).toContain("UIDVALIDITY 1790000000");
  expect(selected).toContain("3 EXISTS");
  await client.logout();
  const stranger = await ImapClient.open(await at(ports.imaps));
  expect(await stranger.login(carol, "a new password")).toMatchObject({ status: "NO" });
  await stranger.logout();
  await inNamespace("delete", "secret", ageSecret);
  // the volume is full, so neither the key nor the backup is needed for another pod
  await inNamespace("delete", "pod", `${name}-0`, "--wait");
  await serverReady(name);
  expect(await countedInbox()).toContain("3 EXISTS");
});
