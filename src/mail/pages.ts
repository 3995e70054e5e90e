/** The built-in pages: one that works on any phone, without script and without a request to anyone else. */
import qrcode from "qrcode";
import type { ChatmailServerSpec } from "../api/chatmail-server.ts";
import { bytesOf } from "../api/quantity.ts";
import { addressDomain } from "./address.ts";
import { inviteLink } from "./invite.ts";

export function pageFiles(spec: ChatmailServerSpec): Record<string, string> {
  return { "index.html": indexPage(spec), "style.css": style, "robots.txt": "User-agent: *\nDisallow: /\n" };
}

/** Text as HTML shows it, in content and in quoted attributes. */
export function escapeHtml(text: string): string {
  const names: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return text.replaceAll(/[&<>"']/g, (character) => names[character] ?? "");
}

/** Bytes as people say them: "500 MiB", or "1.5 GiB". */
export function readableSize(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"] as const;
  const step = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(bytes, 1)) / 10));
  return `${Number((bytes / 1024 ** step).toFixed(1))} ${units[step]}`;
}

/** A QR code as one path, dark on white in both colour schemes: cameras want it so. */
export function qrSvg(text: string, label: string): string {
  const { modules } = qrcode.create(text, { errorCorrectionLevel: "M" });
  const quiet = 4;
  const side = modules.size + 2 * quiet;
  const squares = Array.from({ length: modules.size * modules.size }, (_, at) => {
    const [row, column] = [Math.floor(at / modules.size), at % modules.size];
    return modules.get(row, column) ? `M${column + quiet} ${row + quiet}h1v1h-1z` : "";
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${side} ${side}" role="img" aria-label="${escapeHtml(label)}" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h${side}v${side}H0z"/><path fill="#000" d="${squares.join("")}"/></svg>`;
}

const days = (count: number) => (count === 1 ? "1 day" : `${count} days`);

function indexPage(spec: ChatmailServerSpec): string {
  const { accounts, messages } = spec;
  const name = escapeHtml(addressDomain(spec.domain));
  const facts: readonly [string, string][] = [
    ["Messages are deleted after", days(messages.deleteAfterDays)],
    ["Large messages, once seen, after", days(messages.deleteLargeAfterDays)],
    ["Addresses that nobody uses, after", days(messages.inactiveAccountsAfterDays)],
    ["A message may have", readableSize(bytesOf(messages.maxSize))],
    ["A mailbox may hold", readableSize(bytesOf(accounts.mailboxQuota))],
    ["You may send", `${accounts.sendRatePerMinute} messages a minute`],
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${name}: chatmail relay</title>
<link rel="stylesheet" href="style.css">
<link rel="icon" href="data:,">
</head>
<body>
<main>
<h1>${name}</h1>
<p>A chatmail relay for <a href="https://delta.chat/">Delta Chat</a>: it passes on end-to-end encrypted messages, asks for no name and no number, and forgets.</p>
${invitation(spec)}
<h2>What it keeps, and for how long</h2>
<dl>
${facts.map(([term, fact]) => `<div><dt>${term}</dt><dd>${fact}</dd></div>`).join("\n")}
</dl>
<p>Only encrypted messages are taken. The relay knows your address, the size and time of a message and who it is for, until it is delivered and deleted. Its logs hold no addresses.</p>
${privacySection(spec)}</main>
</body>
</html>
`;
}

function invitation({ domain, accounts }: ChatmailServerSpec): string {
  if (accounts.registration === "Closed") return "<p>This relay takes no new members.</p>";
  if (accounts.registration === "Invite") return "<p>Who has an invite gets an address here.</p>";
  const link = inviteLink(domain);
  return `<p><a class="button" href="${escapeHtml(link)}">Get an address here</a></p>
<figure>
${qrSvg(link, `QR code: get an address on ${domain}`)}
<figcaption>On another device: scan this with Delta Chat</figcaption>
</figure>`;
}

function privacySection({ privacy }: ChatmailServerSpec): string {
  const rows: readonly [string, string | undefined][] = [
    ["Run by", privacy.postal],
    ["Contact", privacy.mail],
    ["Data protection officer", privacy.dataOfficer],
    ["Supervising authority", privacy.supervisor],
  ];
  const given = rows.flatMap(([term, text]) =>
    text === undefined ? [] : [`<div><dt>${term}</dt><dd>${lines(text)}</dd></div>`],
  );
  return given.length === 0 ? "" : `<h2>Who answers for it</h2>\n<dl>\n${given.join("\n")}\n</dl>\n`;
}

const lines = (text: string) => escapeHtml(text.trim()).replaceAll(/\r?\n/g, "<br>");

const style = `:root {
  color-scheme: light dark;
  --ink: light-dark(#1b1f23, #e8eaed);
  --paper: light-dark(#fff, #16191c);
  --faint: light-dark(#57606a, #a0a7af);
  --rule: light-dark(#d9dee3, #343a40);
  --accent: light-dark(#0b5cad, #8ec5ff);
  --on-accent: light-dark(#fff, #10263b);
}
* {
  box-sizing: border-box;
}
body {
  margin: 0;
  background: var(--paper);
  color: var(--ink);
  font: 1.0625rem/1.55 system-ui, sans-serif;
}
main {
  max-width: 36rem;
  margin: 0 auto;
  padding: 1.5rem 1.25rem 3rem;
}
h1 {
  font-size: 1.7rem;
  line-height: 1.2;
  overflow-wrap: anywhere;
}
h2 {
  margin-top: 2.25rem;
  font-size: 1.15rem;
}
a {
  color: var(--accent);
}
.button {
  display: block;
  padding: 0.9rem 1.25rem;
  border-radius: 0.6rem;
  background: var(--accent);
  color: var(--on-accent);
  font-weight: 600;
  text-align: center;
  text-decoration: none;
}
.button:focus-visible,
.button:hover {
  outline: 3px solid var(--accent);
  outline-offset: 2px;
}
figure {
  margin: 1.75rem 0;
  text-align: center;
}
figure svg {
  width: min(15rem, 70vw);
  border-radius: 0.6rem;
}
figcaption {
  margin-top: 0.5rem;
  color: var(--faint);
  font-size: 0.95rem;
}
dl {
  margin: 0;
}
dl div {
  display: flex;
  flex-wrap: wrap;
  justify-content: space-between;
  gap: 0 1.5rem;
  padding: 0.5rem 0;
  border-bottom: 1px solid var(--rule);
}
dt {
  color: var(--faint);
}
dd {
  margin: 0;
  overflow-wrap: anywhere;
}
`;
