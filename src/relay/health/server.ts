/** Health and metrics over TCP, for the kubelet and for Prometheus. */
import { randomBytes } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { NotAccepting } from "../../api/reasons.ts";
import { codeOf, messageOf } from "../../lib/text.ts";
import type { Metrics } from "../metrics.ts";
import type { Answer, Question } from "../wire/http.ts";
import type { SocketServer } from "../wire/socket-server.ts";

export interface HealthTools {
  metrics: Metrics;
  mailFolder: string;
  servers(): readonly SocketServer[];
  /** Why a domain can't sign what goes out. */
  keyProblem(): string | undefined;
  /** Why no certificate is served. */
  certificateProblem(): string | undefined;
  stopping(): boolean;
  /** By mail domain, why no address is made; undefined: they are made. */
  refusals(): Promise<Record<string, NotAccepting | undefined>>;
  /** Which plan is used, and why the given one is not; undefined where there is none. */
  plan(): object | undefined;
}

export async function answerHealth(question: Question, tools: HealthTools): Promise<Answer> {
  switch (question.path) {
    case "/healthz":
      return { status: 200, body: "ok\n" };
    case "/readyz": {
      const why = await unready(tools);
      return why === undefined ? { status: 200, body: "ok\n" } : { status: 503, body: `${why}\n` };
    }
    case "/status": {
      const refusals = Object.entries(await tools.refusals());
      const acceptingAccounts = Object.fromEntries(
        refusals.map(([domain, why]) => [domain, why ? { status: false, ...why } : { status: true }]),
      );
      const headers = { "Content-Type": "application/json" };
      const plan = tools.plan();
      return { status: 200, body: `${JSON.stringify({ acceptingAccounts, ...(plan && { plan }) })}\n`, headers };
    }
    case "/metrics":
      return {
        status: 200,
        body: tools.metrics.text(),
        headers: { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" },
      };
    default:
      return { status: 404, body: "there is nothing here\n" };
  }
}

async function unready(tools: HealthTools): Promise<string | undefined> {
  if (tools.stopping()) return "stopping";
  const closed = tools.servers().find((server) => !server.listening());
  if (closed) return `${closed.path} does not listen`;
  const problem = tools.certificateProblem() ?? tools.keyProblem();
  if (problem !== undefined) return problem;
  const probe = join(tools.mailFolder, `.writable-${randomBytes(6).toString("hex")}`);
  try {
    await writeFile(probe, "", { flag: "wx" });
    await rm(probe, { force: true });
    return undefined;
  } catch (thrown) {
    return `the mail folder can't be written: ${codeOf(thrown) ?? messageOf(thrown)}`;
  }
}
