/** Refusals that pass: what clients are told, in the words of each protocol. Clients show the sentences, so none has the word "authentication", which they take for a wrong password. */

export type LaterReason =
  /** Too many logins wait. */
  | "busy"
  /** Too many wrong passwords came from this client for this account. */
  | "delayed";

/** Not now: another attempt may be made after this time. */
export interface Later {
  kind: "later";
  reason: LaterReason;
  retryMs: number;
}

const sentences = {
  busy: "This server is busy, please try again",
  delayed: "Too many wrong passwords, please try again",
} as const satisfies Record<LaterReason, string>;

/** RFC 5530 §3: a limit that the client has reached, or something that the server lacks for now. */
const codes = { busy: "UNAVAILABLE", delayed: "LIMIT" } as const satisfies Record<LaterReason, string>;

export const retrySeconds = ({ retryMs }: Pick<Later, "retryMs">) => Math.max(1, Math.ceil(retryMs / 1000));

export const sentenceOf = (later: Later) => {
  const seconds = retrySeconds(later);
  return `${sentences[later.reason]} in ${seconds === 1 ? "a second" : inWords(seconds)}`;
};

const inWords = (seconds: number) => (seconds < 120 ? `${seconds} seconds` : `${Math.ceil(seconds / 60)} minutes`);

/** What follows NO in IMAP. */
export const imapText = (later: Later) => `[${codes[later.reason]}] ${sentenceOf(later)}`;
