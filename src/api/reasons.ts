/**
 * One word for each thing that can be said of a server; the same word in conditions, events, logs and docs.
 * The text says what a person reads in the reference page.
 */
export const reasons = {
  Serving: "everything that can be checked is in place",
  Progressing: "changes are being carried out",
  Settled: "nothing is left to change",
  NotStalled: "nothing keeps the operator from going on",
  Paused: "spec changes wait until management is Managed again",
  Unmanaged: "the operator leaves this server alone",
  SpecInvalid: "the spec is wrong; the message names field and rule",
  DomainTaken: "another server in the cluster serves the same domain",
  ImageNotAllowed: "the operator's configuration does not allow the image that the spec names",
  InternalError: "a fault in the operator kept it from carrying out the spec",
  ApplyFailed: "the API server refused a child object",
  ApplyConflict: "another manager owns a field that the operator sets",
  VolumeBound: "the volume is bound",
  VolumePending: "the volume is not bound yet",
  VolumeLost: "the volume behind the claim is gone",
  RelayRunning: "all containers of the relay pod are ready",
  PodMissing: "the relay pod does not exist yet",
  PodPending: "the relay pod is not running yet",
  PodFailing: "a container of the relay pod does not stay up",
  ImageUnavailable: "an image can't be pulled",
  AddressPending: "the Service has no address yet",
  CertificateIssued: "a certificate is in place",
  CertificateMissing: "there is no certificate yet",
  CertificateExpired: "the certificate, or one of those that it was signed with, has ended",
  CertificateMismatch: "the certificate is not for this domain",
  CertificateInvalid: "certificate or key can't be read, do not belong together, or are of a kind that clients refuse",
  CertificateChainIncomplete: "an intermediate certificate is missing, or they are not in order",
  CertificateUntrusted: "the certificate leads to no authority that clients know",
  CertificateSourceMissing: "nothing in this version can get such a certificate",
  DkimKeyInvalid: "the Secret with the DKIM key holds none",
  InvitesThere: "there are invites for new members",
  InvitesMissing: "registration asks for an invite, and there is none",
  ExpiryOnTime: "the last expiry run did its work",
  ExpiryNotYetRun: "expiry has not run yet",
  ExpiryLate: "expiry has not run for two days",
  ExpiryFailed: "the last expiry run failed",
} as const satisfies Record<string, string>;

export type Reason = keyof typeof reasons;
