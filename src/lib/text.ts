/** "a, b and c": a list as a sentence has it. */
export function listed(items: readonly string[]): string {
  const head = items.slice(0, -1).join(", ");
  const last = items.at(-1) ?? "";
  return head === "" ? last : `${head} and ${last}`;
}

/** What an unknown thrown value says, without its stack. A name that no address of answers is an AggregateError without words of its own. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof AggregateError && thrown.message === "") return listed(thrown.errors.map(messageOf));
  return thrown instanceof Error ? thrown.message : String(thrown);
}
