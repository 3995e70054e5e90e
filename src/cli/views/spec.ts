/** A spec as the operator goes by it, and where each value comes from. Pure. */
import * as z from "zod";
import { ChatmailServerSpec } from "../../api/chatmail-server.ts";
import { type Layer, type Origin, resolve } from "../../api/resolve.ts";
import { innerOf } from "../../api/rules.ts";
import { issueTexts } from "../../lib/issues.ts";
import { harmless, type Paint } from "../text/paint.ts";
import { table } from "../text/table.ts";

export interface SpecRow {
  field: string;
  value: unknown;
  from: Origin;
}

/** Lists and maps are values; groups are not. */
export function specRows(layers: readonly Layer[]): { rows: SpecRow[] } | { problem: string } {
  const resolved = resolve(ChatmailServerSpec, layers);
  if ("issues" in resolved) return { problem: issueTexts(resolved, ["spec"]) };
  const rows = [...leavesOf(ChatmailServerSpec, resolved.spec)].map(({ path, value }) => {
    const field = path.join(".");
    return { field, value, from: resolved.originOf(field) };
  });
  return { rows };
}

function* leavesOf(
  schema: z.core.$ZodType,
  value: unknown,
  path: readonly string[] = [],
): Generator<{ path: readonly string[]; value: unknown }> {
  const inner = innerOf(schema);
  if (!(inner instanceof z.ZodObject)) {
    if (value !== undefined) yield { path, value };
    return;
  }
  if (typeof value !== "object" || value === null) return;
  const group = value as Record<string, unknown>;
  for (const [name, field] of Object.entries(inner.shape)) yield* leavesOf(field, group[name], [...path, name]);
}

export const valueText = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

export function specTable(rows: readonly SpecRow[], paint: Paint): string {
  return table(
    ["FIELD", "VALUE", "FROM"],
    rows.map(({ field, value, from }) => {
      const isBuiltIn = from === "built in";
      return [field, harmless(valueText(value)), isBuiltIn ? paint("quiet", from) : paint("strong", from)];
    }),
  );
}
