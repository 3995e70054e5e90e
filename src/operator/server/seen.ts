/** All that is known about one server at one moment: what deciding and judging go by. */
import type { ChatmailServer, WrittenServer } from "../../api/chatmail-server.ts";
import type { CertificateFacts } from "../../certificates/judge.ts";
import type { KeyPair } from "../../certificates/self-signed.ts";
import type { CaaIssuer } from "../../dns/records.ts";
import type { TsigKey } from "../../dns/tsig.ts";
import type { ConfigMap } from "../../kube/kinds.ts";
import type { KubeObject } from "../../kube/object.ts";
import type { OwnTexts } from "../../pod/pages/texts.ts";
import type { IssuerRef } from "../cert-manager.ts";
import type { FoundIdentities } from "../identity/read.ts";
import type { OwnedFailure, Problem } from "../problem.ts";
import type { CertificateStatus, WantedAccount } from "../tasks/certificates.ts";
import type { NamesStatus } from "../tasks/dns.ts";
import type { RelayStatus } from "../tasks/relay-status.ts";
import type { ServedStatus } from "../tasks/served.ts";
import type { expiryCounts } from "./expiry-counts.ts";
import type {
  LiveCronJob,
  LiveEvent,
  LiveJob,
  LivePod,
  LiveService,
  LiveStatefulSet,
  LiveVolumeClaim,
} from "./live.ts";
import type { SeenBackup } from "./observe-backup.ts";
import type { PodTurn } from "./revision.ts";
import type { Management } from "./spec.ts";

/** Where the certificate comes from and how it is. */
export interface SeenCertificate {
  source: "SelfSigned" | "Secret" | "CertManager" | "ACME" | "None";
  /** The Secret that the pod mounts. */
  secretName: string;
  /**
   * The Secret is one that may not be served: it is not mounted, and a pod that runs goes on as it
   * is.
   */
  unusable?: true;
  facts?: CertificateFacts | undefined;
  /** Of which a copy is kept, since it may vanish: another Secret's. */
  pair?: KeyPair | undefined;
  /** Of the last one that could be served, where the Secret has none. */
  last?: Pick<CertificateFacts, "notAfter" | "sha256"> | undefined;
  problem?: Problem | undefined;
  /** What else there is to say of one that is fine. */
  note?: string | undefined;
  /** Who is asked for it, where cert-manager can be asked. */
  issuerRef?: IssuerRef | undefined;
  /** Self-signed, until one of an authority takes its place. */
  onItsWay?: true;
  /** Where the operator orders it itself. */
  acme?: SeenAcme;
  /** Who issues it, as CAA records name them; undefined where nobody does, or it is not known. */
  issuer?: CaaIssuer | undefined;
  /**
   * SHA-256 of the public keys that it has now and next, hexadecimal, for TLSA records; only where
   * a renewal keeps the key, or the next one is known before it is served.
   */
  keptKeys?: readonly string[] | undefined;
}

/** The account and the order. */
export interface SeenAcme {
  /** The Secret of the account does not exist yet. */
  missing: boolean;
  thumbprint?: string;
  /** Undefined where it can't be used. */
  account?: WantedAccount;
  /** Undefined until the task has looked. */
  status: CertificateStatus | undefined;
}

/** Who holds one gets an address; only where registration asks for it. */
export interface SeenInvites {
  /** The Secret that the pod mounts. */
  secretName: string;
  /** It is not one that invites may be in: not mounted. */
  unusable?: true;
  /** How many count now. */
  count: number;
}

/** The records of the domain at its name servers. */
export interface SeenDns {
  /** Undefined until they have been verified. */
  status: NamesStatus | undefined;
  /** By which updates are signed; only where the operator publishes. */
  tsig?: TsigKey | { problem: Problem };
}

/** Files of a user's own, with what is wrong with them. */
export interface SeenFiles {
  pages?: {
    configMapName: string;
    problem: string | undefined;
    /** Else the built-in pages are served. */
    hasFrontPage: boolean;
    /** Those that can be used, and what is wrong with the others. */
    texts: OwnTexts;
    textsProblem: string | undefined;
    notes: string | undefined;
  };
  appVersions?: { configMapName: string; problem: string | undefined };
}

export interface Seen {
  /** Keys and Secrets of our own that the spec asks for. */
  identity: FoundIdentities;
  certificate: SeenCertificate;
  /** What the ports of this pod present; undefined until they have been asked. */
  served?: ServedStatus | undefined;
  invites?: SeenInvites | undefined;
  /** Undefined where the spec names none. */
  website?: SeenFiles | undefined;
  configMap?: ConfigMap | undefined;
  /** Undefined where nobody looks after the records of the domain. */
  dns?: SeenDns | undefined;
  /** The records of the domain as text. */
  dnsConfigMap?: ConfigMap | undefined;
  /** That in use. */
  volumeClaim?: LiveVolumeClaim | undefined;
  /** Its name, also where it does not exist. */
  claimName?: string;
  /** Claims of this server that are not in use: copies, and those that were in use before. */
  otherClaims?: readonly LiveVolumeClaim[];
  /** Jobs that copy the volume to another claim. */
  moveJobs?: readonly LiveJob[];
  /** Why the newest copy ended early. */
  moveProblem?: string | undefined;
  service?: LiveService | undefined;
  statefulSet?: LiveStatefulSet | undefined;
  pod?: LivePod | undefined;
  /** What this pod reports of itself; undefined until it has been asked. */
  relay?: RelayStatus | undefined;
  /** Of ours: those that are there. */
  networkPolicies?: KubeObject[];
  cronJob?: LiveCronJob | undefined;
  /** Undefined where none are made, and none were. */
  backup?: SeenBackup | undefined;
  /** Of the daily clean-up. */
  jobs: LiveJob[];
  /** What the last of these has counted; undefined where that can't be read any more. */
  expiryCounts?: ReturnType<typeof expiryCounts>;
  /** The Job that deletes the mail of an earlier server of the name, while it runs. */
  erasing?: string | undefined;
  /** Kind and name of what would change if the server were not paused. */
  waiting?: readonly string[];
  /** Which revision the pod is to have, and why not yet; undefined where nobody decides that. */
  turn?: PodTurn | undefined;
  /**
   * What the cluster last said about a claim that is not bound, or about a pod that is not made.
   */
  claimEvent?: string | undefined;
  setEvent?: string | undefined;
  /** The newest warning about a pod that is not ready. */
  podEvent?: LiveEvent | undefined;
}

/** A server with what keeps its spec from being carried out, if anything does. */
export type Judged = {
  /**
   * Why nothing was done: the spec is wrong, or its domain is another's, or the operator failed.
   */
  refused?: Problem | undefined;
  /** What went wrong with owned objects, each by itself. */
  failures?: readonly OwnedFailure[];
  /** What is not applied yet and waits for what comes by itself; the relay serves meanwhile. */
  pending?: readonly OwnedFailure[];
} & ({ server: ChatmailServer; seen: Seen } | { server: WrittenServer; management: Management; seen?: undefined });
