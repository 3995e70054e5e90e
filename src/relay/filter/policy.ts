/**
 * The filter's rules (chatmail protocol §2, §3): from what a message is to what happens with it.
 * Pure.
 */
import type { MessageFacts } from "./inspect.ts";

export type Verdict =
  | { kind: "pass"; as: "encrypted" | "secureJoin" | "setupMessage" | "mailerDaemon" | "cleartext" }
  /** The peer is told it was taken, and nobody gets it. */
  | { kind: "discard"; why: "sender_disabled" | "all_recipients_disabled" }
  /** `text` is the SMTP reply. */
  | { kind: "refuse"; why: "unencrypted" | "from" | "headers" | "data" | "origin"; text: string };

const encryptionNeeded = "523 Encryption Needed: Invalid Unencrypted Mail";

/** For a recipient that `plainRecipient` does not know. */
export const badRecipient = "553 5.1.3 Bad recipient address";

const unencrypted: Verdict = { kind: "refuse", why: "unencrypted", text: encryptionNeeded };

export interface OutgoingEnvelope {
  /** Lower-case, as all addresses here. */
  sender: string;
  /** Those that are left once disabled ones have been taken out. */
  recipients: readonly string[];
  senderIsDisabled: boolean;
}

export function judgeOutgoing(facts: MessageFacts, envelope: OutgoingEnvelope): Verdict {
  const { sender, recipients } = envelope;
  const problem = headerProblem(facts);
  if (problem) return problem;
  if (facts.from !== sender) {
    return { kind: "refuse", why: "from", text: `500 Invalid FROM ${facts.from} for ${sender}` };
  }
  if (facts.sender !== null && facts.sender !== sender) return otherSender;
  const as = passesOutgoingAs(facts, recipients);
  if (!as) return unencrypted;
  if (envelope.senderIsDisabled) return { kind: "discard", why: "sender_disabled" };
  if (recipients.length === 0) return { kind: "discard", why: "all_recipients_disabled" };
  return { kind: "pass", as };
}

function passesOutgoingAs(facts: MessageFacts, recipients: readonly string[]) {
  if (facts.encrypted === "yes") return "encrypted";
  if (facts.secureJoinRequest) return "secureJoin";
  return isSetupMessage(facts, recipients) ? "setupMessage" : undefined;
}

/**
 * An Autocrypt Setup Message, which people send to themselves: its content is encrypted with a
 * code, its outside is not.
 */
function isSetupMessage(facts: MessageFacts, recipients: readonly string[]): boolean {
  return looksLikeSetupMessage(facts) && recipients.length === 1 && recipients[0] === facts.from;
}

/** What the headers alone say. */
export function looksLikeSetupMessage({ type, subject }: Pick<MessageFacts, "type" | "subject">): boolean {
  return type === "multipart/mixed" && subject === "Autocrypt Setup Message";
}

export interface IncomingEnvelope {
  recipientsLeft: number;
  /** One of them takes no cleartext. */
  oneMustBeEncrypted: boolean;
  /** The envelope sender is empty. */
  isFromNobody: boolean;
}

export function judgeIncoming(facts: MessageFacts, envelope: IncomingEnvelope): Verdict {
  if (facts.bareNewline) return { kind: "refuse", why: "data", text: "500 Invalid DATA" };
  const problem = headerProblem(facts);
  if (problem) return problem;
  const as = passesIncomingAs(facts, envelope);
  if (!as) return unencrypted;
  if (envelope.recipientsLeft === 0) return { kind: "discard", why: "all_recipients_disabled" };
  return { kind: "pass", as };
}

function passesIncomingAs(facts: MessageFacts, envelope: IncomingEnvelope) {
  if (facts.encrypted !== "no") return "encrypted";
  if (facts.secureJoinRequest) return "secureJoin";
  if (envelope.isFromNobody && isBounce(facts) && facts.deliveryReport) return "mailerDaemon";
  return envelope.oneMustBeEncrypted ? undefined : "cleartext";
}

/**
 * By its headers a bounce, as mail servers write them. Who wrote it, and what its content is, are
 * other questions.
 */
export function isBounce(facts: MessageFacts): boolean {
  return facts.autoSubmitted && facts.type === "multipart/report" && facts.from?.startsWith("mailer-daemon@") === true;
}

/**
 * Bounces to forged senders are impossible: an envelope sender that is not the author becomes the
 * null sender.
 */
export function senderBecomesNull(facts: MessageFacts, sender: string): boolean {
  return sender !== "" && sender !== facts.from;
}

const badFrom: Verdict = { kind: "refuse", why: "from", text: "500 Invalid FROM header" };
const otherSender: Verdict = { kind: "refuse", why: "from", text: "554 5.6.0 Sender header names somebody else" };

/**
 * What readers would take for different things. The header's text is not repeated: it would stand
 * in logs and bounces.
 */
function headerProblem({ from, repeated }: MessageFacts): Verdict | undefined {
  if (from === undefined) return badFrom;
  if (repeated === undefined) return undefined;
  return { kind: "refuse", why: "headers", text: `554 5.6.0 More than one ${repeated} header` };
}
