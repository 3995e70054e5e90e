/**
 * What all built-in pages share: the frame around them, the QR code. They work without script and
 * ask nobody else for anything.
 */
import qrcode from "qrcode";
import { escapeHtml } from "./escape.ts";
import { tagOf } from "./language.ts";
import type { Wording, Wordings } from "./texts.ts";

/** Always there, whatever pages are served; see web.ts. */
export const assets = { style: "/chatmail.css", icon: "/chatmail.svg" } as const;

export const pageNames = ["index", "info", "privacy"] as const;
export type PageName = (typeof pageNames)[number];

function pagePath(language: string, page: PageName): string {
  return page === "index" ? `/${language}/` : `/${language}/${page}`;
}

/** The name of a relay in text of any direction: "[192.0.2.7]" keeps its brackets in place. */
export const nameHtml = (name: string) => `<bdi>${escapeHtml(name)}</bdi>`;

/** A QR code as one path, dark on white in both colour schemes: cameras want it so. */
export function qrSvg(text: string, label: string): string {
  const { side, squares } = qrSquares(text);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${side} ${side}" role="img" aria-label="${escapeHtml(label)}" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h${side}v${side}H0z"/><path fill="#000" d="${squares}"/></svg>`;
}

/** The last one is kept: a page has the same code in every language. */
let lastSquares: { text: string; side: number; squares: string } | undefined;

function qrSquares(text: string) {
  if (lastSquares?.text === text) return lastSquares;
  const { modules } = qrcode.create(text, { errorCorrectionLevel: "M" });
  const quiet = 4;
  const side = modules.size + 2 * quiet;
  const squares = Array.from({ length: modules.size * modules.size }, (_, at) => {
    const [row, column] = [Math.floor(at / modules.size), at % modules.size];
    return modules.get(row, column) ? `M${column + quiet} ${row + quiet}h1v1h-1z` : "";
  }).join("");
  lastSquares = { text, side, squares };
  return lastSquares;
}

export interface Frame {
  wordings: Wordings;
  wording: Wording;
  /** What stands behind the @ of addresses here. */
  name: string;
  title: string;
  /** Which page of the menu it is, if it is one of them. */
  page?: PageName;
  /** Where the menu's pages are the user's own, nothing is known of them but the first. */
  menu?: boolean;
  content: string;
}

/**
 * The same page in the other languages: of the menu's by their addresses, of others by the address
 * at which they are, whatever it is.
 */
function translations(page: PageName | undefined, language: string): string {
  return page === undefined ? `?lang=${language}` : pagePath(language, page);
}

export function framed({ wordings, wording, name, title, page, menu = true, content }: Frame): string {
  const { language, tag, direction } = wording;
  const links = (menu ? pageNames : (["index"] as const)).map((each) => {
    const current = each === page ? ' aria-current="page"' : "";
    return `<li><a href="${menu ? pagePath(language, each) : "/"}"${current}>${wording.html(`menu.${each}`)}</a></li>`;
  });
  const all = wordings.all;
  const elsewhere = all
    .filter((each) => each !== wording)
    .map(
      (each) =>
        `<li><a href="${translations(page, each.language)}" hreflang="${each.tag}" lang="${each.tag}" dir="${each.direction}">${escapeHtml(each.name)}</a></li>`,
    );
  return `<!doctype html>
<html lang="${tag}" dir="${direction}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${escapeHtml(title)}</title>
<link rel="stylesheet" href="${assets.style}">
<link rel="icon" href="${assets.icon}" type="image/svg+xml">
${page === undefined ? "" : alternates(page, wordings.languages)}</head>
<body>
<header>
<a class="brand" href="${menu ? pagePath(language, "index") : "/"}"><img src="${assets.icon}" alt="" width="32" height="32">${nameHtml(name)}</a>
<nav aria-label="${wording.html("menu.label")}"><ul>
${links.join("\n")}
</ul></nav>
</header>
<main>
${content}
</main>
<footer>
<p>${wording.html("footer")}</p>
<nav class="languages" aria-label="${wording.html("menu.languages")}"><ul>
${elsewhere.join("\n")}
</ul></nav>
</footer>
</body>
</html>
`;
}

/** For whoever asks without a language in the address, the browser's is chosen. */
function alternates(page: PageName, all: readonly string[]): string {
  const chosen = page === "index" ? "/" : `/${page}`;
  const lines = all.map((each) => [tagOf(each), pagePath(each, page)] as const);
  return [...lines, ["x-default", chosen] as const]
    .map(([tag, path]) => `<link rel="alternate" hreflang="${tag}" href="${path}">\n`)
    .join("");
}

/** The way in: what to tap, what to scan, and the three steps. */
export function joinCard({ wording, name, link }: { wording: Wording; name: string; link: string }): string {
  return `<section class="join" aria-labelledby="join">
<div>
<h2 id="join">${wording.html("join.heading")}</h2>
<p><a class="button" href="${escapeHtml(link)}">${wording.html("join.button")}</a></p>
<ol class="steps">
<li>${wording.html("join.install")}</li>
<li>${wording.html("join.tap")}</li>
<li>${wording.html("join.write")}</li>
</ol>
</div>
<figure>
${qrSvg(link, wording.plain("join.qrLabel", { name }))}
<figcaption>${wording.html("join.scan")}</figcaption>
</figure>
</section>`;
}
