/** "a, b and c": a list as a sentence has it. */
export function listed(items: readonly string[]): string {
  const head = items.slice(0, -1).join(", ");
  const last = items.at(-1) ?? "";
  return head === "" ? last : `${head} and ${last}`;
}

/** What an unknown thrown value says, without its stack. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
