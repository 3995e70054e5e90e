/**
 * A run of `npm run demo` as a moving SVG: its lines appear one after the other, the last picture
 * stays. Pure; `npm run generate` writes docs/images/demo.svg from the output in
 * docs/images/demo.txt.
 */

const size = { font: 13, line: 17, column: 7.83, margin: 16 };
/** What a viewer waits for a line; the true times stand in the lines themselves. */
const lineSeconds = 0.35;
/** The QR code appears at once. */
const blockSeconds = 0.02;
const colours = { ground: "#1b1f24", text: "#d6dbe1", faint: "#8b949e", done: "#57d38c", failed: "#ff7b72" };

const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

export function recordingSvg(output: string): string {
  const lines = output.replace(/\n+$/, "").split("\n");
  const width = Math.ceil(Math.max(...lines.map((line) => line.length)) * size.column) + 2 * size.margin;
  const height = lines.length * size.line + 2 * size.margin;
  let at = 0;
  const rows = lines.map((line, index) => {
    at += line === "" ? 0 : /[▀▄█]/.test(line) ? blockSeconds : lineSeconds;
    const y = size.margin + (index + 1) * size.line - 4;
    const style = `animation-delay:${at.toFixed(2)}s`;
    return `<text x="${size.margin}" y="${y}" class="${kindOf(line)}" style="${style}">${escaped(line)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="npm run demo: a relay in a cluster, from nothing to messages delivered">
<!-- Written by npm run generate from docs/images/demo.txt; edit there. -->
<style>
rect { fill: ${colours.ground} }
text { font: ${size.font}px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre; fill: ${colours.text}; animation: appear 0.2s both }
.title { font-weight: bold }
.faint { fill: ${colours.faint} }
.done { fill: ${colours.done} }
.failed { fill: ${colours.failed} }
@keyframes appear { from { opacity: 0 } }
@media (prefers-reduced-motion: reduce) { text { animation: none } }
</style>
<rect width="100%" height="100%" rx="8"/>
${rows.join("\n")}
</svg>
`;
}

function kindOf(line: string): string {
  if (line.startsWith("  ✓")) return "done";
  if (line.startsWith("  ✗")) return "failed";
  if (/^ {2,}\d+s /.test(line)) return "faint";
  return line.startsWith("Chatmail Operator") ? "title" : "plain";
}
