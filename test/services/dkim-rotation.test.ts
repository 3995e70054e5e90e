/**
 * Two rotations of DKIM keys while mail flows: a relay pod whose keys the operator rotates (against
 * a real API server; the test is its kubelet, its clock, and the person who publishes the records),
 * another relay, and a classic mail server with OpenDKIM. Both verify every mail.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { annotations, chatmailServer, labels } from "../../src/api/names.ts";
import { messageOf } from "../../src/lib/text.ts";
import { ports } from "../../src/mail/ports.ts";
import { Rotation } from "../../src/operator/identity/rotation.ts";
import { textsIn } from "../../src/operator/identity/secret.ts";
import { DomainNames } from "../../src/operator/tasks/dns.ts";
import { rotationFile, rsaKey } from "../../src/pod/dkim.ts";
import { newAccount, password } from "../helpers/accounts.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { type ClassicServer, startClassicServer } from "../helpers/classic-server.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { encryptedMessage, randomName } from "../helpers/messages.ts";
import { base64, type LiveSecret, OperatorCluster, type RunningOperator } from "../helpers/operator-cluster.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { namesUp } from "../lab/lab.ts";
import { nameServer, publishZone, removeZone } from "../lab/names.ts";
import { needPackages } from "../lab/packages.ts";

const missing = apiServerIsMissing() ?? (await needPackages(["opendkim"]).then(() => undefined, messageOf));
if (missing !== undefined && process.env.REQUIRE_ALL === "1") throw new Error(missing);
if (missing !== undefined) console.warn(`SKIPPED: rotation of DKIM keys with real relays. ${missing}`);

/** Not under .test: see classic-server.test.ts. */
const classicDomain = "_rotation-classic.example";
const carol = `carol@${classicDomain}`;
const name = "turning";
const patience = { patienceMs: patienceMs.mail, everyMs: 100 };
const dayMs = 86_400_000;
const ttlSeconds = 30;

describe.skipIf(missing !== undefined)("two rotations", () => {
  let turning: RelayPod;
  let other: RelayPod;
  let classic: ClassicServer;
  let cluster: OperatorCluster;
  let operator: RunningOperator;
  let [alice, bob] = ["", ""];
  let now = new Date();

  beforeAll(async () => {
    await namesUp();
    const often = { spec: { accounts: { sendBurst: 1_000, sendRatePerMinute: 6_000 } } };
    [turning, other, classic, cluster] = await Promise.all([
      startRelayPod({ domain: "_turning.example", ...often }),
      startRelayPod({ domain: "_rotation-other.example" }),
      startClassicServer(classicDomain),
      OperatorCluster.open(),
    ]);
    for (const each of [turning, other]) await publishZone(each.domain, each.zone);
    await publishZone(classicDomain, classic.zone);
    [alice, bob] = [await newAccount(turning), await newAccount(other)];
    // the keys of the relay that runs
    const texts = { [rsaKey.file]: turning.dkimKeyPem };
    await cluster.makeSecret(
      `${name}-dkim`,
      "Opaque",
      { [rsaKey.file]: base64(turning.dkimKeyPem) },
      {
        labels: { [labels.server]: name },
      },
    );
    turning.giveKeys(texts);
    operator = cluster.startOperator({
      now: () => now,
      worldOf: (made) => ({ ...made, names: new DomainNames({ resolvers: [nameServer], now: () => new Date() }) }),
    });
    await cluster.makeServer(name, {
      domain: turning.domain,
      network: { addresses: ["203.0.113.9"] },
      dns: { ttlSeconds },
      dkim: { algorithms: ["RSA2048"] },
    });
    await cluster.setUp(name);
    await cluster.bringUp(name);
    await cluster.setStatus("pods", `${name}-0`, { podIP: turning.host, podIPs: [{ ip: turning.host }] });
  });
  afterAll(async () => {
    await operator?.stop();
    await cluster?.close();
    await Promise.all([turning?.remove(), other?.remove(), classic?.remove()]);
    for (const zone of [classicDomain, "_turning.example", "_rotation-other.example"]) await removeZone(zone);
  });

  const texts = async () => textsIn(await cluster.get<LiveSecret>("secrets", `${name}-dkim`));
  const states = async () => {
    const text = (await texts())[rotationFile];
    if (text === undefined) return "Active chatmail";
    const { sets } = Rotation.parse(JSON.parse(text));
    return sets
      .map(({ state, selectors, keptUntil }) => `${state} ${selectors.join()}${keptUntil ? " until" : ""}`)
      .join("; ");
  };
  const statesAre = (wanted: string) =>
    until(`the keys to be ${wanted}`, async () => (await states()) === wanted, patience).catch(async (cause) => {
      const { dkim } = await cluster.statusOf(name);
      throw new Error(`${String(cause)}; ${await states()}; ${JSON.stringify(dkim)}`, { cause });
    });
  const annotate = (given: Record<string, string>) =>
    cluster.change(chatmailServer.plural, name, { metadata: { annotations: given } });
  const later = async (ms: number) => {
    now = new Date(now.getTime() + ms);
    await annotate({ "test/time": now.toISOString() });
  };
  /** Plays the kubelet: what the Secret has is what the pod sees, and the pod object changes. */
  const mount = async () => {
    turning.giveKeys(await texts());
    await cluster.change("pods", `${name}-0`, { metadata: { annotations: { "test/mounted": randomName(9) } } });
  };
  /** Plays the person: the records of all keys that the status lists, and nothing else. */
  const publishKeys = async () => {
    const { keys = [] } = (await cluster.statusOf(name)).dkim ?? {};
    const addresses = turning.zone.split("\n").filter((line) => !line.includes("_domainkey"));
    const records = keys.flatMap(({ record }) => (record ? [`${record.name} TXT ( ${record.value} )`] : []));
    await publishZone(turning.domain, [...addresses, ...records].join("\n"));
  };
  const signsWith = (selector: string) =>
    until(
      `the pod to sign with ${selector}`,
      async () => {
        const status = await (await fetch(`http://${turning.host}:${ports.health}/status`)).json();
        return (status as { signing: Record<string, string[]> }).signing[turning.domain]?.join() === selector;
      },
      patience,
    );

  /** Marks of the mails that were sent, by whom they were sent to. */
  const sent = { bob: [] as string[], carol: [] as string[] };
  async function send(count = 3): Promise<void> {
    const client = await SmtpClient.ready(turning.at(ports.submissions), alice, password);
    for (let nth = 0; nth < count; nth++)
      for (const [who, to] of [
        ["bob", bob],
        ["carol", carol],
      ] as const) {
        const mark = randomName(12);
        const data = encryptedMessage({ from: alice, to: [to], headers: { "Chat-Mark": mark } });
        expect(await client.send({ from: alice, to: [to], data })).toMatchObject({ code: 250 });
        sent[who].push(mark);
      }
    await client.quit();
  }
  /** Selectors of the signatures of the mails to Carol, in the order in which they were sent. */
  async function allHaveArrived(): Promise<string[]> {
    const inbox = await ImapClient.ready(other.at(ports.imaps), bob, password);
    await inbox.say("SELECT INBOX");
    const lacking = (mails: readonly string[], marks: readonly string[]) =>
      marks.filter((mark) => !mails.some((mail) => mail.includes(mark)));
    let [mails, bobs]: [string[], string[]] = [[], []];
    const arrived = async () => {
      await inbox.say("NOOP");
      [bobs, mails] = [await inbox.messages(), await classic.mails(carol)];
      return lacking(bobs, sent.bob).length + lacking(mails, sent.carol).length === 0;
    };
    await until("every mail", arrived, patience).catch(async (cause) => {
      throw new Error(`${String(cause)}\n${await turning.logs("postfix")}\n${await classic.logs()}`, { cause });
    });
    await inbox.logout();
    return sent.carol.map((mark) => {
      const mail = mails.find((each) => each.includes(mark)) ?? "";
      expect(mail).toMatch(/^Authentication-Results: \S+;\s+dkim=pass .*header\.d=_turning\.example/m);
      return /\bs=([^;\s]+)/.exec(mail)?.[1] ?? "";
    });
  }

  test("every mail is verified by another relay and by OpenDKIM, whatever the rotation is at", async () => {
    await send();
    const used = ["chatmail"];
    for (const request of ["1", "2"]) {
      const old = used.at(-1) ?? "";
      await annotate({ [annotations.rotateDkim]: request });
      const date = now.toISOString().slice(0, 10).replaceAll("-", "");
      const fresh = `chatmail-${date}`;
      used.push(fresh);

      await statesAre(`Active ${old}; Publishing ${fresh}`);
      await until(
        "the status to say what is awaited",
        async () => /until you publish its record/.test((await cluster.statusOf(name)).dkim?.message ?? ""),
        patience,
      );
      await mount();
      await send();
      await publishKeys();
      await statesAre(`Active ${old}; Published ${fresh}`);
      await mount();
      await send();
      await later(2 * ttlSeconds * 1_000);
      await statesAre(`Retiring ${old}; Active ${fresh}`);
      // the kubelet has not mounted it yet, so the pod goes on with the key before
      await send();
      expect(await states()).toBe(`Retiring ${old}; Active ${fresh}`);
      await mount();
      await signsWith(fresh);
      await send();
      // it is asked when its pod changes
      await mount();
      await statesAre(`Retiring ${old} until; Active ${fresh}`);
      await send();
      await allHaveArrived();
      await later(8 * dayMs);
      await statesAre(`Active ${fresh}`);
      await publishKeys();
      await mount();
      await send();
    }
    const selectors = await allHaveArrived();
    expect([...new Set(selectors)]).toEqual(used);
    expect(selectors.length).toBe(39);
  });
});
