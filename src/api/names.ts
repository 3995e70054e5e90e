/**
 * Words that the Kubernetes API and our users see: group, kinds, labels, annotations. Each stands
 * here once.
 */
export const group = "chatmail.dev";
export const version = "v1alpha1";
export const apiVersion = `${group}/${version}`;

export const chatmailServer = {
  kind: "ChatmailServer",
  plural: "chatmailservers",
  singular: "chatmailserver",
  shortNames: ["cms"],
} as const;

export const chatmailFleet = {
  kind: "ChatmailFleet",
  plural: "chatmailfleets",
  singular: "chatmailfleet",
  shortNames: ["cmf"],
} as const;

/** The name under which the operator owns fields in server-side apply. */
export const fieldManager = "chatmail-operator";

/** What selects. */
export const labels = {
  /** On each object that the operator makes: the name of its server. */
  server: `${group}/server`,
  /** On pods, and on what is made for pods: which pods of the server. */
  component: `${group}/component`,
  /** On a ChatmailServer that a fleet made: the name of the fleet. */
  fleet: `${group}/fleet`,
} as const;

/**
 * For people and their tools, on what is deleted with the server. Nothing selects by these labels.
 * They are not on what outlives the server: Argo CD, where it finds its objects by label, would
 * delete that.
 */
export const shownLabels = (server: string, component: string) => ({
  "app.kubernetes.io/name": "chatmail-relay",
  "app.kubernetes.io/instance": server,
  "app.kubernetes.io/component": component,
  "app.kubernetes.io/managed-by": fieldManager,
});

/** On what outlives the server: Argo CD and Helm leave it in place, too. */
export const keepAnnotations = {
  "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
  "helm.sh/resource-policy": "keep",
} as const;

/** That of the Secret that cert-manager fills: it carries no label of ours. */
export const issuedTlsEnding = "-tls-issued";

/**
 * Objects that belong to a server, by the server's name. Names of at most 40 characters leave room
 * for what Kubernetes adds.
 */
export const childNames = (server: string) => ({
  planConfigMap: `${server}-plan`,
  dnsConfigMap: `${server}-dns`,
  dnsEndpoint: server,
  tlsSecret: `${server}-tls`,
  /** A Certificate of cert-manager, and the Secret that it fills. */
  certificate: `${server}-tls`,
  issuedTlsSecret: `${server}${issuedTlsEnding}`,
  /** A copy of the last certificate that could be served, where it comes from another Secret. */
  lastTlsSecret: `${server}-tls-last`,
  dkimSecret: `${server}-dkim`,
  invitesSecret: `${server}-invites`,
  turnSecret: `${server}-turn`,
  volumeClaim: `${server}-data`,
  service: server,
  /** A route of Traefik's for TLS, and one for HTTP. */
  edgeRoute: server,
  statefulSet: server,
  pod: `${server}-0`,
  expiryCronJob: `${server}-expiry`,
  backupCronJob: `${server}-backup`,
  backupDrillCronJob: `${server}-backup-drill`,
  /** And a digest of what is checked. */
  imageCheckJob: `${server}-check-`,
  networkPolicy: server,
  expiryNetworkPolicy: `${server}-expiry`,
  backupNetworkPolicy: `${server}-backup`,
});

export const eraseJobPrefix = (server: string) => `${server}-erase-`;
/** Another one for each server that had the name: the last one's may be there for a while. */
export const eraseJobName = ({ name, uid }: { name: string; uid: string }) =>
  `${eraseJobPrefix(name)}${uid.slice(0, 8)}`;

/** Of the jobs that copy a volume; a digest of what is copied follows. */
export const moveJobPrefix = (server: string) => `${server}-move-`;

/**
 * On a ChatmailServer whose deletion has to do more than Kubernetes does by itself, until that is
 * done.
 */
export const deletionFinalizer = `${group}/deletion`;

export const annotations = {
  /**
   * On the pod template: digest of the Secrets that are read only when the pod starts; another
   * value replaces the pod.
   */
  secretsHash: `${group}/secrets-hash`,
  /**
   * On a running pod: versions of what it mounts. The kubelet brings them up to date when it
   * changes.
   */
  synced: `${group}/synced`,
  /**
   * On a ChatmailServer, by a person: "volume" or "dkim", which is lost and may be replaced by a
   * new one.
   */
  acceptDataLoss: `${group}/accept-data-loss`,
  /** On a ChatmailServer, by a person: any new value starts one rotation of the DKIM keys. */
  rotateDkim: `${group}/rotate-dkim`,
  /**
   * On a ChatmailServer, by a person: selectors of DKIM keys that others may have. A new key takes
   * their place as soon as it is published, and their records are withdrawn.
   */
  dkimCompromised: `${group}/dkim-compromised`,
  /**
   * On a ChatmailServer, by a person: as management: Paused, for as long as it is there and not
   * "false".
   */
  pause: `${group}/pause`,
  /** On a ChatmailServer, by a person: how much the operator logs about it. */
  logLevel: `${group}/log-level`,
  /**
   * On a ChatmailServer that is deleted, by a person: nothing is waited for, as long as it is there
   * and not "false".
   */
  forceDelete: `${group}/force-delete`,
  /**
   * On a volume claim: which DKIM key the domain signs with. A cluster that is restored has no
   * status that remembers it.
   */
  dkimFingerprint: `${group}/dkim-fingerprint`,
  /**
   * On the pod template: digest of the template itself, image included. The pod carries it, too.
   */
  revision: `${group}/revision`,
  /**
   * On a StatefulSet: what its template was made from, and the last one that was good, compressed
   * (server/rendered.ts).
   */
  rendered: `${group}/rendered`,
  /**
   * On a ChatmailServer, by a person: the revision that it is to be updated to now, without a turn.
   */
  update: `${group}/update`,
  /** On a ChatmailServer, by a person: any new value tries the revision that failed again. */
  retryUpdate: `${group}/retry-update`,
  /**
   * On a ChatmailServer, by `kubectl chatmail move-volume`: the claim that is to have the
   * mailboxes, and a word that starts a failed copy again. The jobs that copy carry it, too.
   */
  moveVolume: `${group}/move-volume`,
  /**
   * On a volume claim: UID of the claim that it is a copy of, or has taken over from. With a number
   * it is no longer a copy that may be unfinished.
   */
  copyOf: `${group}/copy-of`,
  /** On a volume claim: the one with the highest number has the mailboxes of the server. */
  volumeNumber: `${group}/volume-number`,
  /** On the Secret of a certificate that is ordered by ACME: the order, and what was refused. */
  acmeOrder: `${group}/acme-order`,
  /** On a volume claim or Secret that may outlive its server: the domain that it belongs to. */
  domain: `${group}/domain`,
} as const;
