/**
 * Built-in pages that are answers: to an invite, to an address that is not there. They stand beside
 * the user's own pages too.
 */
import { addressDomain } from "../../mail/address.ts";
import { framed, joinCard, nameHtml } from "./html.ts";
import type { Wording, Wordings } from "./texts.ts";

export interface AnswerPage {
  domain: string;
  wordings: Wordings;
  wording: Wording;
  /** Whether the menu's pages are the built-in ones. */
  menu: boolean;
}

/** The way in for whoever has come here. `own`: the link holds an address that is theirs alone. */
export function joinPage({ domain, link, own, ...page }: AnswerPage & { link: string; own: boolean }): string {
  const { wording } = page;
  const name = addressDomain(domain);
  const content = `<h1>${wording.html("invite.title", { name: nameHtml(name) })}</h1>
<p class="lead">${wording.html("invite.lead", { name: `<strong>${nameHtml(name)}</strong>` })}</p>
${own ? `<p>${wording.html("invite.own")}</p>\n` : ""}${joinCard({ wording, name, link })}`;
  return framed({ ...page, name, title: wording.plain("invite.title", { name }), content });
}

export function notValidPage(page: AnswerPage): string {
  return shortPage(page, "notValid");
}

/** For who may have an address, but not now. */
export function notNowPage(page: AnswerPage): string {
  return shortPage(page, "notNow");
}

function missingPage(page: AnswerPage): string {
  return shortPage(page, "missing", `\n<p><a class="button" href="/">${page.wording.html("missing.back")}</a></p>`);
}

function shortPage({ domain, ...page }: AnswerPage, about: "notValid" | "notNow" | "missing", more = ""): string {
  const { wording } = page;
  const content = `<h1>${wording.html(`${about}.title`)}</h1>\n<p class="lead">${wording.html(`${about}.text`)}</p>${more}`;
  return framed({ ...page, name: addressDomain(domain), title: wording.plain(`${about}.title`), content });
}

/** 404.LANGUAGE.html for each. */
export function missingPageFiles(options: Omit<AnswerPage, "wording">): Record<string, string> {
  return Object.fromEntries(
    options.wordings.all.map((wording) => [`404.${wording.language}.html`, missingPage({ ...options, wording })]),
  );
}
