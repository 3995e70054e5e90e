/**
 * Alerts for Prometheus, as data: the rules of the chart and their page (docs/reference/alerts.md)
 * are generated from here, and a test runs each of them by promtool and against real metrics.
 * `namespace` and `name` are those of a ChatmailServer in all metrics, as the chart's PodMonitors
 * label them.
 */

import { caused } from "./caused.ts";

export interface Alert {
  name: string;
  expr: string;
  for: string;
  /** critical: people are without service, or soon; warning: a person has to act this week. */
  severity: "critical" | "warning" | "info";
  /** One sentence; may hold labels in Prometheus' own template form. */
  summary: string;
  /** For the page: what it means, how to look, what to do. */
  means: string;
  look: string;
  cure: string;
}

const server = "{{ $labels.namespace }}/{{ $labels.name }}";
const perServer = "by (namespace, name)";
/** Of this operator: others have metrics of the same names. */
const ours = "and on (instance) chatmail_operator_info";
const conditionIs = (type: string, status: string, kind = "server") =>
  `max ${perServer} (chatmail_${kind}_condition{type="${type}", status="${status}"}) == 1`;
const troubleshooting = (reason: string) => `[${reason}](../troubleshooting.md#${reason.toLowerCase()})`;

export const alerts: readonly Alert[] = [
  {
    name: "ChatmailOperatorDown",
    expr: "absent(chatmail_operator_info)",
    for: "5m",
    severity: "critical",
    summary: "no Chatmail Operator is scraped",
    means:
      "Prometheus reaches no operator. Relays go on, but nobody looks after certificates, records, updates and new servers.",
    look: "`kubectl -n chatmail get pods,events -l app.kubernetes.io/name=chatmail-operator`; the targets in Prometheus",
    cure: "Repair what the pod's events name. If the pod runs: the PodMonitor of the chart, or a NetworkPolicy in the operator's namespace.",
  },
  {
    name: "ChatmailOperatorWithoutLeader",
    expr: `max(leader_election_master_status ${ours}) < 1`,
    for: "5m",
    severity: "critical",
    summary: "no replica of the Chatmail Operator leads",
    means: "All replicas wait for the lease, so nothing is reconciled.",
    look: "`kubectl -n chatmail get lease chatmail-operator -o yaml`; the operator's log",
    cure: "Usually the API server is slow or refuses the lease: see the log. A lease whose holder does not exist any more runs out after 15 s.",
  },
  {
    name: "ChatmailOperatorFailing",
    expr: `sum by (controller) (rate(controller_runtime_reconcile_errors_total[10m]) ${ours}) > 0.01`,
    for: "30m",
    severity: "warning",
    summary: "reconciles of controller {{ $labels.controller }} of the Chatmail Operator fail",
    means: "The operator fails again and again at the same work. What is wrong stands on the resources, too.",
    look: "`kubectl -n chatmail logs deployment/chatmail-operator --tail=100`, lines with level 40 and above",
    cure: `The message names the object and what the API server said. ${troubleshooting("InternalError")} is an error of the operator: report it.`,
  },
  {
    name: "ChatmailOperatorBlind",
    expr: `min by (resource) (kube_store_filled ${ours}) == 0`,
    for: "10m",
    severity: "critical",
    summary: "the Chatmail Operator cannot read {{ $labels.resource }}",
    means: "The operator waits for objects of this kind to be listed, and does nothing until then.",
    look: "The operator's log; `kubectl auth can-i list RESOURCE --as=system:serviceaccount:chatmail:chatmail-operator`",
    cure: "Grant the Role of the chart again, or install the CRD.",
  },
  {
    name: "ChatmailServerNotReady",
    expr: `max ${perServer} (chatmail_server_condition{type="Ready", status!="True"}) == 1`,
    for: "15m",
    severity: "critical",
    summary: `chatmail server ${server} is not Ready`,
    means: "The relay does not serve as its spec says, for longer than an update takes.",
    look: "`kubectl -n NAMESPACE describe chatmailserver NAME`",
    cure: "The reason of the condition Ready has its entry in [troubleshooting](../troubleshooting.md).",
  },
  {
    name: "ChatmailServerStalled",
    expr: conditionIs("Stalled", "True"),
    for: "5m",
    severity: "critical",
    summary: `chatmail server ${server} waits for a person`,
    means: "Something is wrong that does not pass by itself, or lasts longer than it may.",
    look: "`kubectl -n NAMESPACE get chatmailserver NAME -o wide`",
    cure: "The reason of the condition Stalled has its entry in [troubleshooting](../troubleshooting.md).",
  },
  {
    name: "ChatmailDeliveryFailing",
    expr: conditionIs("Deliverable", "False"),
    for: "5m",
    severity: "critical",
    summary: `chatmail server ${server} delivers no mail`,
    means: "The relay's messages to itself do not arrive. Users' messages have the same fate.",
    look: "The message of the condition Deliverable names the step that fails.",
    cure: `See ${troubleshooting("DeliveryFailed")}.`,
  },
  {
    name: "ChatmailQueueStuck",
    expr: conditionIs("QueueHealthy", "False"),
    for: "15m",
    severity: "warning",
    summary: `mail stays in the queue of chatmail server ${server}`,
    means: "Postfix holds mail without a result, or mail to many domains waits. It is returned after two days.",
    look: "The message of the condition QueueHealthy names the domains with most mail.",
    cure: `See ${troubleshooting("QueueStuck")}.`,
  },
  {
    name: "ChatmailVolumeNearlyFull",
    expr: "min by (namespace, name) (chatmail_volume_available_bytes / chatmail_volume_size_bytes) < 0.15 or min by (namespace, name) (chatmail_volume_available_inodes / (chatmail_volume_inodes > 0)) < 0.15",
    for: "15m",
    severity: "warning",
    summary: `the volume of chatmail server ${server} has less than 15 % free`,
    means: "Bytes or inodes run out. Below a tenth no mail is accepted.",
    look: "`kubectl -n NAMESPACE get chatmailserver NAME -o jsonpath='{.status.storage}'`; the graph *Volume* of the dashboard",
    cure: "See [full disk](../day-two.md#full-disk).",
  },
  {
    name: "ChatmailVolumeFull",
    expr: "min by (namespace, name) (chatmail_volume_available_bytes / chatmail_volume_size_bytes) < 0.1",
    for: "5m",
    severity: "critical",
    summary: `chatmail server ${server} accepts no mail soon: less than a tenth of its volume is free`,
    means: "Other servers get a temporary refusal (452) and try again; users can't send.",
    look: "As for ChatmailVolumeNearlyFull.",
    cure: "Grow the volume at once: [full disk](../day-two.md#full-disk).",
  },
  {
    name: "ChatmailCertificateEndsSoon",
    expr: `min ${perServer} (chatmail_server_certificate_expiration_timestamp_seconds) - time() < 14 * 86400`,
    for: "1h",
    severity: "warning",
    summary: `the certificate of chatmail server ${server} ends in {{ $value | humanizeDuration }}`,
    means: "It should have been renewed by now. When it ends, clients and other relays connect no more.",
    look: "The condition CertificateReady; `status.certificate`",
    cure: "See [certificates](../certificates.md).",
  },
  {
    name: "ChatmailRecordsWrong",
    expr: `sum ${perServer} (chatmail_server_dns_records{need="Required", state=~"Missing|Different|NotOurs"}) > 0`,
    for: "1h",
    severity: "warning",
    summary: `{{ $value }} required DNS records of chatmail server ${server} are missing or different`,
    means: "Name servers of the zone do not have what mail to or from the relay needs.",
    look: "`kubectl -n NAMESPACE get chatmailserver NAME -o jsonpath='{.status.dns}'`",
    cure: `See ${troubleshooting("RecordsIncomplete")}.`,
  },
  {
    name: "ChatmailExpiryFailing",
    expr: conditionIs("ExpiryHealthy", "False"),
    for: "1h",
    severity: "warning",
    summary: `old mail of chatmail server ${server} is not deleted`,
    means: "Nothing has been deleted for two days, or the last run failed. The privacy page promises that it is.",
    look: "`kubectl -n NAMESPACE logs -l chatmail.dev/component=expiry --tail=20`",
    cure: `See ${troubleshooting("ExpiryLate")} and ${troubleshooting("ExpiryFailed")}.`,
  },
  {
    name: "ChatmailBackupFailing",
    expr: conditionIs("BackupReady", "False"),
    for: "1h",
    severity: "warning",
    summary: `no backup of chatmail server ${server} is made`,
    means: "The last backup failed, or none was made for two days, or none can be made by the spec. Earlier ones stay.",
    look: "`kubectl -n NAMESPACE describe chatmailserver NAME`: the condition BackupReady says why",
    cure: `See ${troubleshooting("BackupFailed")} and [backup](../backup.md).`,
  },
  {
    name: "ChatmailRolloutStopped",
    expr: conditionIs("Stalled", "True", "fleet"),
    for: "5m",
    severity: "warning",
    summary: `fleet ${server} waits for a person`,
    means: "Updates of the fleet have stopped because some failed, or servers of it are Stalled.",
    look: "`kubectl -n NAMESPACE describe chatmailfleet NAME`",
    cure: `See ${troubleshooting("RolloutStopped")} and [fleets](../fleets.md).`,
  },
  {
    name: "ChatmailServerOutdated",
    expr: conditionIs("UpToDate", "False"),
    for: "1d",
    severity: "info",
    summary: `chatmail server ${server} has not been as its spec says for a day`,
    means: "An update waits for its turn, its window or a person; or edits of a paused server wait.",
    look: "The message of the condition UpToDate.",
    cure: "See [upgrading](../upgrading.md).",
  },
  {
    name: "ChatmailRelayNotScraped",
    expr: "(max by (namespace, name) (chatmail_server_info) unless on (namespace, name) chatmail_relay_info) and on () (count(chatmail_relay_info) > 0)",
    for: "15m",
    severity: "warning",
    summary: `Prometheus reads no metrics of chatmail server ${server}`,
    means:
      "Other relays are scraped and this one is not: its pod does not run, or its NetworkPolicy does not let Prometheus in.",
    look: "The targets in Prometheus; the condition PodReady",
    cure: "Name Prometheus' pods in `network.policy.metricsFrom`, for all servers by `serverDefaults` of the chart or by their fleet.",
  },
  {
    name: "ChatmailRelaySlow",
    expr: "histogram_quantile(0.95, sum by (namespace, name, le) (rate(chatmail_message_delivery_seconds_bucket[10m]))) > 5",
    for: "15m",
    severity: "warning",
    summary: `one in twenty messages through chatmail server ${server} takes longer than {{ $value | humanizeDuration }}`,
    means: "It is milliseconds where the node has time.",
    look: "CPU, memory and disk of the node; the graph *Delivery* of the dashboard",
    cure: "Give the relay more in `resources`, move it to a node with less to do, or a faster volume.",
  },
  {
    name: "ChatmailPushDropped",
    expr: "sum by (namespace, name) (increase(push_dropped_total[30m])) > 20",
    for: "15m",
    severity: "warning",
    summary: `chatmail server ${server} can't wake phones`,
    means:
      "Push notifications were dropped because the push service did not take them in time. Messages arrive when people open the app.",
    look: "`push_tries_total` by outcome; the log of container relay",
    cure: "See that the pod reaches `services.push.url` on its port. An outage of the push service passes by itself.",
  },
  {
    name: "ChatmailTurnPortsShort",
    expr: "max by (namespace, name) (chatmail_turn_relay_ports_used / chatmail_turn_relay_ports) > 0.8",
    for: "10m",
    severity: "warning",
    summary: `more than 80 % of the ports for calls of chatmail server ${server} are in use`,
    means: "From nine tenths on new calls are refused.",
    look: "The graph *Calls* of the dashboard",
    cure: "Raise `services.turn.relayPortCount` ([calls](../calls.md)).",
  },
  {
    name: "ChatmailSourceAddressHidden",
    expr: "max by (namespace, name) (chatmail_client_accounts_of_one_address / (chatmail_client_accounts >= 20)) > 0.9",
    for: "1h",
    severity: "warning",
    summary: `nearly all clients of chatmail server ${server} arrive from one address`,
    means: "Limits for one client meet all of them.",
    look: "The condition AddressesReady",
    cure: `See ${troubleshooting("SourceAddressHidden")}.`,
  },
];

/** The groups of a file of rules for Prometheus, or of a PrometheusRule. */
export function ruleGroups() {
  return {
    groups: [
      {
        name: "chatmail",
        rules: alerts.map(({ name, expr, for: time, severity, summary, means }) => ({
          alert: name,
          expr,
          for: time,
          labels: { severity },
          annotations: { summary, description: means, runbook: `docs/reference/alerts.md#${name.toLowerCase()}` },
        })),
      },
    ],
  };
}

/** What was done to see each alert fire. */
function causedTable(): string {
  const rows = alerts.map(({ name, for: time }) => {
    const { by, seconds } = caused[name] ?? { by: "not tried", seconds: "" };
    return `| [${name}](#${name.toLowerCase()}) | ${by} | ${seconds} | ${time} |`;
  });
  return ["| alert | what was done | seconds | `for` |", "| --- | --- | --- | --- |", ...rows].join("\n");
}

/** docs/reference/alerts.md */
export function alertsPage(): string {
  const entries = alerts.map(
    ({ name, expr, for: time, severity, means, look, cure }) => `## ${name}

${means}

- **Severity:** ${severity}, after ${time}
- **Look:** ${look}
- **Cure:** ${cure}

\`\`\`promql
${expr}
\`\`\`
`,
  );
  return `<!-- Written by npm run generate from scripts/monitoring/alerts.ts; edit there. -->

# Alerts

The rules of the chart (\`monitoring.rules\`), one entry for each: what it means, how to look, what to do. How to install them:
[monitoring](../monitoring.md#alerts).

${entries.join("\n")}
## Seen firing

A test causes the trouble of each alert, with the programs of a relay pod, the operator at a real API server, and Prometheus
(\`test/services/alerts-fire.test.ts\`): none fires where all is well, each fires, and ends where its trouble does. *Seconds*: from the
trouble until the alert fired, on 2026-11-30, with a scrape every 2 seconds and \`for: 1s\`. Add \`for\`, your own times of scraping and
evaluation, and for what a relay reports up to a minute: so often the operator asks it, and whenever its pod changes, which the test
makes it do. No kubelet and no controllers of Kubernetes take part: their objects are written by the test.

${causedTable()}
`;
}
