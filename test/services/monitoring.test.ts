/**
 * A real Prometheus scrapes an operator and a relay pod: every question of the alerts and of the
 * dashboard is understood and has an answer.
 */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { alerts, ruleGroups } from "../../scripts/monitoring/alerts.ts";
import { rows } from "../../scripts/monitoring/dashboard.ts";
import { chatmailServer } from "../../src/api/names.ts";
import { Metrics } from "../../src/lib/metrics.ts";
import { addProcessMetrics } from "../../src/lib/process-metrics.ts";
import { ports } from "../../src/mail/ports.ts";
import { operatorHelp } from "../../src/operator/metrics.ts";
import { password } from "../helpers/accounts.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { encryptedMessage, randomName } from "../helpers/messages.ts";
import { namespace, OperatorCluster, type RunningOperator } from "../helpers/operator-cluster.ts";
import { serveOperatorMetrics } from "../helpers/operator-metrics.ts";
import { Prometheus, prometheusIsMissing, promtool } from "../helpers/prometheus.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { until } from "../helpers/until.ts";

const name = "nine";
const domain = "_monitoring.test";
const wait = { patienceMs: 60_000, everyMs: 300 };

let pod: RelayPod;
let cluster: OperatorCluster;
let operator: RunningOperator;
let health: Server;
let prometheus: Prometheus;

describe.skipIf(prometheusIsMissing() !== undefined)("monitoring", () => {
  beforeAll(async () => {
    const metrics = new Metrics(operatorHelp);
    [pod, cluster] = await Promise.all([
      startRelayPod({ domain, probeSeconds: 1, spec: { services: { turn: { enabled: true } } } }),
      OperatorCluster.open(),
    ]);
    operator = cluster.startOperator({ metrics });
    addProcessMetrics(metrics);
    health = await serveOperatorMetrics(metrics, operator);
    await cluster.make("chatmailfleets", {
      apiVersion: "chatmail.dev/v1alpha1",
      kind: "ChatmailFleet",
      metadata: { name: "community" },
      spec: {},
    });
    await cluster.make(chatmailServer.plural, {
      apiVersion: "chatmail.dev/v1alpha1",
      kind: chatmailServer.kind,
      metadata: { name },
      spec: { domain, fleetRef: { name: "community" } },
    });
    const rules = ruleGroups();
    prometheus = await Prometheus.start({
      targets: [
        { job: "operator", address: `127.0.0.1:${(health.address() as AddressInfo).port}` },
        { job: "relays", address: `${pod.host}:${ports.health}`, labels: { namespace, name } },
      ],
      rules,
    });
    await use();
  });
  afterAll(async () => {
    health?.close();
    await Promise.all([prometheus?.stop(), operator?.stop(), pod?.remove()]);
    await cluster?.close();
  });

  /** What people do, so that there is something to count. */
  async function use(): Promise<void> {
    const [from, to] = [randomName(9), randomName(9)].map((local) => `${local}@${domain}`) as [string, string];
    const inbox = await ImapClient.ready(pod.at(ports.imaps), to, password);
    try {
      const smtp = await SmtpClient.ready(pod.at(ports.submissions), from, password);
      const send = () => smtp.send({ from, to: [to], data: encryptedMessage({ from, to: [to] }) });
      expect(await send()).toMatchObject({ code: 250 });
      await smtp.quit();
    } finally {
      inbox.destroy();
    }
  }

  /** Those of the page, as Grafana would ask them. */
  const questions = rows
    .flatMap(({ panels }) => panels)
    .flatMap(({ title, targets }) =>
      targets.map(({ expr }) => ({
        title,
        expr: expr.replaceAll("$namespace", ".*").replaceAll("$name", ".*").replaceAll("$__rate_interval", "1m"),
      })),
    );

  test("every question of the dashboard has an answer", async () => {
    // Postfix and Dovecot report once a minute by themselves
    for (const program of ["postfix", "dovecot"] as const)
      await pod.exec(program, "sh", "-c", `echo report > /run/chatmail/reload-${program}.pipe`);
    let unanswered: string[] = [];
    const allAnswered = async () => {
      const answers = await Promise.all(questions.map(({ expr }) => prometheus.query(expr)));
      unanswered = questions
        .filter((_, nth) => answers[nth]?.length === 0)
        .map(({ title, expr }) => `${title}: ${expr}`);
      return unanswered.length === 0;
    };
    await until("answers", allAnswered, wait).catch(() => undefined);
    expect(unanswered).toEqual([]);
    expect(await prometheus.query(`sum(chatmail_accounts{name="${name}", kind="all"})`)).toMatchObject([{ value: 2 }]);
  });

  test("every metric that an alert names is there", async () => {
    const names = new Set(
      alerts.flatMap(({ expr }) => expr.match(/\b(?:chatmail|kube|controller|leader|push)_\w+/g) ?? []),
    );
    const missing: string[] = [];
    for (const each of names) if ((await prometheus.query(`count(${each})`)).length === 0) missing.push(each);
    // nothing has failed yet, and no fleet has rows
    expect(missing.filter((each) => each !== "controller_runtime_reconcile_errors_total")).toEqual([]);
  });

  test("what both serve is understood by Prometheus' own checker, with a help text each", async () => {
    for (const url of [
      `http://127.0.0.1:${(health.address() as AddressInfo).port}/metrics`,
      `http://${pod.host}:${ports.health}/metrics`,
    ]) {
      const answer = await fetch(url);
      expect(answer.headers.get("content-type")).toContain("version=0.0.4");
      const { text } = await promtool(["check", "metrics"], await answer.text());
      expect(text).not.toMatch(/no help text|error while/);
    }
  });
});
