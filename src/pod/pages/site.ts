/** The built-in pages that nginx serves as they are, each in every language: NAME.LANGUAGE.html. */
import { addressDomain } from "../../mail/address.ts";
import { joinPath, publicInvite } from "../../mail/invite.ts";
import type { DomainPlan } from "../plan.ts";
import { escapeHtml, escapeLines, framed, joinCard, type PageName, pageNames } from "./html.ts";
import { type Language, languages } from "./language.ts";
import { texts } from "./texts.ts";

export function pageFiles(plan: DomainPlan): Record<string, string> {
  const pages = languages.flatMap((language) =>
    pageNames.map((name) => [`${name}.${language}.html`, page(plan, language, name)] as const),
  );
  return { ...Object.fromEntries(pages), "robots.txt": "User-agent: *\nDisallow: /\n" };
}

/** Bytes as people say them: "500 MiB", or "1.5 GiB". */
export function readableSize(bytes: number, language: Language = "en"): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"] as const;
  const step = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(bytes, 1)) / 10));
  const number = new Intl.NumberFormat(language, { maximumFractionDigits: 1, useGrouping: false });
  return `${number.format(bytes / 1024 ** step)} ${units[step]}`;
}

function page(plan: DomainPlan, language: Language, page: PageName): string {
  const name = addressDomain(plan.domain);
  const content = contents[page](plan, language);
  const heading = texts[language][page].title;
  return framed({ language, name, page, title: page === "index" ? name : `${heading}: ${name}`, content });
}

const contents: Record<PageName, (plan: DomainPlan, language: Language) => string> = {
  index: indexPage,
  info: infoPage,
  privacy: privacyPage,
};

function indexPage(plan: DomainPlan, language: Language): string {
  const { index } = texts[language];
  const points = index.points.map(({ heading, text }) => `<li><h3>${heading}</h3><p>${text}</p></li>`);
  return `<h1>${index.title}</h1>
<p class="lead">${index.lead(escapeHtml(addressDomain(plan.domain)))}</p>
${wayIn(plan, language)}
<ul class="points">
${points.join("\n")}
</ul>`;
}

function wayIn({ domain, accounts }: DomainPlan, language: Language): string {
  const { index } = texts[language];
  const note = ({ heading, text }: { heading: string; text: string }, more = "") =>
    `<section class="note"><h2>${heading}</h2>\n<p>${text}</p>${more}</section>`;
  if (accounts.registration === "Closed") return note(index.closed);
  if (accounts.registration === "Invite") return note(index.invited);
  const { link } = publicInvite(domain, accounts);
  if (link !== undefined) return joinCard({ language, name: addressDomain(domain), link });
  return note(index.start, `\n<p><a class="button" href="${joinPath}">${index.start.button}</a></p>`);
}

const rows = (given: readonly (readonly [string, string | undefined])[]) =>
  given
    .flatMap(([term, text]) => (text === undefined ? [] : [`<div><dt>${term}</dt><dd>${text}</dd></div>`]))
    .join("\n");

const sections = (given: readonly { heading: string; text: string }[]) =>
  given.map(({ heading, text }) => `<h2>${heading}</h2>\n<p>${text}</p>`).join("\n");

function infoPage({ accounts, messages }: DomainPlan, language: Language): string {
  const { info, days } = texts[language];
  const size = (bytes: number) => readableSize(bytes, language);
  return `<h1>${info.title}</h1>
<p class="lead">${info.lead}</p>
<h2>${info.limits}</h2>
<dl class="facts">
${rows([
  [info.deleted, days(messages.deleteAfterDays)],
  [info.deletedLarge, days(messages.deleteLargeAfterDays)],
  [info.unused, days(messages.inactiveAccountsAfterDays)],
  [info.messageSize, size(messages.maxBytes)],
  [info.mailboxSize, size(accounts.quotaBytes)],
  [info.rate, info.perMinute(accounts.sendRatePerMinute)],
])}
</dl>
${sections([info.refused, info.others, info.second, info.none])}`;
}

function privacyPage(plan: DomainPlan, language: Language): string {
  const { privacy: given, messages, services } = plan;
  const { privacy, days } = texts[language];
  const mail = given.mail === undefined ? undefined : escapeHtml(given.mail);
  const lines = (text: string | undefined) => (text === undefined ? undefined : escapeLines(text));
  const who = rows([
    [privacy.postal, lines(given.postal)],
    [privacy.mail, mail && `<a href="mailto:${mail}">${mail}</a>`],
    [privacy.dataOfficer, lines(given.dataOfficer)],
    [privacy.supervisor, lines(given.supervisor)],
  ]);
  const service = escapeHtml(new URL(services.push.url).host);
  return `<h1>${privacy.title}</h1>
<p class="lead">${privacy.lead(escapeHtml(addressDomain(plan.domain)))}</p>
<h2>${privacy.who}</h2>
${who === "" ? `<p>${privacy.unnamed}</p>` : `<dl class="who">\n${who}\n</dl>`}
<h2>${privacy.kept}</h2>
<dl class="kept">
${rows([
  [privacy.account.term, privacy.account.text(days(messages.inactiveAccountsAfterDays))],
  [privacy.login.term, privacy.login.text],
  [privacy.messages.term, privacy.messages.text(days(messages.deleteAfterDays), days(messages.deleteLargeAfterDays))],
  [privacy.passing.term, privacy.passing.text],
  [privacy.push.term, services.push.enabled ? privacy.push.text(service) : undefined],
  [privacy.connection.term, privacy.connection.text],
])}
</dl>
${sections([privacy.notKept, privacy.site, privacy.rights])}`;
}
