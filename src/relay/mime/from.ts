/**
 * The author of a message: the address in its From header (RFC 5322 §3.6.2), where every reader
 * finds the same one.
 */
import { addressPattern, plainAddress } from "../../mail/address.ts";

/**
 * What an unquoted name is made of; octets above 127 are no worse than others. A `.` is obsolete
 * syntax that everybody writes.
 */
const plain = '[^\\x00-\\x08\\x0a-\\x1f\\x7f"(),:;<>@[\\]\\\\]';
const quoted = '"(?:\\\\[\\x20-\\x7e]|[^"\\\\\\x00-\\x08\\x0a-\\x1f\\x7f])*"';
const name = `(?:${plain}|${quoted})*`;
const comment = "(?:[ \\t]*\\([^()\\\\<>@\\x00-\\x08\\x0a-\\x1f\\x7f]*\\))?";
const bare = new RegExp(`^(?<address>${addressPattern})${comment}$`, "i");
const named = new RegExp(`^(?<name>${name})<(?<address>${addressPattern})>${comment}$`, "i");

/**
 * The one address of a From or Sender header, lower-case. `value` is in one line, as latin1 text.
 *
 * Undefined for whatever readers could take for another address: none or several, a group, a quoted
 * local part, a source route, comments but one at the end, and a name with an address in it that is
 * not the author's (also where quotes or encoded words, RFC 2047, hide it).
 */
export function authorOf(value: string): string | undefined {
  const text = value.replace(/^[ \t]+|[ \t]+$/g, "");
  const groups = (named.exec(text) ?? bare.exec(text))?.groups;
  const author = plainAddress(groups?.address ?? "");
  const others = addressesIn(groups?.name ?? "").filter((each) => each !== author);
  if (author === undefined || others.length > 0) return undefined;
  // an encoded word in the address: who decodes first finds another one; a colon outside of <>:
  // some take what stands before it for a group's name
  return author.includes("=?") || (author.includes(":") && groups?.name === undefined) ? undefined : author;
}

/** What looks like an address in a display name, quotes and encoded words undone, lower-case. */
function addressesIn(name: string): string[] {
  if (!name.includes("@") && !name.includes("=?")) return [];
  const unquoted = name.replace(/"((?:\\.|[^"\\])*)"/gs, (_, inner: string) => inner.replace(/\\(.)/gs, "$1"));
  // both as it stands and with its words run together, as decoders do with encoded words
  const decoded = unquoted.replace(/=\?[^?]*\?([bq])\?([^?]*)\?=\s*/gi, (_, encoding: string, text: string) =>
    encoding.toLowerCase() === "b" ? Buffer.from(text, "base64").toString("latin1") : fromQ(text),
  );
  const words = `${unquoted} ${decoded}`.toLowerCase().split(/[\s<>()[\],;:"\\]+/);
  return words.filter((each) => /[^@]@[^@]/.test(each)).map((each) => each.replace(/^'|[.']+$/g, ""));
}

/** The Q encoding of RFC 2047 §4.2. */
function fromQ(text: string): string {
  return text
    .replaceAll("_", " ")
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
