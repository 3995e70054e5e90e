/**
 * Dovecot's dict proxy protocol, as 2.3 and 2.4 send it: a letter, then fields with TABs between;
 * see chatmail protocol §11.
 */

export type DictCommand =
  | { kind: "hello" }
  | { kind: "lookup"; key: string; user: string }
  | { kind: "iterate"; path: string; user: string }
  | { kind: "begin"; id: string; user: string }
  | { kind: "set"; id: string; key: string; value: string }
  | { kind: "unset"; id: string; key: string }
  | { kind: "commit"; id: string }
  | { kind: "rollback"; id: string }
  /** Known and without effect here (increments, timestamps), or unknown: no answer is due. */
  | { kind: "ignored" };

export function parseDictLine(line: string): DictCommand {
  const [first = "", second = "", third = "", fourth = ""] = line.slice(1).split("\t").map(unescaped);
  switch (line[0]) {
    case "H":
      return { kind: "hello" };
    case "L":
      return { kind: "lookup", key: first, user: second };
    case "I":
      return { kind: "iterate", path: third, user: fourth };
    case "B":
      return { kind: "begin", id: first, user: second };
    case "S":
      return { kind: "set", id: first, key: second, value: third };
    case "U":
      return { kind: "unset", id: first, key: second };
    case "C":
      return { kind: "commit", id: first };
    case "R":
      return { kind: "rollback", id: first };
    default:
      return { kind: "ignored" };
  }
}

export const found = (value: string) => `O${escaped(value)}\n`;
export const notFound = "N\n";
export const lookupFailed = (why: string) => `F${escaped(why)}\n`;
/** Nothing to iterate over: without the empty line Dovecot waits for its timeout. */
export const endOfIteration = "\n";
export const committed = "O\n";
/** The first field is an id that is no longer read, the second the reason. */
export const commitFailed = (id: string, why: string) => `F${escaped(id)}\t${escaped(why)}\n`;

const escapes: Record<string, string> = { "\x01": "1", "\0": "0", "\t": "t", "\r": "r", "\n": "n" };
const unescapes: Record<string, string> = { "1": "\x01", "0": "\0", t: "\t", r: "\r", n: "\n" };

export function escaped(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the protocol escapes just these
  return text.replace(/[\x01\0\t\r\n]/g, (each) => `\x01${escapes[each] ?? ""}`);
}

/** An unknown escape stands for its own letter. */
export function unescaped(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: \x01 begins an escape
  return text.replace(/\x01(.?)/gs, (_, letter: string) => unescapes[letter] ?? letter);
}
