import type { Reason } from "../api/reasons.ts";

/** The conditions that tell of owned objects. */
export type Concern =
  | "UpToDate"
  | "PodReady"
  | "StorageReady"
  | "AddressesReady"
  | "CertificateReady"
  | "InvitesReady"
  | "DNSReady"
  | "ExpiryHealthy"
  | "BackupReady";

/** What is wrong, in one word and in one sentence. */
export interface Problem {
  reason: Reason;
  message: string;
}

/** Why one owned object is not as it has to be. */
export interface OwnedFailure extends Problem {
  /** The condition that tells of it, beside Ready. */
  concern: Concern;
}
