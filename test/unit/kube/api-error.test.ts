import { expect, test } from "vitest";
import { ApiError, apiErrorOf, isPassing } from "../../../src/kube/api-error.ts";

const date = "Wed, 25 Nov 2026 10:00:00 GMT";
test.each([
  { retryAfter: undefined, ms: undefined },
  { retryAfter: "", ms: undefined },
  { retryAfter: "0", ms: 0 },
  { retryAfter: "7", ms: 7_000 },
  { retryAfter: "-1", ms: undefined },
  { retryAfter: "soon", ms: undefined },
  { retryAfter: "86400", ms: 60_000 },
  { retryAfter: "Wed, 25 Nov 2026 10:00:12 GMT", ms: 12_000 },
  { retryAfter: "Wed, 25 Nov 2026 09:00:00 GMT", ms: 0 },
])("Retry-After: $retryAfter means $ms ms, by the server's own clock", ({ retryAfter, ms }) => {
  expect(apiErrorOf({ status: 503, retryAfter, date, text: "" }).retryAfterMs).toBe(ms);
});

test("a date without the server's own tells nothing", () => {
  expect(apiErrorOf({ status: 503, retryAfter: date, text: "" }).retryAfterMs).toBeUndefined();
});

const coded = (code: string) => Object.assign(new Error("no"), { code });
test.each([
  { what: "a reset", thrown: coded("ECONNRESET"), passing: true },
  { what: "a name server that does not answer", thrown: coded("EAI_AGAIN"), passing: true },
  { what: "an answer that is no HTTP", thrown: coded("HPE_INVALID_CONSTANT"), passing: true },
  { what: "a certificate that has ended", thrown: coded("CERT_HAS_EXPIRED"), passing: true },
  { what: "a certificate of another name", thrown: coded("ERR_TLS_CERT_ALTNAME_INVALID"), passing: true },
  { what: "an authority that we do not know", thrown: coded("UNABLE_TO_VERIFY_LEAF_SIGNATURE"), passing: true },
  { what: "a conflict", thrown: new ApiError({ status: 409, reason: "Conflict", message: "" }), passing: true },
  { what: "an invalid object", thrown: new ApiError({ status: 422, reason: "Invalid", message: "" }), passing: false },
  { what: "a wrong argument", thrown: coded("ERR_INVALID_ARG_TYPE"), passing: false },
  { what: "a bug", thrown: new TypeError("x is undefined"), passing: false },
  { what: "no error at all", thrown: "no", passing: false },
])("$what passes: $passing", ({ thrown, passing }) => {
  expect(isPassing(thrown)).toBe(passing);
});
