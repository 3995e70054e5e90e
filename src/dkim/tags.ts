/**
 * Tag lists, `name=value; name=value` (RFC 6376 §3.2), as they stand in signatures and key records.
 */
import { trimSpace } from "../lib/text.ts";

/** Postfix forwards headers of 100 KiB; a real signature has 1 KiB. */
const longestTagList = 65_536;
const tagName = /^[A-Za-z][A-Za-z0-9_]*$/;
/** Folds are part of a value, other control characters are not. */
const tagValue = /^[\t\r\n\x20-\x7e\x80-\xff]*$/;

/**
 * The values by tag name, white space around them taken off; names are case-sensitive. Undefined
 * where it is no tag list, such as one that names a tag twice. More lenient than the RFC in one
 * thing: nothing between two semicolons is passed over, people write such key records.
 */
export function parseTags(text: string): ReadonlyMap<string, string> | undefined {
  if (text.length > longestTagList) return undefined;
  const tags = new Map<string, string>();
  for (const spec of text.split(";")) {
    if (trimSpace(spec) === "") continue;
    const equals = spec.indexOf("=");
    if (equals < 0) return undefined;
    const name = trimSpace(spec.slice(0, equals));
    const value = spec.slice(equals + 1);
    if (!tagName.test(name) || !tagValue.test(value) || tags.has(name)) return undefined;
    tags.set(name, trimSpace(value));
  }
  return tags.size > 0 ? tags : undefined;
}

/** The octets of a base64 value that may be folded; undefined where it is none, or empty. */
export function base64Value(text: string): Buffer | undefined {
  const joined = withoutSpace(text);
  return /^[A-Za-z0-9+/]+={0,2}$/.test(joined) && joined.replace(/=+$/, "").length % 4 !== 1
    ? Buffer.from(joined, "base64")
    : undefined;
}

/** "a : b:c" → ["a", "b", "c"], lower-case. */
export function colonList(text: string): string[] {
  return text.split(":").map((each) => trimSpace(each).toLowerCase());
}

export const withoutSpace = (text: string) => text.replace(/[ \t\r\n]+/g, "");
