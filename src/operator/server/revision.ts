/** What a revision of a relay pod is, and what is known of the change from one to another. */
import type { ChatmailServerStatus } from "../../api/chatmail-server.ts";
import type { StatefulSet } from "../../kube/kinds.ts";
import type { Problem } from "../problem.ts";

export type PodTemplate = NonNullable<StatefulSet["spec"]>["template"];

/** What a template follows from, beside the spec and the image. */
export interface PodInputs {
  tlsSecretName: string;
  secretsHash: string;
  noInvites?: true;
  addresses: NonNullable<ChatmailServerStatus["addresses"]>;
}

/** A pod's image and template. */
export interface Revision {
  /** Short digest of the template without this id. */
  id: string;
  /** As it is applied: with the id as an annotation. */
  template: PodTemplate;
}

/**
 * - created: the first pod of the server.
 * - edit: a person changed the spec, or something that the pod needs is another one.
 * - upgrade: the operator, its image of the relay or its defaults became others.
 * - rollback: the revision before the one that failed.
 */
export type Cause = "created" | "edit" | "upgrade" | "rollback";

export interface Rendered {
  revision: Revision;
  cause: Cause;
  /** When it was applied. */
  since: string;
  /** What a person had written, and what else the template followed from. */
  written: unknown;
  inputs: PodInputs;
  /** The configuration of the operator whose target this was (`configurationOf`). */
  configuration: string;
  /** The revision before, which served when this one was applied. */
  good?: Revision | undefined;
  /** The revision that did not become ready, and after which this one came back. */
  failed?: FailedRevision | undefined;
}

export interface FailedRevision {
  id: string;
  cause: Cause;
  /** What was wrong with its pod. */
  message: string;
  /** The value of the annotation chatmail.dev/retry-update at that time. */
  retry?: string | undefined;
}

export interface Update {
  /** What spec and operator ask for. */
  target: Revision;
  /**
   * What the StatefulSet is to have as long as `next` waits; undefined where there is none, or none
   * whose making is known, which stays as it is.
   */
  kept?: Rendered | undefined;
  next?: Rendered | undefined;
  /** `next` comes when the server is given a turn among the others. */
  needsTurn?: boolean;
  /** Why `next` may not come, whosever turn it is. */
  waits?: { message: string; until?: Date | undefined } | undefined;
  /** A revision that did not become ready, and that spec or operator still ask for. */
  failed?: FailedRevision | undefined;
  /** When the pod has to be ready, while it has not been. */
  deadline?: Date | undefined;
}

export interface PodTurn {
  update: Update;
  /** `update.next` is to be applied now. */
  goes: boolean;
  /** Why it is not. */
  waits?: Problem | undefined;
}
