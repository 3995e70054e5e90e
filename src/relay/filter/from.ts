/** The address in a From header (RFC 5322 §3.4), read without being led astray by quotes, comments, groups or 8-bit names. */

/** The first address of the list, or of its first group, lower-case; undefined where the header is malformed up to there. */
export function firstAddress(value: string): string | undefined {
  let text = "";
  let at = 0;
  while (at < value.length) {
    const letter = value[at] as string;
    if (letter === "(") {
      at = endOfComment(value, at);
      text += " ";
    } else if (letter === '"') {
      const end = endOfQuoted(value, at);
      text += value.slice(at, end);
      at = end;
    } else if (letter === "<") {
      const end = endOfAngle(value, at);
      return end !== undefined && endsWell(value, end) ? addressSpec(value.slice(at + 1, end - 1)) : undefined;
    } else if (letter === ":") {
      // the name of a group: its first member is asked for
      if (text.includes("@")) return undefined;
      text = "";
      at++;
    } else if (letter === "," || letter === ";") {
      if (text.trim() !== "") return addressSpec(text);
      if (letter === ";") return undefined;
      text = "";
      at++;
    } else {
      text += letter;
      at++;
    }
  }
  return addressSpec(text);
}

function endOfQuoted(value: string, start: number): number {
  let at = start + 1;
  while (at < value.length && value[at] !== '"') at += value[at] === "\\" ? 2 : 1;
  return at + 1;
}

function endOfComment(value: string, start: number): number {
  let depth = 0;
  for (let at = start; at < value.length; at++) {
    if (value[at] === "\\") at++;
    else if (value[at] === "(") depth++;
    else if (value[at] === ")" && --depth === 0) return at + 1;
  }
  return value.length;
}

/** The place behind the `>` that ends the address, or undefined. */
function endOfAngle(value: string, start: number): number | undefined {
  let at = start + 1;
  while (at < value.length) {
    if (value[at] === ">") return at + 1;
    if (value[at] === "<") return undefined;
    at = value[at] === '"' ? endOfQuoted(value, at) : at + 1;
  }
  return undefined;
}

/** Behind an address come only white space and comments, up to the next address or the end. */
function endsWell(value: string, start: number): boolean {
  for (let at = start; at < value.length; at++) {
    const letter = value[at] as string;
    if (letter === "," || letter === ";") return true;
    if (letter === "(") at = endOfComment(value, at) - 1;
    else if (!/\s/.test(letter)) return false;
  }
  return true;
}

/** A run of characters that need no quotes, or quoted text. 8-bit characters are allowed: they are no worse than others. */
const atom = '[^\\s"@<>()[\\]\\\\:;,\\p{Cc}]+';
const quoted = '"(?:\\\\\\P{Cc}|[^"\\\\\\p{Cc}])*"';
const literal = '\\[[^\\s"@<>()[\\]\\\\\\p{Cc}]+\\]';
const spec = new RegExp(`^(?:${atom}|${quoted})@(?:${atom}|${literal})$`, "u");

/** `local@domain` with exactly one @ outside of quotes, no white space and no control characters. */
function addressSpec(text: string): string | undefined {
  const address = text.trim();
  return address.length <= 320 && spec.test(address) ? address.toLowerCase() : undefined;
}
