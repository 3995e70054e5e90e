import type { ChatmailServerStatus } from "../../api/chatmail-server.ts";
import { annotations } from "../../api/names.ts";
import type { KubeObject } from "../../kube/object.ts";
import { rsaKey } from "../../pod/dkim.ts";

/**
 * Of the DKIM key that mail can't do without, as the status remembers it, or the volume claim where
 * there is no status that does.
 */
export const recordedFingerprint = (status: ChatmailServerStatus | undefined, claim?: KubeObject): string | undefined =>
  status?.dkim?.keys?.find(({ selector }) => selector === rsaKey.selector)?.fingerprint ??
  claim?.metadata.annotations?.[annotations.dkimFingerprint];
