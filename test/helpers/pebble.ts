/**
 * A real ACME server as a plain process: Pebble, which keeps all in memory, refuses nonces at
 * random and looks up names at the name server that it is told.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeSelfSigned } from "../../src/certificates/self-signed.ts";
import { buildPebble, pebbleIsBuilt } from "../lab/pebble.ts";
import { terminalProgress } from "../lab/progress.ts";
import { startDaemon } from "./daemon.ts";
import { freePorts } from "./free-port.ts";
import { patienceMs, until } from "./until.ts";

/** Why it can't run here; undefined where it can. */
export const pebbleIsMissing = (): string | undefined =>
  pebbleIsBuilt() || process.env.REQUIRE_ALL === "1" ? undefined : "Pebble is not built: `npm test services` once";

export interface PebbleOptions {
  /** "192.0.2.1:53": where it looks up names. */
  nameServer: string;
  /** Where it looks for the answers of HTTP-01, at the address of the name. */
  httpPort: number;
  /** Its own; by default 127.0.0.1. */
  address?: string;
  /** Of a hundred nonces, how many are refused. */
  badNonces?: number;
  /** Of a hundred valid authorizations, how many are used again. */
  reuse?: number;
  /** By key identifier, base64url: it takes no account without one. */
  externalAccounts?: Readonly<Record<string, string>>;
  /** Names that it never issues for. */
  blocked?: readonly string[];
  /** Seconds that a certificate is valid, by profile. */
  profiles?: Readonly<Record<string, number>>;
}

export interface Pebble {
  directoryUrl: string;
  /** By which its own HTTPS is verified, in PEM format. */
  authority: string;
  /** The root of what it issues, in PEM format: another one at each start. */
  root: () => Promise<string>;
  /** When a certificate is to be renewed (RFC 9773). */
  suggestRenewal: (certificatePem: string, window: { start: Date; end: Date }) => Promise<void>;
  log: () => string;
  stop: () => Promise<void>;
}

export async function startPebble(options: PebbleOptions): Promise<Pebble> {
  const {
    address = "127.0.0.1",
    nameServer,
    httpPort,
    badNonces = 5,
    reuse = 0,
    externalAccounts,
    blocked = [],
    profiles,
  } = options;
  const program = await buildPebble(terminalProgress());
  const folder = mkdtempSync(join(tmpdir(), "chatmail-pebble-"));
  const file = (name: string) => join(folder, name);
  const [port = 0, management = 0] = await freePorts(2, address);
  const { certificatePem, keyPem } = await makeSelfSigned(address, new Date());
  writeFileSync(file("cert.pem"), certificatePem);
  writeFileSync(file("key.pem"), keyPem);
  const days = 86_400;
  const validity = profiles ?? { default: 90 * days, shortlived: 6 * days };
  const config = {
    listenAddress: `${address}:${port}`,
    managementListenAddress: `${address}:${management}`,
    certificate: file("cert.pem"),
    privateKey: file("key.pem"),
    httpPort,
    tlsPort: 1,
    externalAccountBindingRequired: externalAccounts !== undefined,
    externalAccountMACKeys: externalAccounts ?? {},
    domainBlocklist: blocked,
    retryAfter: { authz: 1, order: 1 },
    keyAlgorithm: "ecdsa",
    profiles: Object.fromEntries(
      Object.entries(validity).map(([name, validityPeriod]) => [name, { description: name, validityPeriod }]),
    ),
  };
  writeFileSync(file("config.json"), JSON.stringify({ pebble: config }));
  const argv = [program, "-config", file("config.json"), "-strict", "-dnsserver", nameServer];
  const daemon = startDaemon(argv, folder, {
    PEBBLE_VA_NOSLEEP: "1",
    PEBBLE_WFE_NONCEREJECT: String(badNonces),
    PEBBLE_AUTHZREUSE: String(reuse),
  });
  const stop = async () => {
    await daemon.kill();
    rmSync(folder, { recursive: true, force: true });
  };
  const directoryUrl = `https://${address}:${port}/dir`;
  const ask = (url: string, body?: string) => answerOf(url, certificatePem, body);
  const manage = (path: string, body?: string) => ask(`https://${address}:${management}${path}`, body);
  const isUp = async () => {
    if (daemon.hasEnded()) throw new Error("it has ended");
    return (await Promise.all([ask(directoryUrl), manage("/roots/0")])).every(Boolean);
  };
  // its ports answer in their own time, and it may end before they do
  const answers = () => isUp().catch((thrown: unknown) => (daemon.hasEnded() ? Promise.reject(thrown) : false));
  await until("Pebble", answers, {
    patienceMs: patienceMs.client,
    everyMs: 50,
  }).catch(async (cause) => {
    const text = daemon.log();
    await stop();
    throw new Error(`${String(cause)}\n${text.slice(-3_000)}`, { cause });
  });
  return {
    directoryUrl,
    authority: certificatePem,
    root: () => manage("/roots/0"),
    suggestRenewal: async (certificate, { start, end }) => {
      const ariResponse = JSON.stringify({ suggestedWindow: { start, end } });
      await manage("/set-renewal-info/", JSON.stringify({ certificate, ariResponse }));
    },
    log: daemon.log,
    stop,
  };
}

/** The body of an answer that is well; throws with any other. */
function answerOf(url: string, ca: string, body: string | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const method = body === undefined ? "GET" : "POST";
    const asked = request(url, { ca, method, headers: { "User-Agent": "test" }, agent: false }, (answer) => {
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (piece: string) => {
        text += piece;
      });
      answer.on("end", () =>
        (answer.statusCode ?? 500) < 300 ? resolve(text || "well") : reject(new Error(`${url}: ${text}`)),
      );
    });
    asked.on("error", reject);
    asked.end(body);
  });
}
