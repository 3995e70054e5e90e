/**
 * What all built-in pages share: the frame around them, the QR code, text made safe. They work
 * without script and ask nobody else for anything.
 */
import qrcode from "qrcode";
import { type Language, languageNames, languages } from "./language.ts";
import { texts } from "./texts.ts";

/** Always there, whatever pages are served; see web.ts. */
export const assets = { style: "/chatmail.css", icon: "/chatmail.svg" } as const;

export const pageNames = ["index", "info", "privacy"] as const;
export type PageName = (typeof pageNames)[number];

function pagePath(language: Language, page: PageName): string {
  return page === "index" ? `/${language}/` : `/${language}/${page}`;
}

/** Text as HTML shows it, in content and in quoted attributes. */
export function escapeHtml(text: string): string {
  const names: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return text.replaceAll(/[&<>"']/g, (character) => names[character] ?? "");
}

/** Several lines of text, as a person has written them. */
export function escapeLines(text: string): string {
  return escapeHtml(text.trim()).replaceAll(/\r?\n/g, "<br>");
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

export interface Frame {
  language: Language;
  /** What stands behind the @ of addresses here. */
  name: string;
  title: string;
  /**
   * Which page of the menu it is, if it is one of them; others are in one language at their address
   * and have no link to the other.
   */
  page?: PageName;
  /** Where the menu's pages are the user's own, nothing is known of them but the first. */
  menu?: boolean;
  content: string;
}

export function framed({ language, name, title, page, menu = true, content }: Frame): string {
  const { menu: names } = texts[language];
  const links = (menu ? pageNames : (["index"] as const)).map((each) => {
    const current = each === page ? ' aria-current="page"' : "";
    return `<li><a href="${menu ? pagePath(language, each) : "/"}"${current}>${names[each]}</a></li>`;
  });
  const others = page === undefined ? [] : languages.filter((each) => each !== language);
  const elsewhere = others.map(
    (each) =>
      `<a href="${pagePath(each, page ?? "index")}" hreflang="${each}" lang="${each}">${languageNames[each]}</a>`,
  );
  return `<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${escapeHtml(title)}</title>
<link rel="stylesheet" href="${assets.style}">
<link rel="icon" href="${assets.icon}" type="image/svg+xml">
</head>
<body>
<header>
<a class="brand" href="${menu ? pagePath(language, "index") : "/"}"><img src="${assets.icon}" alt="" width="32" height="32">${escapeHtml(name)}</a>
<nav aria-label="${names.label}"><ul>
${links.join("\n")}
</ul></nav>
</header>
<main>
${content}
</main>
<footer>
<p>${texts[language].footer}</p>
${elsewhere.length > 0 ? `<p>${elsewhere.join(" ")}</p>\n` : ""}</footer>
</body>
</html>
`;
}

/** The way in: what to tap, what to scan, and the three steps. */
export function joinCard(options: { language: Language; name: string; link: string }): string {
  const { language, name, link } = options;
  const { join } = texts[language];
  return `<section class="join" aria-labelledby="join">
<div>
<h2 id="join">${join.heading}</h2>
<p><a class="button" href="${escapeHtml(link)}">${join.button}</a></p>
<ol class="steps">
<li>${join.install}</li>
<li>${join.tap}</li>
<li>${join.write}</li>
</ol>
</div>
<figure>
${qrSvg(link, join.qrLabel(name))}
<figcaption>${join.scan}</figcaption>
</figure>
</section>`;
}
