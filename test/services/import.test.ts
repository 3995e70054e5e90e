/**
 * A relay of cmdeploy is brought over by `kubectl chatmail import`: its files by what is known of
 * its layout, a real API server with the operator, and a relay pod with real Dovecot and Postfix,
 * whose exec the test plays. People go on with their old passwords, and mail is signed with the old
 * key.
 */
import { once } from "node:events";
import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { labels } from "../../src/api/names.ts";
import { publicDkimKey } from "../../src/dns/dkim-key.ts";
import { recordsOf } from "../../src/dns/records.ts";
import { zoneText } from "../../src/dns/zone-text.ts";
import { ports } from "../../src/mail/ports.ts";
import { textsIn } from "../../src/operator/identity/secret.ts";
import { rsaKey } from "../../src/pod/dkim.ts";
import { newAccount } from "../helpers/accounts.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { type Ended, type Exec, execProxy } from "../helpers/exec-server.ts";
import { ForeignRelay } from "../helpers/foreign-relay.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { encryptedMessage, randomName } from "../helpers/messages.ts";
import {
  base64,
  type LiveSecret,
  namespace,
  OperatorCluster,
  type RunningOperator,
} from "../helpers/operator-cluster.ts";
import { callPlugin } from "../helpers/plugin.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { namesUp } from "../lab/lab.ts";
import { publishZone, removeZone } from "../lab/names.ts";

const missing = apiServerIsMissing();
if (missing) console.warn(`skipped: ${missing}`);

const name = "moved";
const domain = "_moved.example";
const otherDomain = "_moved-other.example";
const patience = { patienceMs: patienceMs.mail, everyMs: 100 };
const alicesPassword = "alice's own password";
const token = "openpgp:aliceDevice";

describe.skipIf(missing !== undefined)("a relay of cmdeploy", () => {
  const folder = mkdtempSync(join(tmpdir(), "import-"));
  const foreign = new ForeignRelay(join(folder, "old"), domain);
  let [alice, carol, friend] = ["", "", ""];
  let pod: RelayPod;
  let other: RelayPod;
  let cluster: OperatorCluster;
  let operator: RunningOperator;
  let proxy: Awaited<ReturnType<typeof execProxy>>;

  /** As the kubelet runs it. */
  async function runInPod({ command, input, write }: Exec): Promise<Ended> {
    const child = pod.pipe("relay", command);
    input.pipe(child.stdin);
    // it may end before all is written
    child.stdin.on("error", () => undefined);
    const ended = once(child, "close") as Promise<[number]>;
    const stderr = textOf(child.stderr);
    for await (const chunk of child.stdout) await write(chunk as Buffer);
    const [code] = await ended;
    return { code, stderr: await stderr };
  }

  const chatmail = async (...words: string[]) => {
    const environment = { KUBECONFIG: join(folder, "kubeconfig") };
    const called = await callPlugin([...words, "--from-directory", foreign.root], { environment });
    expect(called).toMatchObject({ code: 0 });
    return called;
  };

  beforeAll(async () => {
    await namesUp();
    alice = foreign.account("alice1234", {
      password: alicesPassword,
      files: { "metadata.json": JSON.stringify({ devicetoken: { [token]: Math.floor(Date.now() / 1000) - 60 } }) },
      mails: [
        { text: "Subject: [...]\r\n\r\nthe first\r\n", flags: "S" },
        { text: "Subject: [...]\r\n\r\nthe second\r\n", flags: "" },
        { text: "Subject: [...]\r\n\r\nanswered\r\n", folder: ".DeltaChat", flags: "RS" },
      ],
    });
    carol = foreign.account("carol1234", { mails: [{ text: "Subject: [...]\r\n\r\nblocked\r\n" }] });
    [pod, other, cluster] = await Promise.all([
      startRelayPod({ domain }),
      startRelayPod({ domain: otherDomain }),
      OperatorCluster.open(),
    ]);
    // the key of the old relay is the only one in the DNS
    const key = publicDkimKey(foreign.dkimPem);
    const keys = key ? [{ selector: "opendkim", key }] : [];
    const sets = recordsOf({ domain, addresses: [pod.host], keys });
    await publishZone(domain, zoneText({ domain, sets, reverse: [], ttlSeconds: 1 }));
    await publishZone(otherDomain, other.zone);
    friend = await newAccount(other);
    // the key that the pod signs with is the server's first one
    const data = { [rsaKey.file]: base64(pod.dkimKeyPem) };
    await cluster.makeSecret(`${name}-dkim`, "Opaque", data, { labels: { [labels.server]: name } });
    operator = cluster.startOperator();
    await cluster.makeServer(name, { domain, dns: { mode: "None" } });
    await cluster.setUp(name);
    await cluster.bringUp(name);
    proxy = await execProxy(cluster.server, runInPod);
    const kubeconfig = {
      clusters: [{ name: "it", cluster: { server: proxy.url, "insecure-skip-tls-verify": true } }],
      users: [{ name: "me", user: { token: "t" } }],
      contexts: [{ name: "it", context: { cluster: "it", user: "me", namespace } }],
      "current-context": "it",
    };
    writeFileSync(join(folder, "kubeconfig"), JSON.stringify(kubeconfig));
  });
  afterAll(async () => {
    proxy?.close();
    await operator?.stop();
    await cluster?.close();
    await Promise.all([pod?.remove(), other?.remove()]);
    for (const zone of [domain, otherDomain]) await removeZone(zone);
    rmSync(folder, { recursive: true, force: true });
  });

  const keysNow = async () => textsIn(await cluster.get<LiveSecret>("secrets", `${name}-dkim`));
  const inbox = async () => {
    const client = await ImapClient.ready(pod.at(ports.imaps), alice, alicesPassword);
    return { client, selected: await client.say("SELECT INBOX") };
  };

  test("the plan says what would be done, and nothing is", async () => {
    const { out } = await chatmail("import", name, "--dry-run");
    expect(out).toMatch(/^accounts: +2; 2 new here; 1 without a password/m);
    expect(out).toMatch(/^mails: +4; 4 to copy/m);
    expect(out).toMatch(/^DKIM: +selector opendkim signs in place of chatmail$/m);
    expect(Object.keys(await keysNow())).not.toContain("opendkim.pem");
    expect((await pod.exec("relay", "ls", "/var/lib/chatmail/mail")).trim()).toBe("");
  });

  test("people log in as before, and find their mail with its flags and UIDs", async () => {
    const { out } = await chatmail("import", name);
    expect(out).toMatch(/^2 accounts \(2 new\); 4 mails copied/);
    const { client, selected } = await inbox();
    expect(selected.untagged.join("\n")).toContain("UIDVALIDITY 1790000000");
    const fetched = (await client.say("UID FETCH 1:* (UID FLAGS)")).untagged.join("\n");
    expect(fetched).toMatch(/UID 7 FLAGS \(\\Seen\)/);
    expect(fetched).toMatch(/UID 17 FLAGS \(\)/);
    expect((await client.messages()).join("\n")).toMatch(/the first.*the second/s);
    expect((await client.say('GETMETADATA "INBOX" /private/devicetoken')).untagged.join("\n")).toContain(token);
    await client.say("SELECT DeltaChat");
    expect((await client.say("FETCH 1:* (FLAGS)")).untagged.join("\n")).toMatch(/\\Answered \\Seen/);
    await client.logout();
    const again = await ImapClient.open(pod.at(ports.imaps));
    expect(await again.login(alice, "another password")).toMatchObject({ status: "NO" });
    // the mail of somebody who was blocked is nobody's
    expect(await again.login(carol, "a new password")).toMatchObject({ status: "NO" });
    await again.logout();
  });

  test("mail is signed with the old key, and the operator takes that for its own", async () => {
    const texts = await keysNow();
    expect(Object.keys(texts)).toContain("opendkim.pem");
    pod.giveKeys(texts);
    await until(
      "the pod to sign with it",
      async () => {
        const status = await (await fetch(`http://${pod.host}:${ports.health}/status`)).json();
        return (status as { signing: Record<string, string[]> }).signing[domain]?.join() === "opendkim";
      },
      patience,
    );
    const mark = randomName(12);
    const client = await SmtpClient.ready(pod.at(ports.submissions), alice, alicesPassword);
    const data = encryptedMessage({ from: alice, to: [friend], headers: { "Chat-Mark": mark } });
    expect(await client.send({ from: alice, to: [friend], data })).toMatchObject({ code: 250 });
    await client.quit();
    const theirs = await ImapClient.ready(other.at(ports.imaps), friend, "correct horse");
    await theirs.say("SELECT INBOX");
    const arrived = async () => {
      await theirs.say("NOOP");
      return (await theirs.messages()).some((mail) => mail.includes(mark));
    };
    await until("the mail, which is verified by that key", arrived, patience);
    await theirs.logout();
    const keyIsThere = async () => {
      const { dkim } = await cluster.statusOf(name);
      return dkim?.keys?.map(({ selector, state }) => `${selector} ${state}`).join() === "opendkim Active";
    };
    await until("the status to have the key", keyIsThere, patience);
    expect(await cluster.condition(name, "Stalled")).not.toMatchObject({ status: "True" });
  });

  test("a second pass into the relay that runs brings what has changed to a client that waits", async () => {
    const { client } = await inbox();
    const before = (await client.say("UID FETCH 1:* (UID)")).untagged.length;
    foreign.mail(alice, { text: "Subject: [...]\r\n\r\nthe third\r\n", isNew: true });
    const home = foreign.home(alice);
    const unseen = readdirSync(join(home, "cur")).find((each) => each.endsWith(":2,")) ?? "";
    renameSync(join(home, "cur", unseen), join(home, "cur", `${unseen}F`));
    const { out } = await chatmail("import", name);
    expect(out).toMatch(/1 mail copied/);
    const flagged = async () => (await client.say("UID FETCH 17 (FLAGS)")).untagged.join().includes("\\Flagged");
    await until("the flag and the mail", async () => {
      await client.say("NOOP");
      return (await client.say("UID FETCH 1:* (UID)")).untagged.length === before + 1 && (await flagged());
    });
    expect((await client.messages()).join("\n")).toContain("the third");
    await client.logout();
    expect((await chatmail("import", name)).out).toMatch(/^2 accounts; 0 mails copied/);
  });
});
