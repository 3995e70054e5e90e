import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { annotations, childNames } from "../../../api/names.ts";
import { bytesOf } from "../../../api/quantity.ts";
import type { VolumeClaim } from "../../../kube/kinds.ts";
import { keptMeta } from "./child.ts";

/** The volume for mailboxes and the queue. A claim that exists keeps its class. */
export function volumeClaim(
  server: ChatmailServer,
  options: {
    size?: string;
    existing?: Pick<VolumeClaim, "spec"> | undefined;
    dkimFingerprint?: string | undefined;
    /** Where it is not the first one. */
    name?: string | undefined;
    /** What says whose copy it is, and that it is in use (claims.ts). */
    marks?: Readonly<Record<string, string>>;
  } = {},
): VolumeClaim {
  const { storage } = server.spec;
  const { size = storage.size, existing, dkimFingerprint, marks } = options;
  const metadata = keptMeta(server, options.name ?? childNames(server.metadata.name).volumeClaim);
  const more = dkimFingerprint === undefined ? {} : { [annotations.dkimFingerprint]: dkimFingerprint };
  const storageClassName = existing ? existing.spec?.storageClassName : storage.storageClassName;
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { ...metadata, annotations: { ...storage.annotations, ...metadata.annotations, ...more, ...marks } },
    spec: {
      accessModes: ["ReadWriteOnce"],
      resources: { requests: { storage: size } },
      ...(storageClassName !== undefined && ({ storageClassName } satisfies VolumeClaim["spec"])),
    },
  };
}

export interface VolumeSizes {
  /** What the claim has to request. */
  wanted: string;
  /** What it requests now; undefined where there is none. */
  existing?: string | undefined;
  /** What the volume has. */
  capacity?: string | undefined;
}

/**
 * Volumes never shrink, and an unbound claim can't be changed. A request that the volume has not
 * grown to yet may be taken back to any size above what the volume has: the API server takes no
 * less.
 */
export function volumeSizes({ spec }: ChatmailServer, claim: VolumeClaim | undefined): VolumeSizes {
  const { size } = spec.storage;
  const existing = claim?.spec?.resources?.requests?.storage;
  if (existing === undefined) return { wanted: size };
  const capacity = claim?.status?.capacity?.storage;
  const bound = claim?.status?.phase === "Bound";
  const floor = capacity ?? existing;
  const wanted = bound && (isLarger(size, existing) || isLarger(size, floor)) ? size : existing;
  return { wanted, existing, capacity };
}

/**
 * False for sizes that are written in a way that we never write: the decision is left to the API
 * server.
 */
export function isLarger(one: string, other: string): boolean {
  try {
    return bytesOf(one) > bytesOf(other);
  } catch {
    return false;
  }
}
