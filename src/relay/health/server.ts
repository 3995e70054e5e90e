/** Health and metrics over TCP, for the kubelet and for Prometheus. */
import { randomBytes } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { NotAccepting } from "../../api/reasons.ts";
import { codeOf, messageOf } from "../../lib/text.ts";
import type { ServedCertificate } from "../certificate/certificates.ts";
import type { Figures, RelayFigures } from "../figures/figures.ts";
import type { Metrics } from "../metrics.ts";
import type { Deliverable } from "../probe/policy.ts";
import type { Answer, Question } from "../wire/http.ts";
import type { SocketServer } from "../wire/socket-server.ts";

export interface HealthTools {
  metrics: Metrics;
  mailFolder: string;
  servers(): readonly SocketServer[];
  /** The mail domains that are served. */
  domains(): readonly string[];
  /** By mail domain, why it can't sign what goes out. */
  keyProblems(): Readonly<Record<string, string>>;
  /** By mail domain, why its certificate is not served. */
  certificateProblems(): Readonly<Record<string, string>>;
  stopping(): boolean;
  /** By mail domain, why no address is made; undefined: they are made. */
  refusals(): Promise<Record<string, NotAccepting | undefined>>;
  /** Which plan is used, and why the given one is not; undefined where there is none. */
  plan(): object | undefined;
  /** What is left in the queue of a server that is about to be deleted; undefined for others. */
  closing(): object | undefined;
  /** By mail domain, whether the last probes were delivered; undefined where there are none. */
  deliverable(): Readonly<Record<string, Deliverable>> | undefined;
  version: string;
  figures: Pick<RelayFigures, "read">;
  /** By mail domain, the certificate that clients get. */
  served(): Readonly<Record<string, ServedCertificate>>;
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
      const closing = tools.closing();
      const deliverable = tools.deliverable();
      const destinations = new URLSearchParams(question.query).has("destinations");
      const report = {
        version: tools.version,
        acceptingAccounts,
        certificates: tools.served(),
        ...shown(await tools.figures.read(), { destinations }),
        problems: problemsOf(tools),
        ...(deliverable && { deliverable }),
        ...(plan && { plan }),
        ...(closing && { closing }),
      };
      return { status: 200, body: `${JSON.stringify(report)}\n`, headers };
    }
    case "/metrics":
      await tools.figures.read();
      return {
        status: 200,
        body: tools.metrics.text(),
        headers: { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" },
      };
    default:
      return { status: 404, body: "there is nothing here\n" };
  }
}

/** Where mail goes is named only to whoever asks for it: the operator does. */
function shown({ queue, ...others }: Figures, show: { destinations: boolean }): object {
  if (!queue) return others;
  const { destinations, ...counts } = queue;
  return { ...others, queue: show.destinations ? queue : { ...counts, destinations: destinations.length } };
}

/** By mail domain, what keeps it from being served as it should be. */
function problemsOf(tools: HealthTools): Record<string, string> {
  return { ...tools.keyProblems(), ...tools.certificateProblems() };
}

async function unready(tools: HealthTools): Promise<string | undefined> {
  if (tools.stopping()) return "stopping";
  const closed = tools.servers().find((server) => !server.listening());
  if (closed) return `${closed.path} does not listen`;
  const problems = problemsOf(tools);
  // one domain that lacks its certificate or key must not take the others away
  if (tools.domains().every((domain) => Object.hasOwn(problems, domain))) return Object.values(problems)[0];
  const probe = join(tools.mailFolder, `.writable-${randomBytes(6).toString("hex")}`);
  try {
    await writeFile(probe, "", { flag: "wx" });
    await rm(probe, { force: true });
    return undefined;
  } catch (thrown) {
    return `the mail folder can't be written: ${codeOf(thrown) ?? messageOf(thrown)}`;
  }
}
