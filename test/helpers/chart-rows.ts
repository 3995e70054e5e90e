/** Values of the chart chatmail-operator, alone and together: each value is in one row at least. */
import { expect } from "vitest";

export interface ChartRow {
  when: string;
  values: Record<string, unknown>;
  /** What has to be found in the objects, as a part of one of them; by kind and name. */
  has?: Record<string, object>;
  /** Objects that are not there. */
  lacks?: readonly string[];
}

const name = "chatmail-operator";
const deployment = `Deployment ${name}`;
/** The Deployment whose pods have this spec. */
const pod = (spec: object) => ({ [deployment]: { spec: { template: { spec } } } });
const container = (of: object) => pod({ containers: [{ name: "operator", ...of }] });
const digest = `sha256:${"0123456789abcdef".repeat(4)}`;
const secret = { name: "registry" };

export const chartRows: readonly ChartRow[] = [
  { when: "nothing is set", values: {}, has: { [deployment]: { spec: { replicas: 1 } } } },
  {
    when: "images are in a registry",
    values: {
      image: { registry: "registry.example", repository: "team/operator", tag: "2", digest, pullPolicy: "Always" },
    },
    has: container({ image: `registry.example/team/operator:2@${digest}`, imagePullPolicy: "Always" }),
  },
  {
    when: "a registry is set for all charts",
    values: { global: { imageRegistry: "mirror.example", imagePullSecrets: [secret] } },
    has: pod({
      imagePullSecrets: [secret],
      containers: [{ image: expect.stringMatching(/^mirror[.]example[/]chatmail-operator:/) }],
    }),
  },
  {
    when: "the relay's image has a registry, a digest and pull secrets",
    values: {
      relayImage: {
        registry: "registry.example",
        repository: "relay",
        tag: "2",
        digest,
        pullPolicy: "Always",
        pullSecrets: [secret],
        allowed: ["registry.example/team/", "registry.example/other"],
      },
      imagePullSecrets: [{ name: "operator-registry" }],
      serverDefaults: { image: { pullPolicy: "Never" }, storage: { storageClassName: "fast" } },
    },
    has: pod({ imagePullSecrets: [{ name: "operator-registry" }] }),
  },
  {
    when: "the release has another name, and labels of its own",
    values: {
      nameOverride: "mail",
      fullnameOverride: "mail-operator",
      commonLabels: { team: "mail", "app.kubernetes.io/name": "never" },
      commonAnnotations: { "example.com/owner": "mail" },
    },
    has: {
      "Deployment mail-operator": {
        metadata: {
          labels: { team: "mail", "app.kubernetes.io/name": "mail" },
          annotations: { "example.com/owner": "mail" },
        },
        spec: { template: { metadata: { labels: { team: "mail", "app.kubernetes.io/name": "mail" } } } },
      },
      "Role mail-operator": { metadata: { labels: { team: "mail" }, annotations: { "example.com/owner": "mail" } } },
      "ClusterRole mail-operator-view": { metadata: { annotations: { "example.com/owner": "mail" } } },
    },
  },
  {
    when: "it is a part of a release elsewhere",
    values: { namespaceOverride: "default", podDisruptionBudget: { enabled: true }, networkPolicy: { enabled: true } },
    has: {
      [deployment]: { metadata: { namespace: "default" } },
      "Role chatmail-operator": { metadata: { namespace: "default" } },
      "RoleBinding chatmail-operator": {
        metadata: { namespace: "default" },
        subjects: [{ kind: "ServiceAccount", namespace: "default" }],
      },
      "Job chatmail-operator-release": { metadata: { namespace: "default" } },
    },
  },
  {
    when: "updates are slow",
    values: {
      rollout: {
        paused: true,
        gate: "Ready",
        canarySoakSeconds: 604_800,
        maxUnavailable: "5%",
        soakSeconds: 0,
        maxFailures: 1_000,
      },
    },
  },
  { when: "the CRDs are elsewhere", values: { crds: { enabled: false } } },
  {
    when: "two namespaces are watched",
    values: { watch: { namespaces: ["chatmail", "default"] } },
    has: { "Role chatmail-operator": {}, "RoleBinding chatmail-operator-leader": {} },
    lacks: ["ClusterRole chatmail-operator"],
  },
  {
    when: "all namespaces are watched",
    values: { watch: { allNamespaces: true } },
    has: { "ClusterRole chatmail-operator": {}, "Role chatmail-operator-leader": {} },
    lacks: ["Role chatmail-operator"],
  },
  {
    when: "rights are given by somebody else",
    values: { rbac: { create: false, aggregateToUserRoles: false }, serviceAccount: { create: false } },
    has: pod({ serviceAccountName: "default" }),
    lacks: ["Role chatmail-operator", "RoleBinding chatmail-operator-leader", "ServiceAccount chatmail-operator"],
  },
  {
    when: "the account has a name",
    values: {
      serviceAccount: {
        name: "mail",
        annotations: { "example.com/role": "mail" },
        labels: { "example.com/use": "true" },
        automountToken: false,
      },
    },
    has: {
      "ServiceAccount mail": {
        metadata: {
          annotations: { "example.com/role": "mail" },
          labels: { "example.com/use": "true", "app.kubernetes.io/name": name },
        },
        automountServiceAccountToken: false,
      },
      ...pod({ serviceAccountName: "mail", automountServiceAccountToken: true }),
    },
    lacks: ["ServiceAccount chatmail-operator"],
  },
  {
    when: "the operator has settings and files of its own",
    values: {
      logLevel: "trace",
      workers: 64,
      healthPort: 9443,
      extraEnv: [
        { name: "NODE_EXTRA_CA_CERTS", value: "/etc/ca/ca.pem" },
        { name: "NODE_NAME", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
      ],
      extraVolumes: [{ name: "ca", configMap: { name: "ca" } }],
      extraVolumeMounts: [{ name: "ca", mountPath: "/etc/ca", readOnly: true }],
    },
    has: pod({
      volumes: [{ name: "ca" }],
      containers: [{ ports: [{ containerPort: 9443 }], volumeMounts: [{ mountPath: "/etc/ca" }] }],
    }),
  },
  {
    when: "it is highly available",
    values: {
      replicas: 3,
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      revisionHistoryLimit: 0,
      podDisruptionBudget: { enabled: true, maxUnavailable: "50%" },
      topologySpreadConstraints: [
        { maxSkew: 1, topologyKey: "kubernetes.io/hostname", whenUnsatisfiable: "DoNotSchedule" },
      ],
      affinity: {
        podAntiAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            { weight: 1, podAffinityTerm: { topologyKey: "kubernetes.io/hostname", labelSelector: {} } },
          ],
        },
      },
    },
    has: {
      [deployment]: {
        spec: {
          replicas: 3,
          revisionHistoryLimit: 0,
          strategy: { rollingUpdate: { maxUnavailable: 0 } },
          template: {
            spec: {
              topologySpreadConstraints: [
                { maxSkew: 1, labelSelector: { matchLabels: { "app.kubernetes.io/name": name } } },
              ],
            },
          },
        },
      },
      [`PodDisruptionBudget ${name}`]: { spec: { maxUnavailable: "50%" } },
    },
  },
  {
    when: "one replica has to stay",
    values: { replicas: 2, podDisruptionBudget: { enabled: true, minAvailable: 1 } },
    has: { [`PodDisruptionBudget ${name}`]: { spec: { minAvailable: 1 } } },
  },
  {
    when: "Prometheus and Grafana are there",
    values: { monitoring: { podMonitors: true, rules: true, dashboard: true, labels: { release: "prometheus" } } },
    has: {
      [`PodMonitor ${name}`]: { metadata: { labels: { release: "prometheus" } } },
      [`PodMonitor ${name}-relays`]: {
        metadata: { labels: { release: "prometheus" } },
        spec: {
          selector: { matchLabels: { "chatmail.dev/component": "relay" } },
          namespaceSelector: { matchNames: ["chatmail"] },
        },
      },
      [`PrometheusRule ${name}`]: { spec: { groups: [{ name: "chatmail" }] } },
      [`ConfigMap ${name}-dashboard`]: {
        metadata: { labels: { grafana_dashboard: "1" } },
        data: { "chatmail.json": expect.stringMatching(/^[{].*"title": "Chatmail"/s) },
      },
    },
  },
  {
    when: "Prometheus has a namespace and times of its own",
    values: {
      monitoring: {
        podMonitors: true,
        rules: true,
        dashboard: true,
        namespace: "default",
        interval: "1m",
        scrapeTimeout: "20s",
        relabelings: [{ targetLabel: "cluster", replacement: "one" }],
        metricRelabelings: [{ sourceLabels: ["__name__"], regex: "nodejs_.*", action: "drop" }],
        dashboardLabels: { dashboards: "mail" },
        dashboardAnnotations: { grafana_folder: "Mail" },
      },
    },
    has: {
      [`PodMonitor ${name}`]: {
        metadata: { namespace: "default" },
        spec: {
          namespaceSelector: { matchNames: ["chatmail"] },
          podMetricsEndpoints: [
            {
              interval: "1m",
              scrapeTimeout: "20s",
              relabelings: [{ targetLabel: "cluster" }],
              metricRelabelings: [{ action: "drop" }],
            },
          ],
        },
      },
      [`PodMonitor ${name}-relays`]: {
        metadata: { namespace: "default" },
        spec: {
          namespaceSelector: { matchNames: ["chatmail"] },
          podMetricsEndpoints: [{ interval: "1m", relabelings: [{ targetLabel: "name" }, { targetLabel: "cluster" }] }],
        },
      },
      [`PrometheusRule ${name}`]: { metadata: { namespace: "default" } },
      [`ConfigMap ${name}-dashboard`]: {
        metadata: { namespace: "default", labels: { dashboards: "mail" }, annotations: { grafana_folder: "Mail" } },
      },
    },
  },
  {
    when: "relays of all namespaces are scraped",
    values: { monitoring: { podMonitors: true }, watch: { allNamespaces: true } },
    has: { [`PodMonitor ${name}-relays`]: { spec: { namespaceSelector: { any: true } } } },
    lacks: [`PrometheusRule ${name}`, `ConfigMap ${name}-dashboard`],
  },
  {
    when: "the network is closed",
    values: { networkPolicy: { enabled: true } },
    has: { [`NetworkPolicy ${name}`]: { spec: { ingress: [{ ports: [{ port: "health" }] }], egress: [{}] } } },
  },
  {
    when: "the network is closed but for some",
    values: {
      networkPolicy: {
        enabled: true,
        metricsFrom: [{ namespaceSelector: { matchLabels: { team: "monitoring" } } }],
        egress: [{ ports: [{ port: 443, protocol: "TCP" }] }],
      },
    },
    has: {
      [`NetworkPolicy ${name}`]: {
        spec: { ingress: [{ from: [{ namespaceSelector: {} }] }], egress: [{ ports: [{ port: 443 }] }] },
      },
    },
  },
  {
    when: "OpenShift chooses the user",
    values: {
      podSecurityContext: { runAsUser: null, runAsGroup: null, fsGroup: 1000 },
      securityContext: { privileged: false },
    },
    has: pod({
      securityContext: { runAsNonRoot: true, fsGroup: 1000 },
      containers: [{ securityContext: { privileged: false, readOnlyRootFilesystem: true } }],
    }),
  },
  {
    when: "pods are placed",
    values: {
      resources: { requests: { cpu: "100m" }, limits: { memory: "1Gi" } },
      livenessProbe: { periodSeconds: 60, failureThreshold: 5 },
      readinessProbe: { timeoutSeconds: 3 },
      deploymentAnnotations: { "example.com/a": "1" },
      podAnnotations: { "example.com/b": "2" },
      podLabels: { tier: "control" },
      nodeSelector: { "kubernetes.io/arch": "arm64" },
      tolerations: [{ key: "mail", operator: "Exists", effect: "NoSchedule" }],
      priorityClassName: "system-cluster-critical",
      hostNetwork: true,
      dnsPolicy: "None",
      dnsConfig: { nameservers: ["192.0.2.53"] },
      hostAliases: [{ ip: "192.0.2.1", hostnames: ["ns1.example.org"] }],
    },
    has: {
      [deployment]: {
        metadata: { annotations: { "example.com/a": "1" } },
        spec: {
          template: {
            metadata: { annotations: { "example.com/b": "2" }, labels: { tier: "control" } },
            spec: {
              hostNetwork: true,
              dnsPolicy: "None",
              dnsConfig: { nameservers: ["192.0.2.53"] },
              hostAliases: [{ ip: "192.0.2.1" }],
              nodeSelector: { "kubernetes.io/arch": "arm64" },
              tolerations: [{ key: "mail" }],
              priorityClassName: "system-cluster-critical",
              containers: [
                {
                  livenessProbe: { periodSeconds: 60, failureThreshold: 5, httpGet: { path: "/healthz" } },
                  readinessProbe: { periodSeconds: 5, timeoutSeconds: 3, httpGet: { path: "/readyz" } },
                  resources: { requests: { cpu: "100m", memory: "96Mi" }, limits: { memory: "1Gi" } },
                },
              ],
            },
          },
        },
      },
    },
  },
  {
    when: "the release has further objects",
    values: {
      extraObjects: [
        { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a", labels: { of: "{{ .Release.Name }}" } } },
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-b",
      ],
    },
    has: {
      "ConfigMap a": { metadata: { labels: { of: name } } },
      [`ConfigMap ${name}-b`]: {},
    },
  },
];

/** Refused by the schema or by the template, with these words. */
export const wrongValues: readonly { values: Record<string, unknown>; says: RegExp }[] = [
  { values: { watch: { namespace: "mail" } }, says: /watch.*namespace/s },
  { values: { logLevel: "loud" }, says: /logLevel/ },
  { values: { workers: 65 }, says: /workers/ },
  { values: { healthPort: 0 }, says: /healthPort/ },
  { values: { replicas: -1 }, says: /replicas/ },
  { values: { image: { digest: "sha256:short" } }, says: /digest/ },
  { values: { image: { repository: "" } }, says: /repository/ },
  { values: { image: { tag: "a b" } }, says: /tag/ },
  { values: { relayImage: { allowed: "registry.example/relay" } }, says: /allowed/ },
  { values: { relayImage: { pullSecrets: ["registry"] } }, says: /pullSecrets/ },
  { values: { rollout: { maxUnavailable: 0 } }, says: /maxUnavailable/ },
  { values: { rollout: { gate: "Never" } }, says: /gate/ },
  { values: { serverDefaults: { domain: "nine.example.org" } }, says: /domain/ },
  { values: { serverDefaults: { fleetRef: { name: "a" } } }, says: /fleetRef/ },
  { values: { serverDefaults: { storage: { className: "fast" } } }, says: /className/ },
  { values: { serverDefaults: { accounts: { sendBurst: 0 } } }, says: /sendBurst/ },
  { values: { namespaceOverride: "Mail" }, says: /namespaceOverride/ },
  { values: { monitoring: { interval: "30" } }, says: /interval/ },
  { values: { podDisruptionBudget: { maxUnavailable: "half" } }, says: /maxUnavailable/ },
  { values: { extraEnv: [{ name: "WORKERS", value: "9" }] }, says: /extraEnv: WORKERS is set by other values/ },
  { values: { extraEnv: [{ name: "SERVER_DEFAULTS", value: "{}" }] }, says: /extraEnv: SERVER_DEFAULTS/ },
];
