/**
 * Built-in pages that are answers: to an invite, to an address that is not there. They stand beside
 * the user's own pages too.
 */
import { addressDomain } from "../../mail/address.ts";
import { escapeHtml, framed, joinCard } from "./html.ts";
import { type Language, languages } from "./language.ts";
import { texts } from "./texts.ts";

export interface AnswerPage {
  domain: string;
  language: Language;
  /** Whether the menu's pages are the built-in ones. */
  menu: boolean;
}

/** The way in for whoever has come here. `own`: the link holds an address that is theirs alone. */
export function joinPage({ domain, language, menu, link, own }: AnswerPage & { link: string; own: boolean }): string {
  const name = addressDomain(domain);
  const { invite } = texts[language];
  const title = invite.title(name);
  const content = `<h1>${invite.title(escapeHtml(name))}</h1>
<p class="lead">${invite.lead(escapeHtml(name))}</p>
${own ? `<p>${invite.own}</p>\n` : ""}${joinCard({ language, name, link })}`;
  return framed({ language, name, title, menu, content });
}

export function notValidPage({ domain, language, menu }: AnswerPage): string {
  const { title, text } = texts[language].notValid;
  const content = `<h1>${title}</h1>\n<p class="lead">${text}</p>`;
  return framed({ language, name: addressDomain(domain), title, menu, content });
}

/** For who may have an address, but not now. */
export function notNowPage({ domain, language, menu }: AnswerPage): string {
  const { title, text } = texts[language].notNow;
  const content = `<h1>${title}</h1>\n<p class="lead">${text}</p>`;
  return framed({ language, name: addressDomain(domain), title, menu, content });
}

function missingPage({ domain, language, menu }: AnswerPage): string {
  const { title, text, back } = texts[language].missing;
  const content = `<h1>${title}</h1>\n<p class="lead">${text}</p>\n<p><a class="button" href="/">${back}</a></p>`;
  return framed({ language, name: addressDomain(domain), title, menu, content });
}

/** 404.LANGUAGE.html for each. */
export function missingPageFiles(options: Omit<AnswerPage, "language">): Record<string, string> {
  return Object.fromEntries(
    languages.map((language) => [`404.${language}.html`, missingPage({ ...options, language })]),
  );
}
