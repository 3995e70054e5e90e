/**
 * Headers that a message has at most once: readers choose the first or the last of several, so one
 * reader could be shown what another judged.
 */

/**
 * RFC 5322 §3.6, RFC 2045 §3, RFC 3834 §5, RFC 2919 §2, and what Delta Chat acts on. From is not
 * here: it has to be there exactly once.
 */
const once = new Set([
  "sender",
  "reply-to",
  "to",
  "cc",
  "bcc",
  "message-id",
  "in-reply-to",
  "references",
  "subject",
  "date",
  "mime-version",
  "content-type",
  "content-transfer-encoding",
  "content-disposition",
  "content-description",
  "content-id",
  "auto-submitted",
  "list-id",
  "list-post",
  "precedence",
  "disposition-notification-to",
  "autocrypt-setup-message",
  "ephemeral-timer",
]);
const oncePrefixes = ["secure-join", "chat-"];

/** `name` in lower case. */
export function isOnceOnly(name: string): boolean {
  return once.has(name) || oncePrefixes.some((prefix) => name.startsWith(prefix));
}
