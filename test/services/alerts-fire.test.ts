/**
 * The trouble of each alert is caused, with a relay pod, the operator at a real API server, and a
 * real Prometheus that has the rules. `ALERT_FIGURES=1` prints the seconds for
 * scripts/monitoring/caused.ts.
 */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { alerts, ruleGroups } from "../../scripts/monitoring/alerts.ts";
import { caused } from "../../scripts/monitoring/caused.ts";
import type { WrittenServer } from "../../src/api/chatmail-server.ts";
import { annotations, apiVersion, chatmailFleet, chatmailServer, labels } from "../../src/api/names.ts";
import { certificateNames } from "../../src/certificates/self-signed.ts";
import type { CronJob } from "../../src/kube/kinds.ts";
import { Metrics } from "../../src/lib/metrics.ts";
import { ports } from "../../src/mail/ports.ts";
import { operatorHelp } from "../../src/operator/metrics.ts";
import { DomainNames } from "../../src/operator/tasks/dns.ts";
import { rsaKey } from "../../src/pod/dkim.ts";
import { folders, planFile } from "../../src/pod/layout.ts";
import { newAccount, onAnyLoad, password } from "../helpers/accounts.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { makeAuthority } from "../helpers/authorities.ts";
import { type FaultProxy, faultProxy } from "../helpers/fault-proxy.ts";
import { freePort } from "../helpers/free-port.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { encryptedMessage, randomName } from "../helpers/messages.ts";
import { base64, namespace, OperatorCluster, pathOf, type RunningOperator } from "../helpers/operator-cluster.ts";
import { serveOperatorMetrics } from "../helpers/operator-metrics.ts";
import { Prometheus, prometheusIsMissing } from "../helpers/prometheus.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { turnCredential } from "../helpers/server-metadata.ts";
import { zoneText } from "../helpers/servers.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { type Allocation, allocation } from "../helpers/turn-allocation.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { namesUp } from "../lab/lab.ts";
import { nameServer, publishZone, removeZone } from "../lab/names.ts";

const missing = prometheusIsMissing() ?? apiServerIsMissing();
if (missing !== undefined) console.warn(`skipped: ${missing}`);

const name = "nine";
const domain = "_alerts.test";
const fleet = "community";
const mailMiB = 64;
const patience = { patienceMs: patienceMs.pod, everyMs: 1_000 };

/** How long a trouble has to last is a matter of test/services/alerts.test.ts. */
const soon = ({ groups }: ReturnType<typeof ruleGroups>) => ({
  groups: groups.map((group) => ({ ...group, rules: group.rules.map((rule) => ({ ...rule, for: "1s" })) })),
});

/** What ends the trouble, where something does within the test. */
type Cause = () => Promise<(() => Promise<void>) | undefined>;

describe.skipIf(missing !== undefined)("alerts", () => {
  const fired = new Map<string, number>();
  let pod: RelayPod;
  let cluster: OperatorCluster;
  let proxy: FaultProxy;
  let operator: RunningOperator;
  let health: Server;
  let prometheus: Prometheus;
  let blindPort: number;
  let leads = true;
  /** Ends what a cause has left. */
  const closing: (() => Promise<unknown>)[] = [];

  const accounts = { ...onAnyLoad, sendBurst: 100, refuseNew: { ...onAnyLoad.refuseNew, diskBelow: "1Mi" } };
  const services = {
    turn: { enabled: true, relayPortCount: 20 },
    // nothing listens there
    push: { url: "https://127.0.0.1:1/notify" },
  };

  beforeAll(async () => {
    await namesUp();
    [pod, cluster, blindPort] = await Promise.all([
      startRelayPod({
        domain,
        probeSeconds: 1,
        small: { mail: mailMiB },
        spec: { services, accounts },
      }),
      OperatorCluster.open(),
      freePort(),
    ]);
    proxy = await faultProxy(cluster.server);
    const metrics = new Metrics(operatorHelp);
    operator = cluster.startOperator({
      metrics,
      url: proxy.url,
      worldOf: (made) => ({ ...made, names: new DomainNames({ resolvers: [nameServer], now: () => new Date() }) }),
    });
    health = await serveOperatorMetrics(metrics, operator, { leads: () => leads });
    await cluster.make(chatmailFleet.plural, {
      apiVersion,
      kind: chatmailFleet.kind,
      metadata: { name: fleet },
      spec: {},
    });
    await cluster.makeSecret(
      `${name}-dkim`,
      "Opaque",
      { [rsaKey.file]: base64(pod.dkimKeyPem) },
      { labels: { [labels.server]: name } },
    );
    await cluster.makeServer(name, { domain, accounts, services, fleetRef: { name: fleet } });
    await cluster.setUp(name);
    const tls = (await cluster.get<{ data: Record<string, string> }>("secrets", `${name}-tls`)).data;
    const textOf = (key: string) => Buffer.from(tls[key] ?? "", "base64").toString();
    pod.giveCertificate({ certificatePem: textOf("tls.crt"), keyPem: textOf("tls.key") });
    await cluster.runs(name);
    await podIsAt(pod.host);
    const { data = {} } = await cluster.get<{ data?: Record<string, string> }>("configmaps", `${name}-plan`);
    await pod.usePlan(data[planFile] ?? "");
    const server = await cluster.get<WrittenServer>(chatmailServer.plural, name);
    await publishZone(domain, zoneText(server));
    prometheus = await Prometheus.start({
      targets: [
        { job: "operator", address: `127.0.0.1:${(health.address() as AddressInfo).port}` },
        { job: "blind", address: `127.0.0.1:${blindPort}` },
        { job: "relays", address: `${pod.host}:${ports.health}`, labels: { namespace, name } },
      ],
      rules: soon(ruleGroups()),
      scrapeSeconds: 2,
    });
  });
  afterAll(async () => {
    for (const close of closing) await close();
    health?.close();
    await Promise.all([
      prometheus?.stop(),
      operator?.stop(),
      pod?.remove(),
      ...[domain, "alerts.test"].map((zone) => removeZone(zone)),
    ]);
    await proxy?.close();
    await cluster?.close();
  });

  const podIsAt = (ip: string) => cluster.setStatus("pods", `${name}-0`, { podIP: ip, podIPs: [{ ip }] });
  let looks = 0;
  /** The operator asks a relay once a minute, and whenever its pod changes. */
  async function firing(): Promise<string[]> {
    await cluster.change("pods", `${name}-0`, { metadata: { annotations: { looks: String(looks++) } } });
    return prometheus.firing();
  }
  /** Of the server that is all right otherwise. */
  const wrong = async () =>
    JSON.stringify(
      (await cluster.statusOf(name)).conditions?.map(({ type, status, reason, message }) => [
        type,
        status,
        reason,
        message,
      ]),
    );
  const ends = (alert: string) =>
    until(`${alert} to end`, async () => !(await firing()).includes(alert), patience).catch(async (cause) => {
      throw new Error(`${String(cause)}: ${await wrong()}`, { cause });
    });

  /** A server that is there for one alert. */
  async function withServer(of: string, spec: object) {
    await cluster.makeServer(of, spec);
    return () => cluster.removeServer(of, operator.world);
  }
  /** A message to each, which is accepted now. */
  async function send(all: readonly string[]): Promise<void> {
    const smtp = await SmtpClient.ready(pod.at(ports.submissions), from, password);
    for (const to of all)
      expect(await smtp.send({ from, to: [to], data: encryptedMessage({ from, to: [to] }) })).toMatchObject({
        code: 250,
      });
    await smtp.quit();
  }
  const newCredential = async () => turnCredential(pod, await newAccount(pod));
  const people: string[] = [];
  let from = "";
  /** Leaves so much of the mail volume. */
  async function fillUpTo(share: number) {
    const kib = Math.floor(share * mailMiB * 1024);
    const file = `${folders.mail}/filler`;
    const free = `$(( $(df --output=avail ${folders.mail} | tail -1) - ${kib} ))`;
    await pod.exec("relay", "sh", "-c", `dd if=/dev/zero bs=1k count=${free} of=${file} 2>/dev/null`);
    return async () => void (await pod.exec("relay", "rm", file));
  }
  const frozen = () => pod.freeze("dovecot");
  const thawed = () => pod.thaw("dovecot");

  const causes: Record<string, Cause> = {
    ChatmailServerNotReady: () => withServer("ten", { domain: "_never-runs.test" }),
    ChatmailServerStalled: () => withServer("ten", { domain }),
    ChatmailRolloutStopped: () => withServer("ten", { domain, fleetRef: { name: fleet } }),
    ChatmailRelayNotScraped: () => withServer("ten", { domain: "_never-runs.test" }),
    ChatmailRecordsWrong: async () => {
      await publishZone("alerts.test", "");
      const certificate = { source: "SelfSigned" };
      return withServer("ten", { domain: "ten.alerts.test", certificate });
    },
    ChatmailBackupFailing: () =>
      withServer("ten", { domain: "_saved.test", backup: { destination: { volumeClaim: { name: "spare" } } } }),
    ChatmailCertificateEndsSoon: async () => {
      const pair = await (await makeAuthority("Own")).issue(certificateNames("_ending.test"), { days: [-80, 10] });
      const data = { "tls.crt": base64(pair.certificatePem), "tls.key": base64(pair.keyPem) };
      await cluster.makeSecret("ending", "kubernetes.io/tls", data);
      return withServer("ten", {
        domain: "_ending.test",
        certificate: { source: "Secret", secret: { name: "ending" } },
      });
    },
    ChatmailServerOutdated: async () => {
      const pause = (value: string | null) =>
        cluster.change(chatmailServer.plural, name, { metadata: { annotations: { [annotations.pause]: value } } });
      await pause("true");
      await cluster.patch(name, { accounts: { sendBurst: 77 } });
      return async () => {
        await cluster.patch(name, { accounts });
        await pause(null);
      };
    },
    ChatmailExpiryFailing: async () => {
      const { metadata, spec } = await cluster.get<CronJob>("cronjobs", `${name}-expiry`);
      const owner = {
        apiVersion: "batch/v1",
        kind: "CronJob",
        name: metadata.name,
        uid: metadata.uid,
        controller: true,
      };
      const template = spec?.jobTemplate;
      const own = { ...template?.metadata, name: `${name}-expiry-1`, ownerReferences: [owner] };
      await cluster.make("jobs", { ...template, apiVersion: "batch/v1", kind: "Job", metadata: own });
      await cluster.runJob(own.name, { exitCode: 1, message: { problem: "EIO" } });
      return async () => {
        await cluster.remove("pods", `${own.name}-pod`);
        // nobody is there who collects garbage
        await cluster.server.request("DELETE", `${pathOf("jobs", own.name)}?propagationPolicy=Background`);
      };
    },
    ChatmailVolumeNearlyFull: () => fillUpTo(0.13),
    ChatmailVolumeFull: () => fillUpTo(0.08),
    ChatmailTurnPortsShort: async () => {
      // an account gets four of twenty, and all together eighteen
      const held: Allocation[] = [];
      for (let credential = await newCredential(); held.length < 17; ) {
        held.push(await allocation(pod.host, ports.turn, credential));
        if (held.length % 4 === 0) credential = await newCredential();
      }
      expect(held.flatMap(({ error }) => error ?? [])).toEqual([]);
      return async () => {
        for (const each of held) await each.release();
      };
    },
    ChatmailSourceAddressHidden: async () => {
      while (people.length < 40) people.push(await newAccount(pod));
      return undefined;
    },
    ChatmailPushDropped: async () => {
      const to = await newAccount(pod);
      const client = await ImapClient.ready(pod.at(ports.imaps), to, password);
      for (let round = 0; round < 4; round++) {
        for (let device = 0; device < 10; device++)
          await client.say(`SETMETADATA INBOX (/private/devicetoken "openpgp:${randomName(12)}")`);
        await send([to]);
        await client.say("SELECT INBOX");
        const arrived = async () => {
          await client.say("NOOP");
          return (await client.messages()).length > round;
        };
        await until("the message", arrived, { patienceMs: patienceMs.mail });
      }
      await client.logout();
      return undefined;
    },
    ChatmailDeliveryFailing: async () => {
      await frozen();
      await send(people);
      return undefined;
    },
    // Dovecot is still frozen
    ChatmailQueueStuck: async () => {
      const hourAgo = Math.floor(Date.now() / 1000) - 3600;
      const age = `cd /var/spool/postfix/active && for file in *; do
        at=$(grep -aobE -m1 '[0-9]{10} [0-9]+' $file | head -1 | cut -d: -f1)
        printf ${hourAgo} | dd of=$file bs=1 seek=$at conv=notrunc 2>/dev/null
      done`;
      await pod.exec("postfix", "sh", "-c", age);
      await pod.exec("postfix", "sh", "-c", "echo report > /run/chatmail/reload-postfix.pipe");
      return undefined;
    },
    // by messages that have waited for Dovecot
    ChatmailRelaySlow: async () => {
      await thawed();
      return undefined;
    },
    ChatmailOperatorFailing: async () => {
      proxy.answer(({ method, path }) =>
        method === "PATCH" && path.includes("/status") ? { status: 422, reason: "Invalid" } : null,
      );
      for (const of of ["one", "two", "three", "four"]) await cluster.makeServer(of, { domain: `_${of}.test` });
      // errors of the last ten minutes count
      return undefined;
    },
    ChatmailOperatorBlind: async () => {
      const refusing = await faultProxy(cluster.server);
      closing.push(() => refusing.close());
      refusing.answer(({ path }) => (/\/secrets\b/.test(path) ? { status: 403, reason: "Forbidden" } : null));
      const metrics = new Metrics(operatorHelp);
      const blind = cluster.startOperator({ metrics, url: refusing.url, leaseName: "blind" });
      closing.unshift(() => blind.stop());
      const its = await serveOperatorMetrics(metrics, blind, { port: blindPort, leads: () => leads });
      return async () => {
        its.closeAllConnections();
        await new Promise((closed) => its.close(closed));
      };
    },
    ChatmailOperatorWithoutLeader: async () => {
      leads = false;
      return async () => {
        leads = true;
      };
    },
    ChatmailOperatorDown: async () => {
      health.closeAllConnections();
      await new Promise((closed) => health.close(closed));
      return undefined;
    },
  };

  test("each has its cause, and none fires where all is well", async () => {
    expect(Object.keys(causes).sort()).toEqual(alerts.map((alert) => alert.name).sort());
    expect(Object.keys(caused).sort()).toEqual(Object.keys(causes).sort());
    from = await newAccount(pod);
    const scraped = async () =>
      (await prometheus.query(`chatmail_relay_info{name="${name}"} and on () chatmail_operator_info`)).length > 0;
    await until("both to be scraped", scraped, patience);
    let last: string[] = [];
    const quiet = async () => {
      last = await firing();
      return last.length === 0;
    };
    await until("no alert", quiet, patience).catch(async (cause) => {
      throw new Error(`${last.join()}: ${await wrong()}`, { cause });
    });
  });

  test.each(Object.keys(causes))("%s fires when its trouble is caused", async (alert) => {
    await ends(alert);
    const start = performance.now();
    const end = await causes[alert]?.();
    const fires = async () => (await firing()).includes(alert);
    try {
      await until(`${alert} to fire`, fires, patience).catch(async (cause) => {
        throw new Error(`${String(cause)}: ${await wrong()}`, { cause });
      });
      fired.set(alert, Math.round((performance.now() - start) / 1000));
    } finally {
      await end?.();
    }
    if (end) await ends(alert);
  });

  test("the figures", () => {
    if (process.env.ALERT_FIGURES) console.log(JSON.stringify(Object.fromEntries(fired), undefined, 2));
    expect([...fired.keys()].sort()).toEqual(alerts.map((alert) => alert.name).sort());
  });
});
