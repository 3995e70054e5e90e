/**
 * The lines of the daemon's log, one function each; their messages are stable, so they can be counted.
 * None takes an address, a password, a token or mail content: what the field's relays log with addresses is logged here without.
 */
import type { Logger } from "pino";

export const serving = (log: Logger, domains: number) => log.info({ domains }, "entering serving loop");

export const stopping = (log: Logger, signal: string) => log.info({ signal }, "stopping");

export const stopped = (log: Logger) => log.info("stopped");

export const accountCreated = (log: Logger, domain: string) => log.info({ domain }, "created address");

/** `why` is a sentence with figures such as "load avg per core 12.10 > 10.00". */
export const registrationRejected = (log: Logger, domain: string, why: string) =>
  log.warn({ domain }, `registration rejected: ${why}`);

export const emptyPassword = (log: Logger, domain: string) => log.warn({ domain }, "password file is empty");

export const unreadableMetadata = (log: Logger, domain: string) =>
  log.warn({ domain }, "metadata file not understood, starting a new one");

export const wrongAppVersions = (log: Logger, why: string) => log.warn({ why }, "app versions not understood");

export const spuriousPushes = (log: Logger, domain: string, files: number) =>
  log.warn({ domain, files }, "spurious notification files removed");

/** The service's address is private: see `network.privatePeers`. */
export const pushServiceRefused = (log: Logger) =>
  log.warn("push service is at an address that may not be connected to");

export const pushesTooMany = (log: Logger, pushes: number) =>
  log.warn({ pushes }, "too many notifications wait: the oldest were dropped");

export const pushTooLate = (log: Logger) => log.warn("notification exceeded deadline");

export const quotaTrimmed = (log: Logger, domain: string, removed: number) =>
  log.info({ domain, removed }, "quota-expire: removed messages");

/** The answer to a peer failed on our side; it is told to try again. */
export const answerFailed = (log: Logger, door: string, err: unknown) =>
  log.warn({ door, err: withoutPaths(err) }, "question not answered");

export const peerBrokeProtocol = (log: Logger, door: string, why: string) =>
  log.debug({ door, why }, "connection ended, protocol broken");

export const verdict = (log: Logger, direction: "incoming" | "outgoing" | "bounce", outcome: string) =>
  log.debug({ direction, outcome }, "mail judged");

/** `why` is of a fixed list, or what a name server answered. */
export const originRefused = (log: Logger, reply: string, why: string) =>
  log.debug({ reply, why }, "mail refused for its signature");

/** Mail that this domain's users hand in is put off until the key is there. */
export const signingKeyMissing = (log: Logger, domain: string, why: string) =>
  log.error({ domain, why }, "no key to sign with");

export const signingKeyFound = (log: Logger, domain: string, selectors: readonly string[]) =>
  log.info({ domain, selectors }, "keys to sign with read");

/** Whoever looks for it finds the same digest in the status. */
export const certificateServed = (log: Logger, sha256: string, notAfter: string) =>
  log.info({ sha256, notAfter }, "certificate served");

/** The one before stays. */
export const certificateRefused = (log: Logger, why: string) => log.error({ why }, "certificate not served");

export const reloadNotAsked = (log: Logger, program: string, err: unknown) =>
  log.warn({ program, err: withoutPaths(err) }, "not told of the new certificate");

/** A domain's HTTPS road was found, is gone, or can't be reached. */
export const roadLearnt = (log: Logger, domain: string, state: string) => log.debug({ domain, state }, "road learnt");

/** Mail to this domain takes SMTP for a while. */
export const roadLeft = (log: Logger, domain: string, why: string) => log.warn({ domain, why }, "HTTPS road left");

export const peerTrouble = (log: Logger, domain: string, reason: string) =>
  log.debug({ domain, reason }, "no delivery by HTTPS");

export const lookFailed = (log: Logger, domain: string, err: unknown) =>
  log.debug({ domain, err: withoutPaths(err) }, "road not looked for");

export const roadsNotRead = (log: Logger, err: unknown) =>
  log.warn({ err: withoutPaths(err) }, "what was learnt about roads is unreadable, starting anew");

export const roadsNotWritten = (log: Logger, err: unknown) =>
  log.warn({ err: withoutPaths(err) }, "what was learnt about roads was not written");

/** What a parser says of such a file would quote it, and it has addresses. */
export const ratesNotRead = (log: Logger, code = "not understood") =>
  log.warn({ code }, "who has sent how much is unreadable, starting anew");

export const ratesNotWritten = (log: Logger, err: unknown) =>
  log.warn({ err: withoutPaths(err) }, "who has sent how much was not written");

/** Paths of mailboxes hold addresses: of a failed file operation only its code and call are kept. */
function withoutPaths(thrown: unknown): unknown {
  if (!(thrown instanceof Error)) return { type: typeof thrown };
  if ("syscall" in thrown && "code" in thrown) return { type: thrown.name, code: thrown.code, syscall: thrown.syscall };
  return { type: thrown.name, message: thrown.message, stack: thrown.stack };
}
