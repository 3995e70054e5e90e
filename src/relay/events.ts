/**
 * The lines of the daemon's log, one function each; their messages are stable, so they can be
 * counted. None takes an address, a password, a token or mail content: what chatmail/relay logs
 * with addresses is logged here without.
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
  log.warn({ domain }, "metadata file unreadable, starting empty");

export const wrongAppVersions = (log: Logger, why: string) => log.warn({ why }, "app versions invalid, not served");

export const spuriousPushes = (log: Logger, domain: string, files: number) =>
  log.warn({ domain, files }, "spurious notification files removed");

/** The service's address is private: see `network.privatePeers`. */
export const pushServiceRefused = (log: Logger) => log.warn("push service has a private address, not connected");

export const pushesTooMany = (log: Logger, pushes: number) =>
  log.warn({ pushes }, "push queue full, oldest notifications dropped");

export const pushTooLate = (log: Logger) => log.warn("push notification expired");

export const quotaTrimmed = (log: Logger, domain: string, removed: number) =>
  log.info({ domain, removed }, "quota-expire: removed messages");

/** An internal error. The client receives a temporary failure. */
export const answerFailed = (log: Logger, service: string, err: unknown) =>
  log.warn({ service, err: withoutPaths(err) }, "request failed");

export const peerBrokeProtocol = (log: Logger, service: string, why: string) =>
  log.debug({ service, why }, "protocol error, connection closed");

export const verdict = (log: Logger, direction: "incoming" | "outgoing" | "bounce", outcome: string) =>
  log.debug({ direction, outcome }, "message checked");

/** `why` is from a fixed list, or the answer of a name server. */
export const originRefused = (log: Logger, reply: string, why: string) =>
  log.debug({ reply, why }, "message rejected, no valid signature");

/** Submitted mail of this domain is deferred until the key is there. */
export const signingKeyMissing = (log: Logger, domain: string, why: string) =>
  log.error({ domain, why }, "DKIM key missing, submitted mail is deferred");

/** The keys before stay in use. */
export const signingKeyRefused = (log: Logger, domain: string, why: string) =>
  log.error({ domain, why }, "DKIM keys changed and can't be used, the ones before stay in use");

export const signingKeyFound = (log: Logger, domain: string, selectors: readonly string[]) =>
  log.info({ domain, selectors }, "DKIM keys loaded");

/** The same digest is in the status of the ChatmailServer. */
export const certificateServed = (log: Logger, of: { domain: string; sha256: string; notAfter: string }) =>
  log.info(of, "certificate served");

/** The previous certificate stays in use. */
export const certificateRefused = (log: Logger, domain: string, why: string) =>
  log.error({ domain, why }, "certificate rejected, not served");

/** Whoever looks for it finds the same digest in the status. */
export const planUsed = (log: Logger, plan: string) => log.info({ plan }, "plan used");

/** The one before stays. */
export const planRefused = (log: Logger, why: string) => log.error({ why }, "plan not used");

/** From now on no mail is accepted: the server is being deleted. */
export const closing = (log: Logger) => log.info("closing, sending what is left in the queue");

export const queueEmpty = (log: Logger) => log.info("queue empty");

/** Of the addon for libxcrypt; password hashes are computed in JavaScript, which takes longer. */
export const noCryptLibrary = (log: Logger, err: unknown) =>
  log.warn({ err: withoutPaths(err) }, "crypt library not loaded, using JavaScript");

export const reloadNotAsked = (log: Logger, program: string, err: unknown) =>
  log.warn({ program, err: withoutPaths(err) }, "reload failed");

/** HTTPS delivery to a domain was found, is no longer offered, or can't be reached. */
export const httpsProbed = (log: Logger, domain: string, state: string) =>
  log.debug({ domain, state }, "HTTPS delivery probed");

/** Mail to this domain is delivered by SMTP for a while. */
export const httpsFailed = (log: Logger, domain: string, why: string) =>
  log.warn({ domain, why }, "HTTPS delivery failed, using SMTP");

export const peerFailed = (log: Logger, domain: string, reason: string) =>
  log.debug({ domain, reason }, "HTTPS delivery failed");

export const discoveryFailed = (log: Logger, domain: string, err: unknown) =>
  log.debug({ domain, err: withoutPaths(err) }, "probe for HTTPS delivery failed");

export const destinationsNotRead = (log: Logger, err: unknown) =>
  log.warn({ err: withoutPaths(err) }, "destinations file unreadable, starting empty");

export const destinationsNotWritten = (log: Logger, err: unknown) =>
  log.warn({ err: withoutPaths(err) }, "destinations file not written");

/** What a parser says of such a file would quote it, and it has addresses. */
export const ratesNotRead = (log: Logger, code = "invalid") =>
  log.warn({ code }, "rate-limit file unreadable, starting empty");

export const ratesNotWritten = (log: Logger, err: unknown) =>
  log.warn({ err: withoutPaths(err) }, "rate-limit file not written");

/** The relay has sent itself a message by the ports of its clients, and it came. */
export const deliverable = (log: Logger, domain: string) => log.info({ domain }, "probe message delivered");

/** Twice in a row such a message did not come; `step` is one of a fixed list. */
export const notDeliverable = (log: Logger, domain: string, step: string, why: string) =>
  log.warn({ domain, step, why }, "probe message not delivered");

/**
 * Paths of mailboxes hold addresses: of a failed file operation only its code and call are kept.
 */
function withoutPaths(thrown: unknown): unknown {
  if (!(thrown instanceof Error)) return { type: typeof thrown };
  if ("syscall" in thrown && "code" in thrown) return { type: thrown.name, code: thrown.code, syscall: thrown.syscall };
  return { type: thrown.name, message: thrown.message, stack: thrown.stack };
}
