/** What the status says of a certificate that the operator orders itself. Pure. */
import type { ChatmailServer, ChatmailServerStatus } from "../../../api/chatmail-server.ts";
import type { Seen } from "../seen.ts";
import { timeText } from "../time-text.ts";

type CertificateFields = NonNullable<ChatmailServerStatus["certificate"]>;

/** Until this operator has asked the authority, the account that the status remembers. */
export function orderIn(
  { status: before }: Pick<ChatmailServer, "status">,
  { certificate: { acme } }: Pick<Seen, "certificate">,
): Pick<CertificateFields, "renewalTime" | "acme"> {
  if (!acme) return {};
  const { status } = acme;
  const accountURI = status?.accountUri ?? before?.certificate?.acme?.accountURI;
  const order = {
    ...(accountURI !== undefined && { accountURI }),
    ...(status?.problem && { lastError: status.problem.message.slice(0, 2_000) }),
    ...(status?.retryTime && { retryTime: timeText(status.retryTime) }),
  };
  const renewalTime = status ? status.renewalTime && timeText(status.renewalTime) : before?.certificate?.renewalTime;
  return {
    ...(renewalTime !== undefined && { renewalTime }),
    ...(Object.keys(order).length > 0 && { acme: order }),
  };
}

/** Of a certificate that is good for now: what became of its renewal, and why names are missing. */
export function renewalNote({ certificate: { acme, note } }: Pick<Seen, "certificate">): string {
  if (note !== undefined) return `; ${note}`;
  if (!acme?.status) return "";
  const { problem, left } = acme.status;
  const names = Object.entries(left).map(([name, says]) => `; the authority refused ${name}: ${says}`);
  return `${problem ? `; not renewed: ${problem.message}` : ""}${names.join("")}`;
}
