/** Words that the Kubernetes API and our users see: group, kinds, labels, annotations. Each stands here once. */
export const group = "chatmail.dev";
export const version = "v1alpha1";
export const apiVersion = `${group}/${version}`;

export const chatmailServer = {
  kind: "ChatmailServer",
  plural: "chatmailservers",
  singular: "chatmailserver",
  shortNames: ["cms"],
} as const;

/** The name under which the operator owns fields in server-side apply. */
export const fieldManager = "chatmail-operator";

export const labels = {
  name: "app.kubernetes.io/name",
  instance: "app.kubernetes.io/instance",
  component: "app.kubernetes.io/component",
  managedBy: "app.kubernetes.io/managed-by",
} as const;

/** Values of those labels on every object that the operator makes. */
export const labelValues = { name: "chatmail-relay", managedBy: fieldManager } as const;

/** Objects that belong to a server, by the server's name. Names of at most 40 characters leave room for what Kubernetes adds. */
export const childNames = (server: string) => ({
  planConfigMap: `${server}-plan`,
  tlsSecret: `${server}-tls`,
  dkimSecret: `${server}-dkim`,
  invitesSecret: `${server}-invites`,
  turnSecret: `${server}-turn`,
  volumeClaim: `${server}-data`,
  service: server,
  statefulSet: server,
  pod: `${server}-0`,
  expiryCronJob: `${server}-expiry`,
  networkPolicy: server,
  expiryNetworkPolicy: `${server}-expiry`,
});

export const annotations = {
  /** On the pod template: digest of the Secrets that are read only when the pod starts; another value replaces the pod. */
  secretsHash: `${group}/secrets-hash`,
  /** On a running pod: versions of what it mounts. The kubelet brings them up to date when it changes. */
  synced: `${group}/synced`,
  /** On a volume claim or Secret that may outlive its server: the domain that it belongs to. */
  domain: `${group}/domain`,
} as const;
