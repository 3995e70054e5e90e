/** What an answer of a peer means for the mail, and for the route. Pure. */
import type { PeerAnswer } from "../https/peers.ts";

export interface Outcome {
  /** The reply for Postfix. 4xx: it takes SMTP at once; 5xx: the mail comes back to its sender. */
  reply: string;
  https: "good" | "broken" | "gone" | "tooLarge";
}

const maxReplyLength = 400;

/**
 * An answer is for all recipients. Where it refuses several, SMTP has one for each: perhaps one of
 * them alone is meant.
 */
export function judgeAnswer({ status, text }: PeerAnswer, host: string, recipients: number): Outcome {
  if (status >= 200 && status < 300) return { reply: "250 2.0.0 OK (HTTPS)", https: "good" };
  const line = replyLine(text);
  if (status >= 400 && status < 500 && line !== undefined) {
    const answer = `${line} (forwarded from ${host})`;
    return {
      reply: recipients > 1 ? `451 4.4.0 to ${recipients} recipients at once: ${answer}` : answer,
      https: "good",
    };
  }
  // a web server in front of the relay has a limit of its own; SMTP may know another
  if (status === 413) return { reply: temporary(host, status), https: "tooLarge" };
  if (status === 404 || status === 405 || status === 410 || status === 501 || (status >= 300 && status < 400)) {
    return { reply: temporary(host, status), https: "gone" };
  }
  return { reply: temporary(host, status), https: status >= 500 || status === 429 || status < 200 ? "broken" : "good" };
}

const temporary = (host: string, status: number) => `451 4.4.0 ${host} answered ${status} to HTTPS`;

/**
 * The body as an SMTP reply of one line that refuses. A 421 would end the session with Postfix; it
 * means "try again" like any other.
 */
function replyLine(text: string): string | undefined {
  const [first = ""] = text.split(/[\r\n]/);
  const match = /^([45][0-9]{2})[ -]?(.*)$/.exec(first);
  if (!match) return undefined;
  const code = match[1] === "421" ? "451" : match[1];
  const said = (match[2] ?? "").replace(/[^\x20-\x7e]/g, "?").slice(0, maxReplyLength);
  return `${code} ${said}`.trimEnd();
}
