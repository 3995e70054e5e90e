/** What the examination of a server has seen. */
import type { WrittenServer } from "../../api/chatmail-server.ts";
import type { OperatorSide } from "../operator-side.ts";

/** What could not be seen says why. */
export type Seen<T> = { value: T } | { unknown: string };

export interface Reached {
  address: string;
  port: number;
  /** Undefined: it answers. */
  problem?: string;
}

export interface Facts {
  server: WrittenServer;
  now: Date;
  /** Such as v1.35.2. */
  clusterVersion: Seen<string>;
  /** How far this computer's clock is before that of the API server. */
  clockAheadMs: Seen<number>;
  operator: OperatorSide;
  /** Labels of the namespace. */
  namespaceLabels: Seen<Readonly<Record<string, string>>>;
  storage: Seen<{ phase: string; className?: string; canGrow?: boolean }>;
  /** From within the relay pod. */
  inside: Seen<InsideFacts>;
  /** From this computer. */
  outside: Seen<{ ports: readonly Reached[]; certificate?: { sha256: string; notAfter: Date } }>;
}

export interface InsideFacts {
  /** How far the node's clock is before that of this computer. */
  clockAheadMs: number;
  /** fs.inotify.max_user_instances of the node. */
  inotifyInstances: number;
  freeBytes: number;
  totalBytes: number;
  /** Port 25 of another mail server. */
  mailOut: { host: string; problem?: string; isUnknownName?: boolean };
}
