import type { ChatmailServerStatus } from "../../api/chatmail-server.ts";
import { annotations } from "../../api/names.ts";
import type { KubeObject } from "../../kube/object.ts";

/**
 * Of the DKIM key that mail can't do without, as the status remembers it, or the volume claim where
 * there is no status that does.
 */
export const recordedFingerprint = (status: ChatmailServerStatus | undefined, claim?: KubeObject): string | undefined =>
  status?.dkim?.keys?.find(({ algorithm, state = "Active" }) => algorithm === "RSA" && state === "Active")
    ?.fingerprint ?? claim?.metadata.annotations?.[annotations.dkimFingerprint];
