/** Header values, as latin1 text. */

/**
 * The value in one line: folds become what they are in RFC 5322 §2.2.3, nothing but their line ends
 * go.
 */
export function unfolded(value: string): string {
  return value.replace(/\r?\n(?=[ \t])/g, "").trim();
}

export interface ContentType {
  /** Lower-case, such as "multipart/encrypted". */
  type: string;
  boundary: string | undefined;
  /** Of a multipart/report (RFC 6522 §3), lower-case; undefined where there is not exactly one. */
  reportType: string | undefined;
}

/**
 * Without a value, text/plain (RFC 2045 §5.2). Where readers could disagree on the boundary there
 * is none: it is given twice or in pieces (RFC 2231), a quote has no end, or what stands between
 * two semicolons is no parameter.
 */
export function parseContentType(value: string | undefined): ContentType {
  if (value === undefined) return { type: "text/plain", boundary: undefined, reportType: undefined };
  const { pieces, whole } = splitAtSemicolons(unfolded(value));
  const [type = "", ...parameters] = pieces;
  const clear = whole && parameters.every((each) => each === "" || /^[^\s"=]+\s*=/.test(each));
  const only = (name: string) => (clear ? onlyParameter(parameters, name) : undefined);
  return {
    type: type.trim().toLowerCase(),
    boundary: only("boundary"),
    reportType: only("report-type")?.toLowerCase(),
  };
}

function onlyParameter(parameters: readonly string[], name: string): string | undefined {
  const begins = new RegExp(`^${name}[*=\\s]`, "i");
  const given = parameters.filter((each) => begins.test(each));
  const match = given.length === 1 ? new RegExp(`^${name}\\s*=\\s*(.*)$`, "is").exec(given[0] ?? "") : null;
  return match ? unquoted((match[1] ?? "").trim()) : undefined;
}

/** Of one header; a real one has three. */
const mostPieces = 100;

/**
 * Cuts at semicolons outside of quotes; not `whole` where a quote has no end, or where there are
 * more than anybody writes.
 */
function splitAtSemicolons(value: string): { pieces: string[]; whole: boolean } {
  const pieces: string[] = [];
  let start = 0;
  let quoted = false;
  for (let at = 0; at < value.length; at++) {
    const letter = value[at];
    if (letter === '"') quoted = !quoted;
    else if (quoted && letter === "\\") at++;
    else if (!quoted && letter === ";") {
      if (pieces.length === mostPieces) return { pieces, whole: false };
      pieces.push(value.slice(start, at).trim());
      start = at + 1;
    }
  }
  return { pieces: [...pieces, value.slice(start).trim()], whole: !quoted };
}

/**
 * A value of 1 to 200 characters; anything that is not plainly a token or one quoted text is none.
 */
function unquoted(text: string): string | undefined {
  const quoted = /^"((?:\\.|[^"\\])*)"$/s.exec(text);
  const value = quoted ? (quoted[1] ?? "").replace(/\\(.)/gs, "$1") : text;
  if (!quoted && /[\s"()<>@,;:\\[\]]/.test(text)) return undefined;
  return /^[\x20-\x7e]{0,199}[\x21-\x7e]$/.test(value) ? value : undefined;
}
