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
  retryAfter?: string | undefined;
  text: string;
}): ApiError {
  const { status, statusText, text } = answer;
  const seconds = Number(answer.retryAfter);
  const known = answer.retryAfter !== undefined && Number.isFinite(seconds) && seconds >= 0;
  const retryAfterMs = known ? Math.min(seconds, 60) * 1_000 : undefined;
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

type RawCause = { reason?: string; message?: string; field?: string };

/** Passing trouble of server, network or of two who wrote at once; not a fault of what was sent. */
export function isPassing(thrown: unknown): boolean {
  if (thrown instanceof ApiError) return ![400, 404, 405, 413, 415, 422].includes(thrown.status);
  if (!(thrown instanceof Error)) return false;
  return thrown.name === "DeadlineError" || ("code" in thrown && /^E[A-Z]+$/.test(String(thrown.code)));
}
