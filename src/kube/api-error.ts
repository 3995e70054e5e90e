/** What the API server said no with: an HTTP status and its words (a Status object). */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  /** Such as NotFound, AlreadyExists, Conflict, Invalid, Forbidden, Expired. */
  readonly reason: string;
  readonly retryAfterMs: number | undefined;
  /** The fields that are at fault, and why, where the server names them. */
  readonly causes: readonly Cause[];

  constructor(options: {
    status: number;
    reason: string;
    message: string;
    retryAfterMs?: number | undefined;
    causes?: readonly Cause[] | undefined;
  }) {
    super(options.message);
    this.status = options.status;
    this.reason = options.reason;
    this.retryAfterMs = options.retryAfterMs;
    this.causes = options.causes ?? [];
  }
}

export interface Cause {
  field?: string;
  /** Such as FieldManagerConflict, FieldValueInvalid. */
  reason?: string;
  message?: string;
}

export function isApiError(thrown: unknown, ...statuses: number[]): thrown is ApiError {
  return thrown instanceof ApiError && (statuses.length === 0 || statuses.includes(thrown.status));
}

/** From the head and the text of an answer, whatever it is: a Status, a proxy's page, nothing. */
export function apiErrorOf(answer: {
  status: number;
  statusText?: string | undefined;
  /**
   * Seconds, or a date (RFC 9110 §10.2.3), which is measured from `date`, what the clock of that
   * server says.
   */
  retryAfter?: string | undefined;
  date?: string | undefined;
  text: string;
}): ApiError {
  const { status, statusText, text } = answer;
  const retryAfterMs = retryAfterOf(answer);
  try {
    const said = JSON.parse(text) as { message?: string; reason?: string; details?: { causes?: RawCause[] } };
    const causes = said.details?.causes?.map(({ reason, message, field }) => ({
      ...(reason && { reason }),
      ...(message && { message }),
      ...(field && { field }),
    }));
    return new ApiError({
      status,
      retryAfterMs,
      causes,
      reason: said.reason ?? "Unknown",
      message: said.message ?? text,
    });
  } catch {
    const words = text.slice(0, 200) || (statusText ?? "");
    return new ApiError({ status, retryAfterMs, reason: "Unknown", message: `HTTP ${status}: ${words}` });
  }
}

const longestRetryMs = 60_000;

function retryAfterOf({ retryAfter = "", date = "" }: { retryAfter?: string | undefined; date?: string | undefined }) {
  const seconds = /^\d+$/.test(retryAfter) ? Number(retryAfter) : Number.NaN;
  const ms = / GMT$/.test(retryAfter) ? Date.parse(retryAfter) - Date.parse(date) : seconds * 1_000;
  return Number.isNaN(ms) ? undefined : Math.min(longestRetryMs, Math.max(0, ms));
}

type RawCause = { reason?: string; message?: string; field?: string };

/** Of the system and of name servers, of an answer that is no HTTP, of TLS and of certificates. */
const passingCodes = /^(E[A-Z]+|EAI_[A-Z]+|HPE_\w+|ERR_(TLS|SSL)_\w+|(CERT|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO)_\w+)$/;

/** Passing trouble of server, network or of two who wrote at once; not a fault of what was sent. */
export function isPassing(thrown: unknown): boolean {
  if (thrown instanceof ApiError) return ![400, 404, 405, 413, 415, 422].includes(thrown.status);
  if (!(thrown instanceof Error)) return false;
  return thrown.name === "DeadlineError" || ("code" in thrown && passingCodes.test(String(thrown.code)));
}
