/** Text as HTML shows it, in content and in quoted attributes. */
export function escapeHtml(text: string): string {
  const names: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return text.replaceAll(/[&<>"']/g, (character) => names[character] ?? "");
}

/** Several lines of text, as a person has written them. */
export function escapeLines(text: string): string {
  return escapeHtml(text.trim()).replaceAll(/\r?\n/g, "<br>");
}
