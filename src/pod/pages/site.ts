/** The built-in pages that nginx serves as they are, each in every language: NAME.LANGUAGE.html. */
import { addressDomain } from "../../mail/address.ts";
import { joinPath, publicInvite } from "../../mail/invite.ts";
import type { DomainPlan } from "../plan.ts";
import { escapeHtml, escapeLines } from "./escape.ts";
import { framed, joinCard, nameHtml, type PageName, pageNames } from "./html.ts";
import type { Wording, Wordings } from "./texts.ts";

export function pageFiles(plan: DomainPlan, wordings: Wordings): Record<string, string> {
  const pages = wordings.all.flatMap((wording) =>
    pageNames.map((name) => [`${name}.${wording.language}.html`, page({ plan, wordings, wording, name })] as const),
  );
  return { ...Object.fromEntries(pages), "robots.txt": "User-agent: *\nDisallow: /\n" };
}

/** Bytes as people say them: "500 MiB", or "1.5 GiB". Read from the left in every language. */
export function readableSize(bytes: number, wording: Wording): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"] as const;
  const step = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(bytes, 1)) / 10));
  return `${wording.number(bytes / 1024 ** step)}\u00a0${units[step]}`;
}

interface PageOptions {
  plan: DomainPlan;
  wordings: Wordings;
  wording: Wording;
  name: PageName;
}

function page({ plan, wordings, wording, name: page }: PageOptions): string {
  const name = addressDomain(plan.domain);
  const title = page === "index" ? name : `${wording.plain(`${page}.title`)} · ${name}`;
  return framed({ wordings, wording, name, page, title, content: contents[page](plan, wording) });
}

const contents: Record<PageName, (plan: DomainPlan, wording: Wording) => string> = {
  index: indexPage,
  info: infoPage,
  privacy: privacyPage,
};

function indexPage(plan: DomainPlan, wording: Wording): string {
  const points = (["encrypted", "noForms", "brief"] as const).map(
    (each) => `<li><h3>${wording.html(`index.${each}.heading`)}</h3><p>${wording.html(`index.${each}.text`)}</p></li>`,
  );
  const name = `<strong>${nameHtml(addressDomain(plan.domain))}</strong>`;
  return `<h1>${wording.html("index.title")}</h1>
<p class="lead">${wording.html("index.lead", { name })}</p>
${wayIn(plan, wording)}
<ul class="points">
${points.join("\n")}
</ul>`;
}

function wayIn({ domain, accounts }: DomainPlan, wording: Wording): string {
  const note = (about: "closed" | "invited" | "start", more = "") =>
    `<section class="note"><h2>${wording.html(`index.${about}.heading`)}</h2>\n<p>${wording.html(`index.${about}.text`)}</p>${more}</section>`;
  if (accounts.registration === "Closed") return note("closed");
  if (accounts.registration === "Invite") return note("invited");
  const { link } = publicInvite(domain, accounts);
  if (link !== undefined) return joinCard({ wording, name: addressDomain(domain), link });
  return note("start", `\n<p><a class="button" href="${joinPath}">${wording.html("index.start.button")}</a></p>`);
}

const rows = (given: readonly (readonly [string, string | undefined])[]) =>
  given
    .flatMap(([term, text]) => (text === undefined ? [] : [`<div><dt>${term}</dt><dd>${text}</dd></div>`]))
    .join("\n");

const section = (wording: Wording, about: `info.${InfoSection}` | `privacy.${PrivacySection}`) =>
  `<h2>${wording.html(`${about}.heading`)}</h2>\n<p>${wording.html(`${about}.text`)}</p>`;
type InfoSection = "refused" | "others" | "second" | "none";
type PrivacySection = "notKept" | "site" | "rights";

function infoPage({ accounts, messages }: DomainPlan, wording: Wording): string {
  const days = (count: number) => wording.counted("days", count);
  const size = (bytes: number) => `<bdi>${readableSize(bytes, wording)}</bdi>`;
  return `<h1>${wording.html("info.title")}</h1>
<p class="lead">${wording.html("info.lead")}</p>
<h2>${wording.html("info.limits")}</h2>
<dl class="facts">
${rows([
  [wording.html("info.deleted"), days(messages.deleteAfterDays)],
  [wording.html("info.deletedLarge"), days(messages.deleteLargeAfterDays)],
  [wording.html("info.unused"), days(messages.inactiveAccountsAfterDays)],
  [wording.html("info.messageSize"), size(messages.maxBytes)],
  [wording.html("info.mailboxSize"), size(accounts.quotaBytes)],
  [wording.html("info.rate"), wording.counted("info.perMinute", accounts.sendRatePerMinute)],
])}
</dl>
${(["refused", "others", "second", "none"] as const).map((each) => section(wording, `info.${each}`)).join("\n")}`;
}

function privacyPage(plan: DomainPlan, wording: Wording): string {
  const { privacy: given, messages, services } = plan;
  const days = (count: number) => wording.counted("days", count);
  const mail = given.mail === undefined ? undefined : escapeHtml(given.mail);
  const lines = (text: string | undefined) => (text === undefined ? undefined : escapeLines(text));
  // written by a person in a language that nobody knows
  const their = (text: string | undefined) => text && `<span dir="auto">${text}</span>`;
  const who = rows([
    [wording.html("privacy.postal"), their(lines(given.postal))],
    [wording.html("privacy.mail"), mail && `<a href="mailto:${mail}"><bdi>${mail}</bdi></a>`],
    [wording.html("privacy.dataOfficer"), their(lines(given.dataOfficer))],
    [wording.html("privacy.supervisor"), their(lines(given.supervisor))],
  ]);
  const service = nameHtml(new URL(services.push.url).host);
  const kept = (
    about: "account" | "login" | "messages" | "passing" | "push" | "connection",
    values: Readonly<Record<string, string>> = {},
  ) => [wording.html(`privacy.${about}.term`), wording.html(`privacy.${about}.text`, values)] as const;
  return `<h1>${wording.html("privacy.title")}</h1>
<p class="lead">${wording.html("privacy.lead", { name: nameHtml(addressDomain(plan.domain)) })}</p>
<h2>${wording.html("privacy.who")}</h2>
${who === "" ? `<p>${wording.html("privacy.unnamed")}</p>` : `<dl class="who">\n${who}\n</dl>`}
<h2>${wording.html("privacy.kept")}</h2>
<dl class="kept">
${rows([
  kept("account", { days: days(messages.inactiveAccountsAfterDays) }),
  kept("login"),
  kept("messages", { days: days(messages.deleteAfterDays), large: days(messages.deleteLargeAfterDays) }),
  kept("passing"),
  ...(services.push.enabled ? [kept("push", { service })] : []),
  kept("connection"),
])}
</dl>
${(["notKept", "site", "rights"] as const).map((each) => section(wording, `privacy.${each}`)).join("\n")}`;
}
