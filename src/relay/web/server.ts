/** What nginx hands on: /new. */
import { randomInt } from "node:crypto";
import { isSelfSignedDomain } from "../../api/domain.ts";
import type { DomainLimits } from "../../mail/relay-config.ts";
import { type Domains, limitsOfDomain } from "../domains.ts";
import type { Answer, Question } from "../http.ts";
import type { Metrics } from "../metrics.ts";
import { domainOfHost, newCredentials } from "./policy.ts";

/** The body of a question means nothing here. */
export const maxQuestionBytes = 4096;

export interface WebTools {
  config: Domains;
  metrics: Metrics;
}

const paths = ["/new", "/cgi-bin/newemail.py"];

export function answerWeb(question: Question, tools: WebTools): Answer {
  if (!paths.includes(question.path)) return json(404, { reason: "there is nothing here" });
  const domain = domainOfHost(question.host, Object.keys(tools.config.domains));
  const limits = domain === undefined ? undefined : limitsOfDomain(tools.config, domain);
  if (domain === undefined || !limits) return json(404, { reason: "this host has no mail domain here" });
  if (question.method === "POST") return fresh(domain, limits, tools);
  if (question.method !== "GET") return json(405, { reason: "POST is what makes an address" });
  if (isSelfSignedDomain(domain)) return fresh(domain, limits, tools);
  return { status: 301, body: "", headers: { Location: `dcaccount:https://${domain}/new` } };
}

function fresh(domain: string, limits: DomainLimits, { metrics }: WebTools): Answer {
  if (limits.registration !== "Open") {
    const how = limits.registration === "Invite" ? "an address here needs an invite" : "no new addresses are made here";
    return json(403, { reason: how });
  }
  metrics.count("handed_out_credentials_total");
  return json(200, newCredentials(domain, limits, randomInt));
}

function json(status: number, value: object): Answer {
  return {
    status,
    body: JSON.stringify(value),
    headers: { "Content-Type": "application/json", "Cache-Control": "no-store" },
  };
}
