/**
 * The dashboard for Grafana, as data: `generated/dashboard.json` of the chart follows from here,
 * and a test asks a real Prometheus each of its questions.
 */

type Colour = "green" | "orange" | "red";

export interface Panel {
  title: string;
  /** What is asked, with the text of its legend. */
  targets: readonly { expr: string; legend: string }[];
  unit: "short" | "bytes" | "s" | "percentunit" | "ops";
  kind: "timeseries" | "stat" | "table";
  /** Of 24. */
  width: number;
  /** Colours of a figure, each from a value on; green where nothing is said. */
  colours?: readonly { from: number | null; color: Colour }[];
  /** Columns of a table, which are labels; all others are left out. */
  columns?: readonly string[];
  about?: string;
}
interface Row {
  title: string;
  panels: readonly Panel[];
}

/** Chosen at the top of the page. */
const of = 'namespace=~"$namespace", name=~"$name"';
const legend = "{{namespace}}/{{name}}";
const sum = (expr: string, by = "namespace, name") => `sum by (${by}) (${expr})`;
const day = 86_400;
const redFromOne = [
  { from: null, color: "green" },
  { from: 1, color: "red" },
] as const;
const rate = (metric: string) => `rate(${metric}{${of}}[$__rate_interval])`;

const hourly = (metric: string) => `increase(${metric}{${of}}[1h])`;
const conditionLabels = ["namespace", "name", "type", "status", "reason"];

export const rows: readonly Row[] = [
  {
    title: "Servers",
    panels: [
      {
        title: "Servers",
        kind: "stat",
        unit: "short",
        width: 4,
        targets: [{ expr: `count(chatmail_server_info{${of}})`, legend: "servers" }],
      },
      {
        title: "Ready",
        kind: "stat",
        unit: "short",
        width: 4,
        targets: [
          {
            expr: `count(chatmail_server_condition{${of}, type="Ready", status="True"}) or vector(0)`,
            legend: "Ready",
          },
        ],
      },
      {
        title: "Waiting for a person",
        kind: "stat",
        unit: "short",
        width: 4,
        colours: redFromOne,
        targets: [
          {
            expr: `count(chatmail_server_condition{${of}, type="Stalled", status="True"}) or vector(0)`,
            legend: "Stalled",
          },
        ],
      },
      {
        title: "Accounts",
        kind: "stat",
        unit: "short",
        width: 4,
        targets: [{ expr: `sum(chatmail_accounts{${of}, kind="all"})`, legend: "accounts" }],
      },
      {
        title: "First certificate to end",
        kind: "stat",
        unit: "s",
        width: 4,
        colours: [
          { from: null, color: "red" },
          { from: 7 * day, color: "orange" },
          { from: 14 * day, color: "green" },
        ],
        targets: [
          {
            expr: `min(chatmail_server_certificate_expiration_timestamp_seconds{${of}}) - time()`,
            legend: "certificate",
          },
        ],
      },
      {
        title: "DNS records missing",
        kind: "stat",
        unit: "short",
        width: 4,
        about: "Required records that are not published, or differ.",
        colours: redFromOne,
        targets: [
          {
            expr: `sum(chatmail_server_dns_records{${of}, need="Required", state!="Published"}) or vector(0)`,
            legend: "records",
          },
        ],
      },
      {
        title: "What is not as it should be",
        kind: "table",
        unit: "short",
        width: 24,
        about: "Conditions that are False, except those that say so when all is well.",
        columns: conditionLabels,
        targets: [
          {
            expr: `max by (${conditionLabels.join(", ")}) (chatmail_server_condition{${of}, type!~"Paused|Reconciling|Stalled", status="False"} or chatmail_server_condition{${of}, type="Stalled", status="True"})`,
            legend: `${legend} {{type}}`,
          },
        ],
      },
    ],
  },
  {
    title: "Mail",
    panels: [
      {
        title: "Messages",
        kind: "timeseries",
        unit: "ops",
        width: 12,
        targets: [
          { expr: sum(rate("filtered_outgoing_mail_count")), legend: `sent ${legend}` },
          { expr: sum(rate("filtered_incoming_mail_count")), legend: `received ${legend}` },
        ],
      },
      {
        title: "Refused",
        kind: "timeseries",
        unit: "ops",
        width: 12,
        targets: [
          { expr: sum(rate("filtermail_outbound_drop_total"), "reason"), legend: "sent {{reason}}" },
          { expr: sum(rate("filtermail_inbound_drop_total"), "reason"), legend: "received {{reason}}" },
        ],
      },
      {
        title: "Delivery",
        kind: "timeseries",
        unit: "s",
        width: 12,
        about: "From acceptance to the end of the delivery; probe: from submission to IMAP.",
        targets: [
          {
            expr: `histogram_quantile(0.95, ${sum(rate("chatmail_message_delivery_seconds_bucket"), "namespace, name, le")})`,
            legend: `95 % ${legend}`,
          },
          {
            expr: `histogram_quantile(0.5, ${sum(rate("probe_delivery_seconds_bucket"), "namespace, name, le")})`,
            legend: `probe ${legend}`,
          },
        ],
      },
      {
        title: "Queue",
        kind: "timeseries",
        unit: "short",
        width: 6,
        targets: [
          { expr: sum(`chatmail_queue_messages{${of}}`, "namespace, name, state"), legend: `{{state}} ${legend}` },
        ],
      },
      {
        title: "Age of the oldest message",
        kind: "timeseries",
        unit: "s",
        width: 6,
        targets: [{ expr: `max by (namespace, name) (chatmail_queue_oldest_message_seconds{${of}})`, legend }],
      },
      {
        title: "DKIM of other servers",
        kind: "timeseries",
        unit: "ops",
        width: 8,
        targets: [{ expr: sum(rate("chatmail_dkim_verified_total"), "result"), legend: "{{result}}" }],
      },
      {
        title: "Messages by HTTPS",
        kind: "timeseries",
        unit: "ops",
        width: 8,
        targets: [
          { expr: sum(rate("mxdeliv_sent_total"), "outcome"), legend: "sent {{outcome}}" },
          { expr: sum(rate("mxdeliv_received_total"), "outcome"), legend: "received {{outcome}}" },
        ],
      },
      {
        title: "Push",
        kind: "timeseries",
        unit: "ops",
        width: 8,
        targets: [
          { expr: sum(rate("push_tries_total"), "outcome"), legend: "{{outcome}}" },
          { expr: sum(rate("push_dropped_total"), "namespace, name"), legend: `dropped ${legend}` },
        ],
      },
    ],
  },
  {
    title: "People",
    panels: [
      {
        title: "IMAP sessions",
        kind: "timeseries",
        unit: "short",
        width: 8,
        targets: [
          { expr: sum(`chatmail_imap_sessions{${of}}`, "namespace, name, state"), legend: `{{state}} ${legend}` },
        ],
      },
      {
        title: "Logins",
        kind: "timeseries",
        unit: "ops",
        width: 8,
        targets: [{ expr: sum(rate("logins_total"), "service, outcome"), legend: "{{service}} {{outcome}}" }],
      },
      {
        title: "New accounts in an hour",
        kind: "timeseries",
        unit: "short",
        width: 8,
        targets: [
          { expr: sum(hourly("created_accounts")), legend: `created ${legend}` },
          { expr: sum(hourly("rejected_registrations"), "reason"), legend: "rejected {{reason}}" },
        ],
      },
      {
        title: "Calls",
        kind: "timeseries",
        unit: "percentunit",
        width: 8,
        about: "Share of the ports for calls that are in use.",
        targets: [
          {
            expr: `max by (namespace, name) (chatmail_turn_relay_ports_used{${of}} / chatmail_turn_relay_ports{${of}})`,
            legend,
          },
        ],
      },
      {
        title: "Volume",
        kind: "timeseries",
        unit: "percentunit",
        width: 8,
        about: "Share that is free.",
        targets: [
          {
            expr: `min by (namespace, name) (chatmail_volume_available_bytes{${of}} / chatmail_volume_size_bytes{${of}})`,
            legend,
          },
        ],
      },
      {
        title: "Clients from the busiest address",
        kind: "timeseries",
        unit: "percentunit",
        width: 8,
        targets: [
          {
            expr: `max by (namespace, name) (chatmail_client_accounts_of_one_address{${of}} / (chatmail_client_accounts{${of}} > 0))`,
            legend,
          },
        ],
      },
    ],
  },
  {
    title: "Operator",
    panels: [
      {
        title: "Work queue",
        kind: "timeseries",
        unit: "short",
        width: 8,
        targets: [
          { expr: "sum by (name) (workqueue_depth and on (instance) chatmail_operator_info)", legend: "{{name}}" },
        ],
      },
      {
        title: "Reconciles",
        kind: "timeseries",
        unit: "ops",
        width: 8,
        targets: [
          {
            expr: "sum by (controller, result) (rate(controller_runtime_reconcile_total[$__rate_interval]) and on (instance) chatmail_operator_info)",
            legend: "{{controller}} {{result}}",
          },
        ],
      },
      {
        title: "Requests to the API server",
        kind: "timeseries",
        unit: "ops",
        width: 8,
        targets: [
          {
            expr: "sum by (verb, code) (rate(rest_client_requests_total[$__rate_interval]) and on (instance) chatmail_operator_info)",
            legend: "{{verb}} {{code}}",
          },
        ],
      },
      {
        title: "Memory",
        kind: "timeseries",
        unit: "bytes",
        width: 12,
        targets: [
          {
            expr: "process_resident_memory_bytes and on (instance) chatmail_operator_info",
            legend: "operator {{pod}}",
          },
          {
            expr: `max by (namespace, name) (process_resident_memory_bytes{${of}} and on (instance) chatmail_relay_info)`,
            legend,
          },
        ],
      },
      {
        title: "Servers of fleets",
        kind: "timeseries",
        unit: "short",
        width: 12,
        targets: [
          {
            expr: 'sum by (namespace, name, state) (chatmail_fleet_servers{namespace=~"$namespace"})',
            legend: `{{state}} ${legend}`,
          },
        ],
      },
    ],
  },
];

// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's own syntax
const datasource = { type: "prometheus", uid: "${datasource}" };

/** A variable of the page, filled from the labels of chatmail_server_info. */
const chosen = (name: string, matching: string) => ({
  name,
  type: "query",
  datasource,
  query: { query: `label_values(chatmail_server_info${matching}, ${name})`, refId: name },
  refresh: 2,
  sort: 1,
  multi: true,
  includeAll: true,
  allValue: ".*",
  current: { text: "All", value: "$__all" },
});

/** The model that Grafana 10 and later import. */
export function dashboard(): object {
  let y = 0;
  let id = 0;
  const panels: object[] = [];
  for (const row of rows) {
    panels.push({
      id: ++id,
      type: "row",
      title: row.title,
      collapsed: false,
      gridPos: { x: 0, y: y++, w: 24, h: 1 },
      panels: [],
    });
    let x = 0;
    let height = 0;
    for (const panel of row.panels) {
      const h = panel.kind === "stat" ? 4 : 8;
      if (x + panel.width > 24) {
        x = 0;
        y += height;
        height = 0;
      }
      panels.push(modelOf(panel, ++id, { x, y, w: panel.width, h }));
      x += panel.width;
      height = Math.max(height, h);
    }
    y += height;
  }
  return {
    uid: "chatmail-operator",
    title: "Chatmail",
    description: "ChatmailServers, their relays, and the operator.",
    tags: ["chatmail"],
    schemaVersion: 39,
    timezone: "browser",
    editable: true,
    refresh: "1m",
    time: { from: "now-6h", to: "now" },
    templating: {
      list: [
        { name: "datasource", type: "datasource", query: "prometheus", label: "Prometheus" },
        chosen("namespace", ""),
        chosen("name", '{namespace=~"$namespace"}'),
      ],
    },
    panels,
  };
}

/** Without any, Grafana's own would be red from 80 on: of servers, too. */
const thresholdsOf = ({ colours = [{ from: null, color: "green" }] }: Panel) => ({
  mode: "absolute",
  steps: colours.map(({ from: value, color }) => ({ value, color })),
});

/** Labels in this order, under their names with a capital letter; no time, no value. */
const organizedBy = (columns: readonly string[]) => ({
  id: "organize",
  options: {
    excludeByName: { Time: true, Value: true },
    indexByName: Object.fromEntries(columns.map((column, at) => [column, at])),
    renameByName: Object.fromEntries(
      columns.map((column) => [column, column.replace(/^./, (first) => first.toUpperCase())]),
    ),
  },
});

function modelOf(panel: Panel, id: number, gridPos: object): object {
  const { title, kind, unit, targets, about, columns } = panel;
  return {
    id,
    type: kind,
    title,
    ...(about && { description: about }),
    datasource,
    gridPos,
    fieldConfig: {
      defaults: {
        unit,
        ...(kind === "timeseries" && { min: 0 }),
        ...(kind === "stat" && { thresholds: thresholdsOf(panel) }),
      },
      overrides: [],
    },
    ...(columns && { transformations: [organizedBy(columns)] }),
    options:
      kind === "timeseries" ? { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi" } } : {},
    targets: targets.map(({ expr, legend: legendFormat }, nth) => ({
      refId: String.fromCharCode(65 + nth),
      datasource,
      expr,
      legendFormat,
      ...(kind === "table" && { instant: true, format: "table" }),
      ...(kind === "stat" && { instant: true }),
    })),
  };
}
