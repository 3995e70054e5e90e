/**
 * Code blocks of the pages. A comment before a block of commands says which test runs it, or why
 * none can: `<!-- run by: test/… -->`, `<!-- not run: … -->`.
 */
export interface Block {
  page: string;
  line: number;
  language: string;
  text: string;
  runBy?: string;
  notRun?: string;
}

export function blocksOf(page: string, text: string): Block[] {
  const found: Block[] = [];
  const fence = /(?:^ *<!-- (run by|not run): ([^\n]+?) -->\n\n)?^( *)```(\w*)\n([\s\S]*?)^\3```$/gm;
  for (const { index, 0: all, 1: mark, 2: said, 3: indent = "", 4: language = "", 5: body = "" } of text.matchAll(
    fence,
  ))
    found.push({
      page,
      line: text.slice(0, index + all.indexOf("```")).split("\n").length,
      language,
      text: body.replaceAll(new RegExp(`^${indent}`, "gm"), ""),
      ...(said !== undefined && (mark === "run by" ? { runBy: said } : { notRun: said })),
    });
  return found;
}
