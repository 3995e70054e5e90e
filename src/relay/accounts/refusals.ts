/**
 * Refusals that pass: what clients are told, in the words of each protocol. Clients show the
 * sentences.
 */

export type LaterReason =
  /** Too many logins wait. */
  | "busy"
  /** Too many wrong passwords came from this client for this account. */
  | "delayed"
  /** Too many new addresses came from this client. */
  | "rate"
  /** The machine has too little left for a new address. */
  | Shortage;

/** What the machine may lack for a new address. */
export type Shortage = "load" | "memory" | "disk";

/** Not now: another attempt may be made after this time. */
export interface Later {
  kind: "later";
  reason: LaterReason;
  retryMs: number;
}

const full = "This server takes no new addresses just now, please try another one or again";

const sentences = {
  busy: "This server is busy, please try again",
  delayed: "Too many wrong passwords, please try again",
  rate: "Too many new addresses from your network, please try again",
  load: full,
  memory: full,
  disk: full,
} as const satisfies Record<LaterReason, string>;

/** RFC 5530 §3: a limit that the client has reached, or something that the server lacks for now. */
const codes = {
  busy: "UNAVAILABLE",
  delayed: "LIMIT",
  rate: "LIMIT",
  load: "UNAVAILABLE",
  memory: "UNAVAILABLE",
  disk: "UNAVAILABLE",
} as const satisfies Record<LaterReason, string>;

export const retrySeconds = ({ retryMs }: Pick<Later, "retryMs">) => Math.max(1, Math.ceil(retryMs / 1000));

export const sentenceOf = (later: Later) => {
  const seconds = retrySeconds(later);
  return `${sentences[later.reason]} in ${seconds === 1 ? "a second" : inWords(seconds)}`;
};

const inWords = (seconds: number) => (seconds < 120 ? `${seconds} seconds` : `${Math.ceil(seconds / 60)} minutes`);

/** What follows NO in IMAP. */
export const imapText = (later: Later) => `[${codes[later.reason]}] ${sentenceOf(later)}`;
