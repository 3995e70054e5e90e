/**
 * One word for each thing that can be said of a server; the same word in conditions, events, logs and docs. `meaning` is what a person
 * reads in the reference page, `who` says who must act so that it passes.
 */

/**
 * - moving: the operator or the cluster is at it, and it passes by itself within minutes.
 * - needs edit: only an edit of the spec helps.
 * - needs person: only a person can mend it, outside the spec.
 * - passing: a fault outside; what failed is tried again.
 */
export type WhoActs = "moving" | "needs edit" | "needs person" | "passing";

interface ReasonRow {
  meaning: string;
  /** Absent where nobody has to act. */
  who?: WhoActs;
}

export const reasons = {
  Serving: { meaning: "everything that can be checked is in place" },
  Progressing: { who: "moving", meaning: "changes are being carried out" },
  Settled: { meaning: "nothing is left to change" },
  NotStalled: { meaning: "reconciliation is not blocked" },
  Paused: { meaning: "spec changes wait until management is Managed again" },
  Unmanaged: { meaning: "the operator leaves this server alone" },
  SpecInvalid: { who: "needs edit", meaning: "the spec is wrong; the message names field and rule" },
  DomainTaken: { who: "needs edit", meaning: "another server in the cluster serves the same domain" },
  ImageNotAllowed: {
    who: "needs edit",
    meaning: "the operator's configuration does not allow the image that the spec names",
  },
  InternalError: { who: "needs person", meaning: "a fault in the operator kept it from carrying out the spec" },
  NamespaceForbidden: {
    who: "needs person",
    meaning: "the operator lacks the right to list objects in the namespace, or the namespace is gone",
  },
  ApplyFailed: { who: "passing", meaning: "the API server refused an object of the server" },
  ApplyConflict: {
    who: "needs person",
    meaning: "an object of a name that the server needs was made for something else",
  },
  VolumeBound: { meaning: "the volume is bound" },
  VolumePending: { who: "moving", meaning: "the volume is not bound yet" },
  VolumeLost: { who: "needs person", meaning: "the volume behind the claim is gone" },
  RelayRunning: { meaning: "all containers of the relay pod are ready" },
  PodMissing: { who: "moving", meaning: "the relay pod does not exist yet" },
  PodPending: { who: "moving", meaning: "the relay pod is not running yet" },
  PodFailing: { who: "passing", meaning: "a container of the relay pod does not stay up" },
  ImageUnavailable: { who: "passing", meaning: "an image can't be pulled" },
  AddressPending: { who: "moving", meaning: "the Service has no address yet" },
  CertificateIssued: { meaning: "a certificate is in place" },
  CertificateMissing: { who: "passing", meaning: "there is no certificate yet" },
  CertificateExpired: {
    who: "needs person",
    meaning: "the certificate, or one of those that it was signed with, has ended",
  },
  CertificateMismatch: { who: "needs person", meaning: "the certificate is not for this domain" },
  CertificateInvalid: {
    who: "needs person",
    meaning: "certificate or key can't be read, do not belong together, or are of a kind that clients refuse",
  },
  CertificateChainIncomplete: {
    who: "needs person",
    meaning: "an intermediate certificate is missing, or they are not in order",
  },
  CertificateUntrusted: { who: "needs person", meaning: "the certificate leads to no authority that clients know" },
  CertificateSourceMissing: { who: "needs edit", meaning: "nothing in this version can get such a certificate" },
  DkimKeyInvalid: { who: "needs person", meaning: "the Secret with the DKIM key holds none" },
  InvitesThere: { meaning: "there are invites for new members" },
  InvitesMissing: { who: "needs person", meaning: "registration asks for an invite, and there is none" },
  AccountsOpen: { meaning: "new accounts are created" },
  Closed: { meaning: "registration is Closed in the spec" },
  DiskLow: { who: "needs person", meaning: "the volume is nearly full, so no new accounts are created" },
  MemoryLow: { who: "passing", meaning: "the node is short of memory, so no new accounts are created" },
  LoadHigh: { who: "passing", meaning: "the node's CPUs are overloaded, so no new accounts are created" },
  AccountsRefused: {
    who: "passing",
    meaning: "the relay creates no new accounts, for a reason that this operator does not know",
  },
  RelayNotAsked: { who: "moving", meaning: "the relay pod has not reported yet" },
  RelayUnreachable: { who: "passing", meaning: "the operator can't reach the relay pod's health port" },
  ExpiryOnTime: { meaning: "the last expiry run did its work" },
  ExpiryNotYetRun: { who: "moving", meaning: "expiry has not run yet" },
  ExpiryLate: { who: "needs person", meaning: "expiry has not run for two days" },
  ExpiryFailed: { who: "passing", meaning: "the last expiry run failed" },
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
