/**
 * One word for each reason; the same word in conditions, events, logs and docs. `meaning` is shown
 * in the reference page, `who` is who must act so that the problem is solved.
 */

/**
 * - moving: the operator or the cluster is working on it; it is solved within minutes.
 * - needs edit: only an edit of the spec helps.
 * - needs person: only a person can solve it, outside the spec.
 * - passing: an external error; the operator retries.
 */
export type WhoActs = "moving" | "needs edit" | "needs person" | "passing";

type ReasonRow = { meaning: string } & (
  | {
      who: "moving" | "passing";
      /** What takes longer does not pass by itself: somebody has to look. */
      withinMinutes: number;
    }
  | { who: "needs edit" | "needs person" }
  /** Told in a condition of its own; the relay is as its spec says all the same. */
  | { who: WhoActs; aside: true }
  /** Nobody has to act. */
  | { who?: undefined }
);

export const reasons = {
  Serving: { meaning: "all checks are passed" },
  ServingUnpublished: {
    meaning: "the relay serves, but DNS records that mail needs are missing; condition DNSReady says which",
  },
  Progressing: { who: "moving", withinMinutes: 10, meaning: "changes are being applied" },
  Settled: { meaning: "all changes are applied" },
  NotStalled: { meaning: "reconciliation is not blocked" },
  Managed: { meaning: "the operator carries out the spec" },
  EditWaiting: { who: "needs person", meaning: "the server is paused, and its objects are not as the spec says" },
  Paused: {
    meaning:
      "the pod, its volume and its Service are left as they are: management is Paused, or the annotation chatmail.dev/pause is set",
  },
  Deleting: {
    who: "moving",
    withinMinutes: 75,
    meaning:
      "the server is being deleted: the message says what is being done; with the annotation chatmail.dev/force-delete nothing is waited for",
  },
  OtherOperator: {
    who: "needs person",
    aside: true,
    meaning:
      "told in an event and in the operator's log alone: another operator looks after the namespace, and this one does nothing in it",
  },
  Unmanaged: { meaning: "the operator changes nothing of this server: management is Unmanaged" },
  SpecInvalid: { who: "needs edit", meaning: "the spec is invalid; the message names the field and the rule" },
  DomainTaken: { who: "needs edit", meaning: "another server in the cluster serves the same domain" },
  FleetMissing: {
    who: "needs person",
    meaning: "the ChatmailFleet that the spec names does not exist or can't be read; the relay goes on as it is",
  },
  ImageNotAllowed: {
    who: "needs edit",
    meaning: "the operator's configuration does not allow the image that the spec names",
  },
  InternalError: {
    who: "needs person",
    meaning: "an internal error of the operator prevented it from applying the spec",
  },
  NamespaceForbidden: {
    who: "needs person",
    meaning: "the operator lacks the right to list objects in the namespace, or the namespace is gone",
  },
  ApplyFailed: { who: "passing", withinMinutes: 10, meaning: "the API server refused an object of the server" },
  ApplyConflict: {
    who: "needs person",
    meaning: "an object with a name that the server needs belongs to something else",
  },
  VolumeBound: { meaning: "the volume is bound" },
  VolumePending: { who: "moving", withinMinutes: 10, meaning: "the volume is not bound yet" },
  VolumeResizing: { who: "moving", withinMinutes: 60, meaning: "the volume is growing to the size of the spec" },
  ResizeRefused: {
    who: "needs edit",
    meaning: "the volume can't grow to the size of the spec; it is used as it is, and the size may be taken back",
  },
  VolumeMoving: { who: "moving", withinMinutes: 1440, meaning: "the volume is being moved to another claim" },
  VolumeMoveFailed: {
    who: "needs person",
    aside: true,
    meaning: "the volume could not be moved; the mailboxes stay on the one that they are on",
  },
  VolumeLost: {
    who: "needs person",
    meaning: "the volume with the mailboxes no longer exists or was replaced; no empty one takes its place",
  },
  VolumeEnding: {
    who: "needs person",
    meaning: "the volume's claim was deleted: the volume exists only as long as the relay pod runs",
  },
  VolumeNearlyFull: {
    who: "needs person",
    aside: true,
    meaning: "the volume has little room left; soon no accounts are created and no mail is accepted",
  },
  RelayRunning: { meaning: "all containers of the relay pod are ready" },
  PodMissing: { who: "moving", withinMinutes: 10, meaning: "the relay pod does not exist yet" },
  PodPending: { who: "moving", withinMinutes: 10, meaning: "the relay pod is not running yet" },
  PodUnschedulable: { who: "moving", withinMinutes: 15, meaning: "no node can run the relay pod" },
  PodForbidden: {
    who: "needs person",
    meaning: "the cluster refuses the relay pod: a quota, a limit, Pod Security or another policy",
  },
  ReferenceMissing: { who: "needs person", meaning: "a Secret or ConfigMap that the relay pod mounts does not exist" },
  VolumeUnavailable: {
    who: "passing",
    withinMinutes: 10,
    meaning: "a volume of the relay pod can't be attached or mounted",
  },
  SandboxFailed: {
    who: "passing",
    withinMinutes: 10,
    meaning: "the node can't set up the relay pod, usually its network",
  },
  NodeLost: {
    who: "needs person",
    meaning:
      "the node of the relay pod does not answer; the relay is not started elsewhere until that node is confirmed to be off",
  },
  Restoring: {
    who: "moving",
    withinMinutes: 360,
    meaning: "accounts are restored from a backup; then the relay starts",
  },
  RestoreFailed: {
    who: "needs person",
    meaning: "the backup can't be restored, and the relay does not start; the message says why",
  },
  PodFailing: { who: "passing", withinMinutes: 10, meaning: "a container of the relay pod fails" },
  ImageUnavailable: { who: "passing", withinMinutes: 10, meaning: "an image can't be pulled" },
  AddressesKnown: { meaning: "the relay has an address" },
  PrivateAddress: {
    who: "needs edit",
    meaning: "other relays can't reach the relay: its addresses are those of a private network",
  },
  AddressPending: { who: "moving", withinMinutes: 10, meaning: "the Service has no address yet" },
  SourceAddressHidden: {
    who: "needs person",
    aside: true,
    meaning: "nearly all clients arrive from one address, so limits for one client meet all of them",
  },
  CertificateIssued: { meaning: "a valid certificate is used" },
  CertificateMissing: { who: "passing", withinMinutes: 30, meaning: "there is no certificate yet" },
  CertificateExpired: {
    who: "needs person",
    meaning: "the certificate, or an intermediate certificate, has expired",
  },
  CertificateMismatch: { who: "needs person", meaning: "the certificate is not for this domain" },
  CertificateInvalid: {
    who: "needs person",
    meaning: "certificate or key is unreadable, they do not match, or clients do not support their type",
  },
  CertificateChainIncomplete: {
    who: "needs person",
    meaning: "an intermediate certificate is missing, or the order is wrong",
  },
  CertificateUntrusted: {
    who: "needs person",
    meaning: "the certificate is not signed by an authority that clients trust",
  },
  CertManagerMissing: {
    who: "needs person",
    meaning: "the cluster has no cert-manager, or the operator may not use it",
  },
  CertificateCurrent: { meaning: "every port presents the certificate" },
  CertificateNotChecked: {
    who: "moving",
    aside: true,
    meaning: "the ports of the relay pod have not been asked yet which certificate they present",
  },
  CertificateOutdated: {
    who: "passing",
    aside: true,
    meaning: "a port presents another certificate than the one in the Secret",
  },
  CertificateUnreachable: {
    who: "passing",
    aside: true,
    meaning: "a port of the relay pod does not answer with TLS, so what it presents is not known",
  },
  CertificateEnding: {
    who: "needs person",
    aside: true,
    meaning:
      "the certificate ends within 21 days and was not renewed; one for less than 90 days: when 23 % of its life is left",
  },
  CertificateEndsSoon: {
    who: "needs person",
    aside: true,
    meaning:
      "the certificate ends within 7 days and was not renewed; one for less than 90 days: when 8 % of its life is left",
  },
  CertificateSourceMissing: {
    who: "needs edit",
    meaning: "nothing says where the certificate comes from; the message names what to set",
  },
  CertificatePending: {
    who: "moving",
    withinMinutes: 30,
    meaning: "a first certificate is being ordered; a self-signed one is served meanwhile",
  },
  CertificateWaits: {
    who: "needs person",
    meaning: "a first certificate is ordered as soon as the records that the message names are published",
  },
  CertificateOrderFailed: {
    who: "passing",
    withinMinutes: 60,
    meaning: "the authority did not issue a certificate; the message has its words and when it is tried again",
  },
  AcmeAccountInvalid: {
    who: "needs person",
    meaning: "the ACME account can't be used: its Secret, or what the authority wants of its holder",
  },
  DKIMKeyLost: {
    who: "needs person",
    meaning: "the DKIM key no longer exists or was replaced; no other key takes its place",
  },
  DkimKeyInvalid: { who: "needs person", meaning: "the Secret of the DKIM key contains no valid key" },
  DKIMRotationWaits: {
    who: "needs person",
    aside: true,
    meaning: "a new DKIM key waits until a person publishes its record; mail is signed with the key before",
  },
  RecordsPublished: { meaning: "every name server of the zone has the records" },
  RecordsIncomplete: {
    who: "needs person",
    aside: true,
    meaning: "records are missing or different; ConfigMap NAME-dns has them as text",
  },
  DnssecBogus: {
    who: "needs person",
    aside: true,
    meaning: "the zone is signed wrongly: resolvers that validate refuse its records",
  },
  CaaForbidsIssuer: {
    who: "needs person",
    aside: true,
    meaning: "CAA records do not let the authority of the certificate issue one",
  },
  RecordsUnknown: { who: "passing", aside: true, meaning: "the records can't be verified; the message says why" },
  RecordsNotVerified: { who: "moving", aside: true, meaning: "the records are being verified for the first time" },
  RecordsPending: {
    who: "moving",
    withinMinutes: 30,
    meaning: "the records are being published, and not every name server has them yet",
  },
  RecordsNotOurs: {
    who: "needs person",
    meaning: "records that the operator did not write are in the way of required ones",
  },
  TsigSecretMissing: {
    who: "needs person",
    meaning: "the Secret with the TSIG key does not exist or can't be used; the message says what is wrong",
  },
  ExternalDNSMissing: {
    who: "needs person",
    meaning: "the cluster lacks the kind DNSEndpoint, by which external-dns is told of records",
  },
  DnsUpdateRefused: {
    who: "needs person",
    meaning: "the name server refuses to change the zone, or to answer; the message says what to allow",
  },
  DnsZoneNotServed: { who: "needs person", meaning: "the name server is not the primary one of the zone" },
  DnsNotInZone: { who: "needs edit", meaning: "records of the domain are not in the zone that dns.rfc2136.zone names" },
  DnsUpdateConflict: {
    who: "passing",
    withinMinutes: 30,
    meaning: "something else writes the records of the domain at the same time",
  },
  DnsOwnedByOther: { who: "needs person", meaning: "the zone says that another operator publishes these records" },
  DnsServerFailed: { who: "passing", withinMinutes: 30, meaning: "the name server reports a failure of its own" },
  DnsServerUnreachable: { who: "passing", withinMinutes: 30, meaning: "no name server of dns.rfc2136.servers answers" },
  DnsAnswerForged: {
    who: "passing",
    withinMinutes: 30,
    meaning: "an answer of the name server is not signed as it has to be, so it is not taken",
  },
  TsigKeyUnknown: { who: "needs person", meaning: "the name server does not know the TSIG key (BADKEY)" },
  TsigSecretWrong: { who: "needs person", meaning: "the name server has another secret for the TSIG key (BADSIG)" },
  TsigTimeWrong: {
    who: "needs person",
    meaning: "the clocks of the name server and of the operator differ by more than 300 s (BADTIME)",
  },
  InvitesThere: { meaning: "there are invites for new members" },
  InvitesMissing: {
    who: "needs person",
    aside: true,
    meaning: "registration requires an invite, and no invite exists",
  },
  AccountsOpen: { meaning: "new accounts are created" },
  Closed: { meaning: "registration is Closed in the spec" },
  DiskLow: { who: "needs person", aside: true, meaning: "the volume is nearly full, so no new accounts are created" },
  MemoryLow: { who: "passing", aside: true, meaning: "the node is short of memory, so no new accounts are created" },
  LoadHigh: { who: "passing", aside: true, meaning: "the node's CPUs are overloaded, so no new accounts are created" },
  AccountsRefused: {
    who: "passing",
    aside: true,
    meaning: "the relay creates no new accounts, for a reason that this operator does not know",
  },
  MessageDelivered: { meaning: "the relay's messages to itself are delivered, by the ports that clients use" },
  NotProbed: {
    who: "moving",
    aside: true,
    meaning: "the relay has not reported whether its messages to itself arrive",
  },
  DeliveryFailed: {
    who: "passing",
    withinMinutes: 10,
    meaning: "the relay's messages to itself do not arrive; the message names the step that fails",
  },
  QueueMoving: { meaning: "mail in the queue is delivered, or is retried as it should be" },
  QueueStuck: {
    who: "needs person",
    aside: true,
    meaning: "mail stays in the relay's queue; the message says where it is to go",
  },
  PlanUsed: { meaning: "the relay pod uses the newest plan, which follows from the spec" },
  PlanPending: { who: "moving", withinMinutes: 5, meaning: "new settings are on their way to the relay pod" },
  PlanRefused: {
    who: "needs edit",
    meaning: "the relay's image can't use the new settings; the relay continues with the ones before",
  },
  UpdateHeld: {
    who: "needs person",
    meaning: "the running pod is not replaced, because its successor could not start; the message says what is missing",
  },
  UpdateChecking: {
    who: "moving",
    withinMinutes: 15,
    meaning: "another image is being checked on the node of the relay pod, which goes on meanwhile",
  },
  ImageUnchecked: {
    meaning: "another image replaces the one of the relay pod although it could not be checked; the event says why",
  },
  UpdateFailed: {
    who: "needs person",
    meaning:
      "the pod of a new revision did not become ready in time; with onFailure Rollback the last good revision serves again",
  },
  UpdateWaits: {
    who: "moving",
    aside: true,
    meaning: "an upgrade waits for its turn, its window or a person; the relay serves as before",
  },
  UpdateStopped: {
    who: "needs person",
    aside: true,
    meaning: "upgrades have stopped because others failed; the relay serves as before",
  },
  WebsiteServed: { meaning: "the files of your own are published" },
  WebsiteMissing: {
    who: "needs person",
    meaning:
      "a ConfigMap with pages or app versions of your own is missing or incomplete; the built-in pages are served",
  },
  WebsiteTextsInvalid: {
    who: "needs person",
    meaning: "some texts of your own for the pages can't be used; the built-in ones stand in their place",
  },
  RelayNotAsked: { who: "moving", aside: true, meaning: "the relay pod has not reported yet" },
  RelayUnreachable: { who: "passing", aside: true, meaning: "the operator can't reach the relay pod's health port" },
  ServersCreated: { meaning: "every server that the fleet lists exists" },
  ServersMissing: { who: "moving", withinMinutes: 30, meaning: "servers that the fleet lists are being created" },
  ServerConflict: {
    who: "needs edit",
    meaning: "a row of the fleet's domains can't be carried out: its name or its domain belongs to another server",
  },
  ServerUnlisted: {
    who: "needs person",
    aside: true,
    meaning: "a server was removed from the fleet's domains; it is served until a person deletes it",
  },
  RollingOut: { who: "moving", withinMinutes: 10_080, meaning: "the servers of the fleet are being updated, in waves" },
  RolloutPaused: { who: "needs person", meaning: "the rollout of the fleet is paused, and servers wait to be updated" },
  RolloutStopped: {
    who: "needs person",
    meaning: "updates of the fleet have stopped, because some failed; the message names them",
  },
  RolledBack: {
    who: "needs person",
    meaning:
      "updates of the fleet failed, and its servers go back to the image before; another version starts a new rollout",
  },
  ServersStalled: { who: "needs person", meaning: "servers of the fleet are Stalled; the message names the first" },
  ServersNotReady: {
    who: "passing",
    withinMinutes: 60,
    meaning: "servers of the fleet are not Ready; the message names the first",
  },
  ExpiryOnTime: { meaning: "the last expiry run succeeded" },
  ExpiryNotYetRun: { who: "moving", aside: true, meaning: "expiry has not run yet" },
  ExpiryLate: { who: "needs person", aside: true, meaning: "expiry has not run for two days" },
  ExpiryFailed: { who: "passing", aside: true, meaning: "the last expiry run failed" },
  BackupMade: { meaning: "the last backup was made and verified" },
  BackupNotYetMade: { who: "moving", aside: true, meaning: "no backup has been made yet" },
  BackupLate: {
    who: "needs person",
    aside: true,
    meaning: "a run of the schedule was missed, and no backup was made since",
  },
  BackupFailed: { who: "passing", aside: true, meaning: "the last backup failed; the message says why" },
  BackupDrillFailed: {
    who: "needs person",
    aside: true,
    meaning: "the newest backup could not be read; the message says why",
  },
  BackupSecretMissing: {
    who: "needs person",
    aside: true,
    meaning: "the Secret with the credentials of the store for backups does not exist",
  },
  BackupUnencrypted: {
    who: "needs edit",
    aside: true,
    meaning: "the spec names a place for backups, and nobody who could read them: none are made",
  },
} as const satisfies Record<string, ReasonRow>;

export type Reason = keyof typeof reasons;

/** Why a relay pod creates no new accounts, in its report and in the status. */
export const acceptingReasons = ["Closed", "DiskLow", "MemoryLow", "LoadHigh"] as const satisfies readonly Reason[];
export type AcceptingReason = (typeof acceptingReasons)[number];
export interface NotAccepting {
  reason: AcceptingReason;
  /** A sentence with figures. */
  message: string;
}

const rows: Readonly<Record<Reason, ReasonRow>> = reasons;

/** Undefined where nobody has to act. */
export function whoActs(reason: Reason): WhoActs | undefined {
  return rows[reason].who;
}

/** Time alone will not help. */
export function isStalled(reason: Reason): boolean {
  const who = whoActs(reason);
  return who === "needs edit" || who === "needs person";
}

/** How long it may take to pass; undefined where nobody waits for that. */
export function deadlineMs(reason: Reason): number | undefined {
  const row = rows[reason];
  return "withinMinutes" in row ? row.withinMinutes * 60_000 : undefined;
}

/** Told in a condition of its own: Ready, Reconciling and Stalled do not follow it. */
export const isAside = (reason: Reason): boolean => "aside" in rows[reason];
