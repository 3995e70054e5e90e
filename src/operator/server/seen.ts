/** All that is known about one server at one moment: what deciding and judging go by. */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import type { Failure } from "../../api/failure.ts";
import type { Reason } from "../../api/reasons.ts";
import type { CertificateFacts } from "../../certificates/judge.ts";
import type { KeyPair } from "../../certificates/self-signed.ts";
import type { PublicDkimKey } from "../../dns/dkim-key.ts";
import type { KubeObject } from "../../kube/object.ts";
import type { RelayStatus } from "../tasks/relay-status.ts";
import type { LiveCronJob, LiveJob, LivePod, LiveService, LiveStatefulSet, LiveVolumeClaim } from "./live.ts";

export interface Problem {
  reason: Reason;
  message: string;
}

/** Where the certificate comes from and how it is. */
export interface SeenCertificate {
  source: "SelfSigned" | "Secret" | "None";
  /** The Secret that the pod mounts. */
  secretName: string;
  /** The pair that our own Secret shall hold; only for SelfSigned. */
  pair?: KeyPair;
  /** The API server was asked for our own Secret, and has none. */
  absent?: true;
  /** The Secret is one that may not be served: it is not mounted, and a pod that runs goes on as it is. */
  unusable?: true;
  facts?: CertificateFacts;
  problem?: Problem;
}

/** The key that the domain signs with. */
export interface SeenDkim {
  /** What our Secret shall hold: the key that is there or, where there is no Secret, a new one; undefined with a problem. */
  rsaKeyPem?: string;
  /** The API server was asked for our Secret, and has none. */
  absent?: true;
  /** The keys that are in the cluster; only those are for the DNS. */
  published: { selector: string; key: PublicDkimKey }[];
  problem?: Problem;
}

/** What TURN credentials are made with; only where a TURN server runs. */
export interface SeenTurn {
  /** What our Secret shall hold: what is there or, where there is nothing, a new one. */
  secret: string;
}

/** Who holds one gets an address; only where registration asks for it. */
export interface SeenInvites {
  /** The Secret that the pod mounts. */
  secretName: string;
  /** It is not one that invites may be in: not mounted. */
  unusable?: true;
  /** How many count now. */
  count: number;
  /** The first one: the API server was asked for our Secret, and has none. */
  newToken?: string;
}

export interface Seen {
  certificate: SeenCertificate;
  invites?: SeenInvites | undefined;
  turn?: SeenTurn | undefined;
  configMap?: KubeObject | undefined;
  /** Undefined where the domain does not sign. */
  dkim?: SeenDkim | undefined;
  tlsSecret?: KubeObject | undefined;
  volumeClaim?: LiveVolumeClaim | undefined;
  service?: LiveService | undefined;
  statefulSet?: LiveStatefulSet | undefined;
  pod?: LivePod | undefined;
  /** What this pod reports of itself; undefined until it has been asked. */
  relay?: RelayStatus | undefined;
  /** Of ours: those that are there. */
  networkPolicies?: KubeObject[];
  cronJob?: LiveCronJob | undefined;
  jobs: LiveJob[];
  /** What the cluster last said about a claim that is not bound, or about a pod that is not made. */
  claimTrouble?: string | undefined;
  podTrouble?: string | undefined;
}

/** A server with what keeps its spec from being carried out, if anything does. */
export interface Judged {
  server: ChatmailServer;
  seen: Seen | undefined;
  /** Why nothing was done: the spec is wrong, or its domain is another's, or the operator failed. */
  refused?: Problem | undefined;
  /** What went wrong while children were applied. */
  failure?: Failure | undefined;
}
