/**
 * Values of the chart chatmail-operator. What the operator reads from its environment has its
 * description, its bounds and its default from the operator's own configuration.
 */
import { z } from "zod";
import { kinds } from "../../src/api/kinds.ts";
import { chatmailServer } from "../../src/api/names.ts";
import { OperatorConfig } from "../../src/operator/config.ts";
import { partOf } from "./spec-schema.ts";
import { group, type JsonSchema, type Leaf, leaf, schemas, type Values } from "./value.ts";

type Variable = keyof z.input<typeof OperatorConfig>;

const { properties: variables } = z.toJSONSchema(OperatorConfig, {
  io: "input",
  unrepresentable: "any",
}) as unknown as {
  properties: Record<Variable, JsonSchema & { description: string; default?: unknown; enum?: string[] }>;
};

/** A variable's own description, bounds and default, with the type that a value of a chart has. */
function fromVariable(name: Variable): Leaf {
  const { description, default: value, ...schema } = variables[name];
  if (schema.enum?.join() === "true,false") return leaf(description, value === "true", schemas.flag);
  if (schema.pattern !== undefined && /^\d+$/.test(String(value)))
    return leaf(description, Number(value), { anyOf: [{ type: "integer", minimum: 1 }, schema] });
  return leaf(description, value, schema);
}

const [serverKind] = kinds.filter(({ kind }) => kind === chatmailServer.kind);
if (!serverKind) throw new Error("no kind of servers");

const imageValues = (repository: string): Values => ({
  registry: leaf("Host of the registry, and a folder of it; empty: repository has all of it.", "", schemas.text),
  repository: leaf("Name of the image.", repository, { type: "string", minLength: 1 }),
  tag: leaf("Without it the version of the chart.", "", {
    type: "string",
    pattern: "^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$",
  }),
  digest: leaf("sha256:…, which then decides what is pulled. The tag stays in the name: it tells the version.", "", {
    type: "string",
    pattern: "^(sha256:[0-9a-f]{64})?$",
  }),
});

const namespaceName = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?";
const duration = { type: "string", pattern: "^([0-9]+(ms|s|m|h))?$" };
const pullPolicy = { enum: ["Always", "IfNotPresent", "Never"] };
const count = {
  anyOf: [
    { type: "integer", minimum: 0 },
    { type: "string", pattern: "^([0-9]+%)?$" },
  ],
};

export const operatorValues: Values = {
  global: leaf(
    "For charts that have this one as a part: imagePullSecrets and imageRegistry here hold for both images.",
    { imageRegistry: "", imagePullSecrets: [] },
    { type: "object" },
  ),
  nameOverride: leaf("Instead of the chart's name in names and labels.", "", { type: "string", maxLength: 40 }),
  fullnameOverride: leaf(
    "The name of the operator's objects, and of its lease; without it, made of the release and the chart.",
    "",
    { type: "string", maxLength: 40 },
  ),
  namespaceOverride: leaf(
    "Where the operator is, instead of the namespace of the release: for charts that have this one as a part. It has to exist.",
    "",
    { type: "string", pattern: `^(${namespaceName})?$` },
  ),
  commonLabels: leaf("On every object of the chart, its pods among them.", {}, schemas.texts),
  commonAnnotations: leaf("On every object of the chart, but its pods and CRDs.", {}, schemas.texts),

  image: group(
    { ...imageValues("chatmail-operator"), pullPolicy: leaf("When the image is pulled.", "IfNotPresent", pullPolicy) },
    "The operator's own image.",
    ["repository"],
  ),
  imagePullSecrets: leaf("Secrets in the namespace of the release, for the operator's image.", [], schemas.secretNames),
  relayImage: group(
    {
      ...imageValues("chatmail-relay"),
      pullPolicy: leaf("When the image is pulled; empty: IfNotPresent.", "", { enum: ["", ...pullPolicy.enum] }),
      pullSecrets: leaf(
        "Secrets for this image. They have to exist in every namespace that has servers.",
        [],
        schemas.secretNames,
      ),
      allowed: leaf(
        'What spec.image.reference of a server may name beside this repository: repositories, folders of them that end in /, or "*" for any image. Whoever may create a ChatmailServer runs such an image with the relay\'s keys and mailboxes: docs/security.md.',
        [],
        { type: "array", items: { type: "string", minLength: 1, pattern: "^[^,]+$" } },
      ),
    },
    "The image of the relay pods, for servers whose spec names none.",
    ["repository"],
  ),

  serverDefaults: leaf(
    "Values for what the spec of a ChatmailServer leaves out: any part of a spec but the domain, such as storage: { storageClassName: fast }. A spec and its ChatmailFleet go before them, and they go before what is built in.",
    {},
    partOf(serverKind, "domain", "fleetRef"),
  ),
  rollout: group(
    {
      paused: fromVariable("ROLLOUT_PAUSED"),
      gate: fromVariable("ROLLOUT_GATE"),
      canarySoakSeconds: fromVariable("ROLLOUT_CANARY_SOAK_SECONDS"),
      maxUnavailable: fromVariable("ROLLOUT_MAX_UNAVAILABLE"),
      soakSeconds: fromVariable("ROLLOUT_SOAK_SECONDS"),
      maxFailures: fromVariable("ROLLOUT_MAX_FAILURES"),
    },
    "How servers that are in no fleet are brought to another version of the operator or of the relay image: one first, then the others.",
  ),

  crds: group({
    enabled: leaf(
      "The CustomResourceDefinitions are installed and upgraded with the chart. They stay when the chart is removed: with them all ChatmailServers would go.",
      true,
      schemas.flag,
    ),
  }),
  watch: group({
    namespaces: leaf(
      "Namespaces whose ChatmailServers are looked after; empty: that of the operator. They have to exist.",
      [],
      { type: "array", uniqueItems: true, items: { type: "string", pattern: `^${namespaceName}$` } },
    ),
    allNamespaces: leaf(
      "All namespaces of the cluster. Then the operator may read and write Secrets everywhere.",
      false,
      schemas.flag,
    ),
  }),
  rbac: group({
    create: leaf(
      "Roles and bindings of the operator. Without them somebody else has to give its ServiceAccount these rights.",
      true,
      schemas.flag,
    ),
    aggregateToUserRoles: leaf(
      "Whoever may view, edit or administer a namespace (the roles of these names that Kubernetes has) may do the same with its ChatmailServers. What the right to create one is worth: docs/security.md.",
      true,
      schemas.flag,
    ),
  }),
  serviceAccount: group({
    create: leaf("Without it the account has to exist.", true, schemas.flag),
    name: leaf("Without it the name of the release's operator; default, where none is created.", "", schemas.text),
    annotations: leaf("Of the ServiceAccount.", {}, schemas.texts),
    labels: leaf("Of the ServiceAccount, beside those of all objects.", {}, schemas.texts),
    automountToken: leaf(
      "false: the account gives its token to no pod by itself. The operator's pods, which need it, ask for it.",
      true,
      schemas.flag,
    ),
  }),

  logLevel: fromVariable("LOG_LEVEL"),
  workers: fromVariable("WORKERS"),
  healthPort: { ...fromVariable("HEALTH_PORT"), schema: { type: "integer", minimum: 1, maximum: 65_535 } },
  extraEnv: leaf("Variables of the operator's container that no value sets, such as NODE_EXTRA_CA_CERTS.", [], {
    type: "array",
    items: {
      type: "object",
      required: ["name"],
      additionalProperties: false,
      properties: { name: { type: "string", minLength: 1 }, value: schemas.text, valueFrom: schemas.object },
    },
  }),
  extraVolumes: leaf("Volumes of the operator's pod, such as one with certificates.", [], schemas.objects),
  extraVolumeMounts: leaf("Where the operator's container has them.", [], schemas.objects),

  replicas: leaf("More than one is fine: one leads, the others wait.", 1, { type: "integer", minimum: 0, maximum: 5 }),
  updateStrategy: leaf("Of the Deployment.", {}, schemas.object),
  revisionHistoryLimit: leaf("How many earlier ReplicaSets the Deployment keeps.", 10, { type: "integer", minimum: 0 }),
  podDisruptionBudget: group({
    enabled: leaf(
      "A PodDisruptionBudget for the operator. It is of use with two replicas or more.",
      false,
      schemas.flag,
    ),
    minAvailable: leaf("A number or a share; goes before maxUnavailable.", "", count),
    maxUnavailable: leaf("A number or a share.", 1, count),
  }),
  monitoring: group({
    podMonitors: leaf(
      "PodMonitors for the Prometheus Operator: the operator, and all relays. Its kinds have to be installed.",
      false,
      schemas.flag,
    ),
    rules: leaf("A PrometheusRule with alerts: docs/reference/alerts.md.", false, schemas.flag),
    dashboard: leaf("A ConfigMap with a dashboard, which Grafana's sidecar finds by its label.", false, schemas.flag),
    dashboardLabels: leaf("By which the sidecar finds it.", { grafana_dashboard: "1" }, schemas.texts),
    dashboardAnnotations: leaf("Of that ConfigMap, such as grafana_folder: Mail.", {}, schemas.texts),
    namespace: leaf("Of all these objects; empty: that of the operator. It has to exist.", "", {
      type: "string",
      pattern: `^(${namespaceName})?$`,
    }),
    labels: leaf(
      "By which your Prometheus selects PodMonitors and rules, such as release: prometheus.",
      {},
      schemas.texts,
    ),
    interval: leaf("Between two scrapes, such as 30s; empty: that of Prometheus.", "", duration),
    scrapeTimeout: leaf("After which a scrape has failed; empty: that of Prometheus.", "", duration),
    relabelings: leaf("Of both PodMonitors, beside their own, before a scrape.", [], schemas.objects),
    metricRelabelings: leaf("Of both PodMonitors, of what a scrape has brought.", [], schemas.objects),
  }),
  networkPolicy: group({
    enabled: leaf(
      "A NetworkPolicy for the operator's pods. Those of relays are in spec.network.policy.",
      false,
      schemas.flag,
    ),
    metricsFrom: leaf(
      "Who may read metrics and health, as peers of a NetworkPolicy; empty: everybody. The kubelet's probes come from the node, which no policy blocks.",
      [],
      schemas.objects,
    ),
    egress: leaf(
      "Rules for what the operator connects to; empty: everything. It needs the API server, DNS, the relays' ports, and the certificate authority and name servers that specs name.",
      [],
      schemas.objects,
    ),
  }),

  resources: leaf(
    "Of the operator's container.",
    { requests: { cpu: "10m", memory: "96Mi" }, limits: { memory: "256Mi" } },
    schemas.object,
  ),
  podSecurityContext: leaf(
    "Of the operator's pod. OpenShift chooses the user: there set runAsUser and runAsGroup to null.",
    { runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, seccompProfile: { type: "RuntimeDefault" } },
    schemas.object,
  ),
  securityContext: leaf(
    "Of the operator's container.",
    { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"] } },
    schemas.object,
  ),
  livenessProbe: leaf("Times of the probe of /healthz.", { periodSeconds: 20 }, schemas.object),
  readinessProbe: leaf("Times of the probe of /readyz.", { periodSeconds: 5 }, schemas.object),
  deploymentAnnotations: leaf("Of the Deployment.", {}, schemas.texts),
  podAnnotations: leaf("Of the operator's pods.", {}, schemas.texts),
  podLabels: leaf("Of the operator's pods.", {}, schemas.texts),
  nodeSelector: leaf("Nodes that may run the operator.", {}, schemas.texts),
  tolerations: leaf("Taints that the operator's pods bear.", [], schemas.objects),
  affinity: leaf("Of the operator's pods.", {}, schemas.object),
  topologySpreadConstraints: leaf(
    "How replicas are spread. A constraint without labelSelector gets that of the operator's pods.",
    [],
    schemas.objects,
  ),
  priorityClassName: leaf("Of the operator's pods.", "", schemas.text),
  hostNetwork: leaf("The operator's pods are in the network of their node.", false, schemas.flag),
  dnsPolicy: leaf("Empty: that of Kubernetes.", "", {
    enum: ["", "ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"],
  }),
  dnsConfig: leaf("Name servers of the operator's pods.", {}, schemas.object),
  hostAliases: leaf("Lines of the pods' /etc/hosts.", [], schemas.objects),

  extraObjects: leaf("Further objects of the release, as maps or as text. Both may hold templates.", [], {
    type: "array",
    items: { type: ["object", "string"] },
  }),
};
