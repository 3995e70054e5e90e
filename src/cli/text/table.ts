/** Text in columns, as kubectl has it. Pure. */
import { widthOf } from "./paint.ts";

/** The last column is not padded. Columns that are empty in all rows are left out. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const used = head.map((_, at) => at).filter((at) => rows.some((row) => (row[at] ?? "") !== ""));
  const lines = [head, ...rows].map((row) => used.map((at) => row[at] ?? ""));
  const widths = used.map((_, at) => Math.max(...lines.map((line) => widthOf(line[at] ?? ""))));
  const padded = (cell: string, at: number) => cell + " ".repeat(Math.max(0, (widths[at] ?? 0) - widthOf(cell)));
  return lines.map((line) => `${line.map(padded).join("   ").trimEnd()}\n`).join("");
}

/** "name:  value" with the values below each other; those without a value are left out. */
export function pairs(of: readonly (readonly [string, string | undefined])[], indent = ""): string {
  const given = of.filter((pair): pair is [string, string] => pair[1] !== undefined && pair[1] !== "");
  const width = Math.max(0, ...given.map(([name]) => name.length));
  return given.map(([name, value]) => `${indent}${`${name}:`.padEnd(width + 1)}  ${value}\n`).join("");
}

/** Text of several words in lines of `columns`, each after `indent`. */
export function wrapped(text: string, columns: number, indent: string): string {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && widthOf(`${indent}${last} ${word}`) <= columns)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.map((line) => `${indent}${line}\n`).join("");
}
