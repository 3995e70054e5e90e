/** What nginx forwards: /new for clients, and the pages for people who want to join. */
import { randomInt } from "node:crypto";
import { isSelfSignedDomain } from "../../api/domain.ts";
import { joinPath } from "../../mail/invite.ts";
import { joinPage, notNowPage, notValidPage } from "../../pod/pages/answers.ts";
import { type OwnTexts, Wordings } from "../../pod/pages/texts.ts";
import type { Accounts } from "../accounts/accounts.ts";
import { type Later, retrySeconds, sentenceOf } from "../accounts/refusals.ts";
import { accountExists } from "../accounts/store.ts";
import { type Domains, limitsOfDomain, localAddress } from "../domains.ts";
import { readInvites } from "../invites/store.ts";
import type { Metrics } from "../metrics.ts";
import type { Answer, Question } from "../wire/http.ts";
import {
  type Asker,
  type Credentials,
  domainOfHost,
  newCredentials,
  refusal,
  refusalSentences,
  welcome,
} from "./policy.ts";

/** The body of a question means nothing here. */
export const maxQuestionBytes = 4096;

export interface WebTools {
  config: Domains & {
    ownPages?: readonly string[] | undefined;
    /** By mail domain. */
    texts?: Readonly<Record<string, OwnTexts>> | undefined;
  };
  metrics: Metrics;
  accounts: Pick<Accounts, "welcome">;
}

const newPaths = ["/new", "/cgi-bin/newemail.py"];
const invitePath = /^\/i\/([^/]+)$/;

export async function answerWeb(question: Question, tools: WebTools): Promise<Answer> {
  const { path, query } = question;
  const isNew = newPaths.includes(path);
  const invite = invitePath.exec(path)?.[1];
  if (!isNew && path !== joinPath && invite === undefined) return json(404, { reason: "there is nothing here" });

  const domain = domainOfHost(question.host, Object.keys(tools.config.domains));
  const limits = domain === undefined ? undefined : limitsOfDomain(tools.config, domain);
  if (domain === undefined || !limits) return json(404, { reason: "this host has no mail domain here" });
  const token = isNew ? (new URLSearchParams(query).get("i") ?? undefined) : invite;
  const asker = { domain, limits, token, tokens: limits.registration === "Invite" ? await readInvites(limits) : [] };
  return isNew ? newAddress(question, asker, tools) : page(question, asker, tools);
}

async function newAddress({ method, client }: Question, asker: Asker, tools: WebTools): Promise<Answer> {
  const { domain, token, limits } = asker;
  if (method !== "POST" && method !== "GET") return json(405, { reason: "POST is what makes an address" });
  if (method === "GET" && !isSelfSignedDomain(domain)) {
    const invite = limits.registration === "Invite" && token !== undefined ? `?i=${encodeURIComponent(token)}` : "";
    return { status: 301, body: "", headers: { Location: `dcaccount:https://${domain}/new${invite}` } };
  }
  const refused = refusal(asker);
  if (refused) return json(403, { reason: refusalSentences[refused] });
  const later = await tools.accounts.welcome(domain, limits, client);
  if (later) return { ...json(503, { reason: sentenceOf(later) }), headers: { ...jsonHeaders, ...retryAfter(later) } };
  tools.metrics.of(domain).count("handed_out_credentials_total");
  return json(200, freshCredentials(asker, tools));
}

function freshCredentials(asker: Asker, { config }: Pick<WebTools, "config">): Credentials {
  return newCredentials(asker, randomInt, (address) => {
    const account = localAddress(config, address);
    return account !== undefined && accountExists(account);
  });
}

async function page(question: Question, asker: Asker, { accounts, config, metrics }: WebTools): Promise<Answer> {
  if (question.method !== "GET" && question.method !== "HEAD") return html(405, "");
  const wordings = new Wordings(config.texts?.[asker.domain]);
  const about = {
    domain: asker.domain,
    wordings,
    wording: wordings.of(question.language),
    menu: !config.ownPages?.includes(asker.domain),
  };
  const way = welcome(asker);
  switch (way.kind) {
    case "firstPage":
      return { status: 302, body: "", headers: { Location: "/", ...unkept } };
    case "notValid":
      return html(404, notValidPage(about));
    case "link":
    case "own": {
      const later = await accounts.welcome(asker.domain, asker.limits, question.client);
      if (later) {
        const { body, headers, status } = html(503, notNowPage(about));
        return { status, body, headers: { ...headers, ...retryAfter(later) } };
      }
    }
  }
  switch (way.kind) {
    case "link":
      return html(200, joinPage({ ...about, link: way.link, own: false }));
    case "own": {
      metrics.of(asker.domain).count("handed_out_credentials_total");
      const link = freshCredentials(asker, { config }).dclogin_url ?? "";
      return html(200, joinPage({ ...about, link, own: true }));
    }
  }
}

const retryAfter = (later: Later) => ({ "Retry-After": String(retrySeconds(later)) });

const unkept = { "Cache-Control": "no-store" };

function html(status: number, body: string): Answer {
  return { status, body, headers: { "Content-Type": "text/html; charset=utf-8", ...unkept } };
}

const jsonHeaders = { "Content-Type": "application/json", ...unkept };

function json(status: number, value: object): Answer {
  return { status, body: JSON.stringify(value), headers: jsonHeaders };
}
