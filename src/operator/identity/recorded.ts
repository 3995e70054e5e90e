import type { ChatmailServerStatus } from "../../api/chatmail-server.ts";
import { rsaKey } from "../../pod/dkim.ts";

/** Of the DKIM key that mail can't do without, as the status remembers it. */
export const recordedFingerprint = (status: ChatmailServerStatus | undefined): string | undefined =>
  status?.dkim?.keys?.find(({ selector }) => selector === rsaKey.selector)?.fingerprint;
