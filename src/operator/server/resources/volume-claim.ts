import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { childNames } from "../../../api/names.ts";
import { bytesOf } from "../../../api/quantity.ts";
import type { VolumeClaim } from "../../../kube/kinds.ts";
import { keptMeta } from "./child.ts";

/** The volume for mailboxes and the queue. `existing`: the size that a claim of this name already asks for; claims can't shrink. */
export function volumeClaim(server: ChatmailServer, existing?: string): VolumeClaim {
  const { storage } = server.spec;
  const size = existing !== undefined && isLarger(existing, storage.size) ? existing : storage.size;
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: keptMeta(server, childNames(server.metadata.name).volumeClaim),
    spec: {
      accessModes: ["ReadWriteOnce"],
      resources: { requests: { storage: size } },
      ...(storage.storageClassName !== undefined &&
        ({ storageClassName: storage.storageClassName } satisfies VolumeClaim["spec"])),
    },
  };
}

function isLarger(existing: string, wanted: string): boolean {
  try {
    return bytesOf(existing) > bytesOf(wanted);
  } catch {
    // Written in a way that we never write: leave the decision to the API server.
    return false;
  }
}
