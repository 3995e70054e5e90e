/** "a, b and c": a list as a sentence has it. */
function listed(items: readonly string[]): string {
  const head = items.slice(0, -1).join(", ");
  const last = items.at(-1) ?? "";
  return head === "" ? last : `${head} and ${last}`;
}

/**
 * What an unknown thrown value says, without its stack. A name that no address of answers is an
 * AggregateError without words of its own.
 */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof AggregateError && thrown.message === "") return listed(thrown.errors.map(messageOf));
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The error code of a failed call of the system, such as "ENOENT". */
export function codeOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && "code" in thrown && typeof thrown.code === "string" ? thrown.code : undefined;
}

/**
 * As String.trim, for the white space of mail only: latin1 text has others, such as octet 0xA0,
 * that stand for something else.
 */
export function trimSpace(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

const isSpace = (code: number) => code === 32 || code === 9 || code === 13 || code === 10;
