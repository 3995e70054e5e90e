/**
 * The relay's messages to itself: they pass where a user's would, say what fails where they do not,
 * and neither users nor other servers have anything to do with them.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeSelfSigned } from "../../src/certificates/self-signed.ts";
import { makeRsaKey } from "../../src/dns/dkim-key.ts";
import { ports } from "../../src/mail/ports.ts";
import { folders, programs, sockets } from "../../src/pod/layout.ts";
import { planText } from "../../src/pod/plan-of.ts";
import type { Deliverable } from "../../src/relay/probe/policy.ts";
import { newAccount, password, planOnAnyLoad } from "../helpers/accounts.ts";
import { postMail } from "../helpers/https.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { encryptedMessage, randomName } from "../helpers/messages.ts";
import { proxyV1 } from "../helpers/proxy-header.ts";
import { type RelayPod, startRelayPod, tryWaitingMail, waitingMails } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { addresses, privatePeers } from "../lab/place.ts";

/** As often as it may be. */
const probeSeconds = 0.5;
/** Two messages that do not arrive are waited for, half a minute each. */
const longWait = { patienceMs: patienceMs.pod, everyMs: 200 };

async function deliverable(pod: RelayPod): Promise<Record<string, Deliverable>> {
  const answer = await fetch(`http://${pod.host}:${ports.health}/status`);
  return ((await answer.json()) as { deliverable: Record<string, Deliverable> }).deliverable;
}

const delivers = (pod: RelayPod, domain = pod.domain) =>
  until(`messages of ${domain} to itself to arrive`, async () => (await deliverable(pod))[domain]?.status, longWait);

/** What is said where they do not. */
const failure = (pod: RelayPod, domain = pod.domain) =>
  until(
    `messages of ${domain} to itself to fail`,
    async () => {
      const is = (await deliverable(pod))[domain];
      return is?.status === false && is;
    },
    longWait,
  );

/** Samples of the daemon's metrics, by what stands before the number. */
async function metrics(pod: RelayPod): Promise<Map<string, number>> {
  const text = await (await fetch(`http://${pod.host}:${ports.health}/metrics`)).text();
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(lines.map((line) => [line.replace(/ [^ ]+$/, ""), Number(line.replace(/^.* /, ""))]));
}

const delivered = async (pod: RelayPod, labels = "") =>
  (await metrics(pod)).get(`probe_delivery_seconds_count${labels}`) ?? 0;

/** So many more than now. */
async function deliversAgain(pod: RelayPod, more: number): Promise<void> {
  const before = await delivered(pod);
  await until(`${more} more messages`, async () => (await delivered(pod)) >= before + more, longWait);
}

/** Also messages on their way count: between two of them there is a moment without any. */
const emptyQueue = (pod: RelayPod) =>
  until(
    "an empty queue",
    async () => {
      await tryWaitingMail(pod);
      return (await waitingMails(pod)) === 0;
    },
    longWait,
  );

const filesBelow = (folder: string) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true }).filter((each) => each.isFile())
    : [];

describe("a relay that takes nobody new", () => {
  let pod: RelayPod;
  beforeAll(async () => {
    pod = await startRelayPod({
      domain: "_probe.test",
      probeSeconds,
      spec: {
        accounts: {
          registration: "Closed",
          usernameMinLength: 1,
          usernameMaxLength: 64,
          sendRatePerMinute: 1,
          sendBurst: 1,
          // more than any machine has
          refuseNew: { memoryBelow: "1Ti" },
        },
      },
    });
  });
  afterAll(() => pod?.remove());

  test("delivers its messages, and says how long they take", async () => {
    await delivers(pod);
    await deliversAgain(pod, 3);
    const is = (await deliverable(pod))[pod.domain];
    expect(is).toEqual({ status: true, since: expect.stringMatching(/^\d{4}-.*Z$/), latencyMs: expect.any(Number) });
    expect(await pod.logs("relay")).toContain('"msg":"probe message delivered"');
  });

  test("counts none of it among its users', and leaves nothing", async () => {
    await deliversAgain(pod, 2);
    // what the queue and the sessions are at the moment counts all of them, the relay's own, too
    const counted = [...(await metrics(pod))].filter(
      ([name, value]) =>
        value > 0 && !/^(probe_|process_|chatmail_(relay_info|volume_|queue_|imap_sessions))/.test(name),
    );
    expect(counted).toEqual([]);
    const list = await pod.exec("dovecot", "doveadm", "-c", `${folders.dovecotConfig}/dovecot.conf`, "user", "*");
    expect(list).toBe("");
    expect(filesBelow(join(pod.volume("mail"), pod.domain))).toEqual([]);
    expect(existsSync(join(pod.volume("mail"), ".rates.json"))).toBe(false);
    expect(await pod.processes("dovecot", "imap-hibernate")).toBeLessThanOrEqual(1);
    const logs = await pod.logs();
    expect(logs).not.toMatch(/probe~/);
    // each message is removed before the next is sent
    const stored = filesBelow(join(pod.volume("mail"), ".probe")).filter(({ parentPath }) =>
      /\/(cur|new)$/.test(parentPath),
    );
    expect(stored.length).toBeLessThanOrEqual(1);
  });

  test("a clean-up run neither counts nor removes it", async () => {
    await delivers(pod);
    const later = new Date(Date.now() + 1000 * 86_400_000).toISOString();
    const said = await pod.exec("relay", programs.node, programs.expire, "--now", later);
    expect(JSON.parse(said)).toMatchObject({ accounts: 0, accountsRemoved: 0, accountsSkipped: 0, messages: 0 });
    await deliversAgain(pod, 2);
  });

  test("nobody has or gets a name like its", async () => {
    const name = `probe~${randomName(24)}@${pod.domain}`;
    const imap = await ImapClient.open(pod.at(ports.imaps));
    expect(await imap.login(name, password)).toMatchObject({ status: "NO" });
    imap.destroy();
    const smtp = await SmtpClient.ready(pod.at(ports.submissions));
    expect(await smtp.login(name, password)).toMatchObject({ code: 535 });
    await smtp.quit();
  });

  test("without Dovecot the step is named, and nothing more is sent; then it is well again", async () => {
    await delivers(pod);
    await pod.stop("dovecot");
    const is = await failure(pod);
    const waiting = await waitingMails(pod);
    await pod.start("dovecot");
    // TLS is nginx's
    expect(is).toMatchObject({ step: "login", message: "IMAP, port 993: the connection was closed" });
    expect([...(await metrics(pod)).keys()]).toContain('probe_failures_total{step="login"}');
    // the one that was on its way
    expect(waiting).toBeLessThanOrEqual(1);
    await delivers(pod);
    await emptyQueue(pod);
  });

  test("without Postfix", async () => {
    await delivers(pod);
    await pod.stop("postfix");
    const is = await failure(pod);
    await pod.start("postfix");
    expect(is).toMatchObject({ step: "TLS", message: "submission, port 465: the connection was closed" });
    await delivers(pod);
  });

  test("without the filter", async () => {
    await delivers(pod);
    const socket = sockets.outgoingMilter;
    await pod.exec("relay", "mv", socket, `${socket}.away`);
    const is = await failure(pod);
    await pod.exec("relay", "mv", `${socket}.away`, socket);
    expect(is).toMatchObject({
      step: expect.stringMatching(/^(login|submit)$/),
      message: expect.stringMatching(/^submission, port 465: 4\d\d 4\.[37]\.\d /),
    });
    await delivers(pod);
    await emptyQueue(pod);
  });

  test("a daemon that is started anew goes on, with a mailbox of its own", async () => {
    await pod.kill("relay");
    await pod.start("relay");
    await delivers(pod);
    expect(await pod.stop("relay")).toBe(0);
    expect(existsSync(join(pod.volume("mail"), ".probe", pod.domain))).toBe(false);
    await pod.start("relay");
  });
});

describe("a message that is accepted and not delivered", () => {
  let pod: RelayPod;
  let alice: string;
  beforeAll(async () => {
    pod = await startRelayPod({
      domain: "_stuck.test",
      probeSeconds,
      edit: (files) => {
        const main = files.postfix["main.cf"] ?? "";
        return {
          ...files,
          postfix: { ...files.postfix, "main.cf": main.replaceAll(sockets.lmtp, `${folders.run}/none`) },
        };
      },
    });
    alice = await newAccount(pod);
  });
  afterAll(() => pod?.remove());

  /** The address of the message that waits now. */
  const recipient = () =>
    until(
      "a message in the queue",
      async () => {
        const lines = (await pod.exec("postfix", "postqueue", "-c", folders.postfixConfig, "-j")).trim().split("\n");
        const mails = lines.filter((line) => line !== "").map((line) => JSON.parse(line) as WaitingMail);
        const newest = mails.toSorted((a, b) => b.arrival_time - a.arrival_time)[0];
        return newest?.recipients[0]?.address;
      },
      longWait,
    );
  interface WaitingMail {
    arrival_time: number;
    sender: string;
    recipients: { address: string }[];
  }

  test("others can't write to its account", async () => {
    const to = [await recipient()];
    expect(to[0]).toMatch(/^probe~/);
    const smtp = await SmtpClient.ready(pod.at(ports.submissions), alice, password);
    expect(await smtp.send({ from: alice, to, data: encryptedMessage({ from: alice, to }) })).toMatchObject({
      code: 553,
    });
    await smtp.quit();
    const from = `x@[${addresses.gateway}]`;
    const body = encryptedMessage({ from, to });
    const other = await SmtpClient.ready(pod.at(ports.smtp));
    expect(await other.send({ from, to, data: body })).toMatchObject({ code: 553 });
    await other.quit();
    expect(await postMail(pod, { from, to, body })).toMatchObject({
      status: 400,
      body: expect.stringMatching(/^553 /),
    });
  });

  test("others can't log in to it", async () => {
    const user = await recipient();
    const imap = await ImapClient.open(pod.at(ports.imaps));
    expect(await imap.login(user, password)).toMatchObject({ status: "NO" });
    imap.destroy();
  });

  test("is told as such, and leaves the queue without a bounce when the way is free", async () => {
    expect(await failure(pod)).toEqual({
      status: false,
      since: expect.any(String),
      step: "deliver",
      message: "IMAP, port 993: the message was accepted, and is not in the mailbox 30 s later",
    });
    const fixed = (await pod.exec("postfix", "cat", `${folders.postfixConfig}/main.cf`)).replaceAll(
      `${folders.run}/none`,
      sockets.lmtp,
    );
    await pod.configure("postfix", "main.cf", `${fixed}\n`);
    await pod.signal("postfix", "HUP");
    await delivers(pod);
    await emptyQueue(pod);
    const client = await ImapClient.ready(pod.at(ports.imaps), alice, password);
    await client.say("SELECT INBOX");
    expect(await client.messages()).toEqual([]);
    await client.logout();
  });
});

describe("a volume without room", () => {
  let pod: RelayPod;
  beforeAll(async () => {
    pod = await startRelayPod({
      domain: "_probe-full.test",
      probeSeconds,
      small: { mail: 16, queue: 64 },
      spec: { accounts: { refuseNew: { diskBelow: "1Mi" } }, storage: { reservedForMailboxes: "8Mi" } },
    });
    await delivers(pod);
  });
  afterAll(() => pod?.remove());

  const fill = (container: "dovecot" | "postfix", folder: string) => {
    const script = `for size in 64k 1k 1; do dd if=/dev/zero bs=$size of=${folder}/filler-$size 2>/dev/null; done`;
    return pod.exec(container, "sh", "-c", `${script}; true`);
  };

  test("for mailboxes", async () => {
    await fill("dovecot", folders.mail);
    const is = await failure(pod);
    await pod.exec("dovecot", "sh", "-c", `rm ${folders.mail}/filler-*`);
    expect(is).toMatchObject({
      step: expect.stringMatching(/^(deliver|fetch)$/),
      message: expect.stringMatching(/^IMAP, port 993: .*; the volume is full$/),
    });
    await delivers(pod);
  });

  test("for the queue: in Postfix's words", async () => {
    await fill("postfix", folders.queue);
    const is = await failure(pod);
    await pod.exec("postfix", "sh", "-c", `rm ${folders.queue}/filler-*`);
    expect(is).toMatchObject({
      step: "submit",
      message: expect.stringMatching(/^submission, port 465: 452 4\.3\.1 /),
    });
    await delivers(pod);
  });
});

describe("several domains behind a load balancer that names its clients", () => {
  const name = "nine.probe.example";
  const under = "_under.probe.test";
  const plan = (...domains: string[]) =>
    planText({
      version: 1,
      hostname: "pod.probe.example",
      privatePeers,
      proxyProtocol: { trustedNetworks: ["198.51.100.0/24"] },
      domains: domains.map((domain) => ({ domain, accounts: planOnAnyLoad })),
    });
  let pod: RelayPod;
  beforeAll(async () => {
    const [ofName, ofUnder, keyOfName, keyOfUnder] = await Promise.all([
      makeSelfSigned(name, new Date()),
      makeSelfSigned(under, new Date()),
      makeRsaKey(),
      makeRsaKey(),
    ]);
    pod = await startRelayPod({
      probeSeconds,
      plan: (host) => plan(host, name, under),
      others: {
        [name]: { certificate: ofName, rsaKeyPem: keyOfName },
        [under]: { certificate: ofUnder, rsaKeyPem: keyOfUnder },
      },
    });
  });
  afterAll(() => pod?.remove());

  test("each is probed, and counted under its name", async () => {
    for (const domain of [pod.host, name, under]) {
      await delivers(pod, domain);
      expect(await delivered(pod, `{domain="${domain}"}`)).toBeGreaterThan(0);
    }
  });

  test("who says to come from the pod itself has no right by that", async () => {
    const at = { ...pod.at(ports.imaps), preamble: proxyV1("127.0.0.1") };
    const client = await ImapClient.open(at);
    expect(await client.login(`probe~${randomName(24)}@${name}`, password)).toMatchObject({ status: "NO" });
    client.destroy();
  });

  test("one that leaves the plan is forgotten, with its mailbox; one that comes is probed", async () => {
    const homes = () => readdirSync(join(pod.volume("mail"), ".probe")).sort();
    expect(homes()).toEqual([pod.host, name, under].sort());
    await pod.usePlan(plan(pod.host, name));
    await until(
      "it to be forgotten",
      async () => !(under in (await deliverable(pod))) && !homes().includes(under),
      longWait,
    );
    await pod.usePlan(plan(pod.host, name, under));
    await delivers(pod, under);
  });
});
