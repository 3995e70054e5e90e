/**
 * Honest clients beside two others that hold as many connections as they can, on each port.
 * Measured is a whole session: a page, a login, a submission, from the connection on. `--sessions`:
 * of each kind beside each attack.
 */
import { numberOf, readOptions } from "../scripts/options.ts";
import { ports } from "../src/mail/ports.ts";
import { newAccount, password } from "../test/helpers/accounts.ts";
import { clientHello, holdConnections } from "../test/helpers/held-connections.ts";
import { askHttps } from "../test/helpers/https.ts";
import { ImapClient } from "../test/helpers/imap-client.ts";
import { proxyV2 } from "../test/helpers/proxy-header.ts";
import { startRelayPod } from "../test/helpers/relay-pod.ts";
import { SmtpClient } from "../test/helpers/smtp-client.ts";
import { endSignal, printTable, quantile, say, writeJson } from "./machine.ts";

const usage = "npm run bench -- connections [--sessions 20] [--json FILE]";
const { sessions, json } = readOptions(
  usage,
  {
    options: { sessions: { type: "string", default: "20" }, json: { type: "string" } },
  },
  ({ values }) => ({ sessions: numberOf("--sessions", values.sessions, { whole: true }, usage), json: values.json }),
);
const signal = endSignal();
const honest = "203.0.113.5";
const strangers = ["203.0.113.66", "203.0.113.67"];

interface Attack {
  what: string;
  port: number;
  /** Of each stranger. */
  connections: number;
  alpn?: readonly string[];
  /** Which sessions are measured. */
  beside: readonly Session[];
}
type Session = "page" | "login" | "login by 443" | "submission" | "submission by 443" | "port 25" | "port 587";

const throughNginx: readonly Session[] = ["page", "login by 443", "submission by 443"];
const attacks: readonly Attack[] = [
  { what: "nothing", port: 0, connections: 0, beside: ["page", "login", "submission", "port 25", "port 587"] },
  { what: "443, ALPN imap", port: ports.https, connections: 1000, alpn: ["imap"], beside: throughNginx },
  { what: "443, ALPN smtp", port: ports.https, connections: 1000, alpn: ["smtp"], beside: throughNginx },
  { what: "443, ALPN h2", port: ports.https, connections: 1000, alpn: ["h2"], beside: throughNginx },
  { what: "443, silent", port: ports.https, connections: 1000, beside: throughNginx },
  { what: "80, silent", port: ports.http, connections: 1000, beside: throughNginx },
  { what: "25", port: ports.smtp, connections: 200, beside: ["port 25"] },
  { what: "465", port: ports.submissions, connections: 200, beside: ["submission"] },
  { what: "587", port: ports.submission, connections: 200, beside: ["port 587"] },
  { what: "993, TLS begun", port: ports.imaps, connections: 4000, alpn: ["imap"], beside: ["login"] },
  { what: "143, silent", port: ports.imap, connections: 4000, beside: ["login"] },
];

const pod = await startRelayPod({
  domain: "_connections-bench.test",
  spec: { network: { proxyProtocol: { trustedNetworks: ["198.51.100.0/24"] } } },
});
try {
  const by = (port: number, client = honest) => ({ ...pod.at(port), preamble: proxyV2(client) });
  const user = await newAccount({ domain: pod.domain, at: (port) => by(port) });
  const login = (port: number) => async () => (await ImapClient.ready(by(port), user, password)).logout();
  const submission = (port: number) => async () => (await SmtpClient.ready(by(port), user, password)).quit();
  const run: Record<Session, () => Promise<unknown>> = {
    page: async () => {
      const { status } = await askHttps(pod, { path: "/", preamble: proxyV2(honest) });
      if (status !== 200) throw new Error(`the page was answered ${status}`);
    },
    login: login(ports.imaps),
    "login by 443": login(ports.https),
    submission: submission(ports.submissions),
    "submission by 443": submission(ports.https),
    "port 25": async () => (await SmtpClient.ready(by(ports.smtp))).quit(),
    "port 587": submission(ports.submission),
  };
  const results: { attack: string; session: Session; failed: number; p50Ms: number; p99Ms: number; mostMs: number }[] =
    [];
  for (const { what, port, connections, alpn, beside } of attacks) {
    signal.throwIfAborted();
    say(`beside connections to ${what}`);
    const says = alpn ? await clientHello(alpn) : Buffer.alloc(0);
    const held = await Promise.all(strangers.map((client) => holdConnections(by(port, client), { connections, says })));
    try {
      for (const session of beside) {
        const ms: number[] = [];
        let failed = 0;
        for (let count = 0; count < sessions; count++) {
          signal.throwIfAborted();
          const start = performance.now();
          await run[session]().catch((thrown) => {
            failed++;
            say(`${session}: ${String(thrown)}`);
          });
          ms.push(performance.now() - start);
        }
        const [p50Ms = 0, p99Ms = 0] = [quantile(ms, 0.5), quantile(ms, 0.99)].map(Math.round);
        results.push({ attack: what, session, failed, p50Ms, p99Ms, mostMs: Math.round(Math.max(...ms)) });
      }
    } finally {
      for (const each of held) each.end();
    }
  }
  printTable([
    ["session beside two clients' connections to", "p50 / p99 / max in ms"],
    ...results.map(({ attack, session, failed, p50Ms, p99Ms, mostMs }) => {
      const figures = [p50Ms, p99Ms, mostMs].map((each) => String(each).padStart(5)).join(" / ");
      return [`${attack}: ${session}`, failed > 0 ? `${figures}, ${failed} failed` : figures] as const;
    }),
  ]);
  await writeJson(json, { sessions, results });
} finally {
  await pod.remove();
}
