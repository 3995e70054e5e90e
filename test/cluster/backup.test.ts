/**
 * A relay is backed up into a real S3 server, by TLS with an authority of its own; deleted with its
 * volume and its keys, and restored: two Delta Chat cores go on, and nobody tells them.
 */
import { createWriteStream } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { WrittenServer } from "../../src/api/chatmail-server.ts";
import { s3Destination } from "../../src/backup/s3.ts";
import type { KubeObject } from "../../src/kube/object.ts";
import { domainFolder, folders } from "../../src/pod/layout.ts";
import { onAnyLoad } from "../helpers/accounts.ts";
import { DeltaChatClient } from "../helpers/delta-chat.ts";
import { apply, kubectl, objectIn, theObject } from "../helpers/kubectl.ts";
import { callPlugin } from "../helpers/plugin.ts";
import { type S3Server, s3ServerIsMissing, startS3Server } from "../helpers/s3-server.ts";
import {
  freshServer,
  getServer,
  namespace,
  operatorIsInstalled,
  patchServer,
  podOf,
  publishNames,
  removeServer,
  serverObject,
  serverReady,
} from "../helpers/servers.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { removeZone } from "../lab/names.ts";
import { addresses, privatePeers } from "../lab/place.ts";

const missing = s3ServerIsMissing();
if (missing !== undefined) console.warn(`skipped: ${missing}`);

describe.skipIf(missing !== undefined)("a relay and its backup", () => {
  const [name, domain] = ["kept", "_kept.test"];
  const secrets = { store: "kept-s3", key: "kept-age" };
  const authority = "kept-authority";
  let s3: S3Server;
  let folder: string;
  let spec: Record<string, unknown>;
  let restore: Record<string, unknown>;
  let before: WrittenServer;
  let keys: Record<string, unknown>;
  let backupName = "";
  let [ada, ben] = [] as unknown as [DeltaChatClient, DeltaChatClient];
  let chats: { mine: number; theirs: number };

  const inNamespace = (...args: string[]) => kubectl(["-n", namespace, ...args]);
  const secret = (of: string, stringData: Record<string, string>) =>
    apply({ apiVersion: "v1", kind: "Secret", metadata: { name: of, namespace }, stringData });
  const plugin = async (...words: string[]) => {
    const { KUBECONFIG = "" } = process.env;
    const { code, out, err } = await callPlugin(["-n", namespace, ...words], { environment: { KUBECONFIG } });
    if (code !== 0) throw new Error(`${words.join(" ")}: code ${code}: ${err}`);
    return out;
  };
  /** What clients and other relays know a relay by. */
  const keysOf = async () => {
    const dataOf = async (of: string) => (await theObject<KubeObject & { data: unknown }>(namespace, of)).data;
    return {
      certificate: await dataOf(`secret/${name}-tls`),
      dkim: await dataOf(`secret/${name}-dkim`),
      invites: await dataOf(`secret/${name}-invites`),
    };
  };
  const backupIs = (reason: string) =>
    until(
      `BackupReady to be ${reason}`,
      async () => {
        const { status } = await getServer(name);
        return status?.conditions?.some((each) => each.type === "BackupReady" && each.reason === reason) && status;
      },
      { patienceMs: patienceMs.pod, everyMs: 100 },
    );
  const mailbox = async (client: DeltaChatClient) =>
    podOf(name).exec("relay", "ls", `${domainFolder(folders.mail, domain)}/${await client.address()}/new`);

  beforeAll(async () => {
    await operatorIsInstalled();
    folder = await mkdtemp(join(tmpdir(), "chatmail-kept-"));
    s3 = await startS3Server(addresses.gateway, { tls: true });
    const identity = await generateIdentity();
    await writeFile(join(folder, "age.key"), `${identity}\n`, { mode: 0o600 });
    const { endpoint, bucket, accessKeyId, secretAccessKey } = s3.options;
    await secret(secrets.store, { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey });
    await secret(secrets.key, { identity });
    const data = { "ca.crt": s3.authority };
    await apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: authority, namespace }, data });
    const caBundle = { configMapName: authority };
    const to = { endpoint, bucket, credentialsSecretName: secrets.store, caBundle };
    restore = { s3: to, ageIdentitySecretName: secrets.key };
    const backup = {
      contents: "All",
      destination: { s3: to },
      encryption: { ageRecipients: [await identityToRecipient(identity)] },
      drill: { ageIdentitySecretName: secrets.key },
    };
    spec = { domain, network: { privatePeers }, backup };
    [before, ada, ben] = await Promise.all([
      freshServer(name, spec),
      DeltaChatClient.start("Ada"),
      DeltaChatClient.start("Ben"),
    ]);
    for (const each of [ada, ben]) await each.join(before.status?.invite?.link ?? "");
    spec.accounts = { ...onAnyLoad, registration: "Invite" };
    await patchServer(name, { accounts: spec.accounts });
    chats = await ada.meet(ben);
    before = await serverReady(name);
    keys = await keysOf();
  });
  afterAll(async () => {
    await Promise.all([ada?.stop(), ben?.stop()]);
    await removeServer(name);
    await inNamespace("delete", "secret", ...Object.values(secrets), "--ignore-not-found");
    await inNamespace("delete", "configmap", authority, "--ignore-not-found");
    await removeZone(domain);
    await s3?.stop();
    if (folder) await rm(folder, { recursive: true });
  });

  test("a run saves accounts, keys, and a message that waits for its reader", async () => {
    await ben.rpc.stopIo(ben.account);
    await ada.say(chats.mine, "before the loss");
    await until("the message to wait", async () => (await mailbox(ben)) !== "", { patienceMs: patienceMs.mail });
    expect(await plugin("backup", name)).toMatch(/accounts: +2\n/);
    const { backup } = await backupIs("BackupMade");
    expect(backup).toMatchObject({ accounts: 2 });
    expect(backup?.messages).toBeGreaterThan(0);
    backupName = backup?.name ?? "";
  });

  test("a drill reads it with the key", async () => {
    await inNamespace("create", "job", `${name}-drill-now`, `--from=cronjob/${name}-backup-drill`);
    const drilled = async () => (await getServer(name)).status?.backup?.drill;
    const drill = await until("the drill", drilled, { patienceMs: patienceMs.pod, everyMs: 100 });
    expect(drill).toMatchObject({ name: backupName, accounts: 2 });
  });

  test("deleted with its volume and keys, it is restored under its domain", async () => {
    await removeServer(name);
    for (const what of [`pvc/${name}-data`, `secret/${name}-dkim`])
      expect(await objectIn(namespace, what)).toBe(undefined);
    const file = join(folder, backupName);
    const stored = s3Destination({ ...s3.options, authority: s3.authority, prefix: `${domain}/` });
    await pipeline(Readable.fromWeb((await stored.read(backupName)) as never), createWriteStream(file));
    await plugin("restore", name, file, "--identity", join(folder, "age.key"));
    await apply(serverObject(name, { ...spec, bootstrap: { restore } }));
    const after = await serverReady(name);
    await publishNames(after);
    expect(await keysOf()).toEqual(keys);
    const signing = ({ status }: WrittenServer) =>
      status?.dkim?.keys?.map(({ selector, fingerprint, state }) => ({ selector, fingerprint, state }));
    expect(signing(after)).toEqual(signing(before));
    expect(after.status?.invite).toEqual(before.status?.invite);
  });

  test("the clients log in as before, find what waited, and write to each other", async () => {
    await ben.rpc.startIo(ben.account);
    await ben.has("before the loss");
    await ada.say(chats.mine, "after the loss");
    await ben.has("after the loss");
    await ben.say(chats.theirs, "an answer");
    await ada.has("an answer");
    for (const [client, text] of [
      [ben, "before the loss"],
      [ben, "after the loss"],
      [ada, "an answer"],
    ] as const)
      expect(await client.count(text)).toBe(1);
  });

  test("lost again, it comes back from a file that was fetched by the plugin", async () => {
    await ben.rpc.stopIo(ben.account);
    await ada.say(chats.mine, "before the second loss");
    await until("the message to wait", async () => (await mailbox(ben)) !== "", { patienceMs: patienceMs.mail });
    const file = join(folder, "kept.age");
    expect(await plugin("backup", name, "--to", file)).toMatch(/accounts: +2\n/);
    await removeServer(name);
    const restoring = () => plugin("restore", name, file, "--identity", join(folder, "age.key"));
    expect(await restoring()).toContain("Secret kept-dkim");
    await apply(serverObject(name, { ...spec, bootstrap: { restore: { upload: true } } }));
    expect(await restoring()).toMatch(/^accounts of _kept\.test of \S+: 2, with \d+ files\n/);
    await publishNames(await serverReady(name));
    expect(await keysOf()).toEqual(keys);
    await ben.rpc.startIo(ben.account);
    await ben.has("before the second loss");
    await expect(restoring()).rejects.toThrow("nothing is restored: the volume of kept has accounts already");
  });
});
