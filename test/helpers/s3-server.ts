/** A real S3 server as a plain process: versitygw, with a folder for each bucket. */
import { spawn } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { get as getPlain } from "node:http";
import { get as getSecure } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { S3Options } from "../../src/backup/s3.ts";
import { terminalProgress } from "../lab/progress.ts";
import { buildS3Server, s3ServerIsBuilt } from "../lab/s3-server.ts";
import { freePort } from "./free-port.ts";
import { makeOwnAuthority } from "./own-authority.ts";
import { patienceMs, until } from "./until.ts";

/** Why it can't run here; undefined where it can. */
export const s3ServerIsMissing = (): string | undefined =>
  s3ServerIsBuilt() || process.env.REQUIRE_ALL === "1" ? undefined : "versitygw is not built: `npm test services` once";

export interface S3Server {
  /** Of the bucket `backups`, with nothing in front of names. */
  options: S3Options;
  /** With TLS, in PEM: the certificate of its authority, which nobody trusts. */
  authority?: string;
  /** Makes a bucket: a folder of the server's. */
  addBucket: (name: string) => void;
  /** Ends it as a power cut does; its objects stay. */
  kill: () => Promise<void>;
  /** Begins again after `kill`, at the same port. */
  start: () => Promise<void>;
  stop: () => Promise<void>;
}

/** `tls`: by HTTPS, with an authority of its own. */
export async function startS3Server(address = "127.0.0.1", { tls = false } = {}): Promise<S3Server> {
  const program = await buildS3Server(terminalProgress());
  const folder = mkdtempSync(join(tmpdir(), "chatmail-s3-"));
  const port = await freePort(address);
  const endpoint = `${tls ? "https" : "http"}://${address}:${port}`;
  const own = tls ? await makeOwnAuthority(address) : undefined;
  const authority = own && new X509Certificate(own.authority).toString();
  const files = { "--cert": join(folder, "cert.pem"), "--key": join(folder, "key.pem") };
  if (own) {
    writeFileSync(files["--cert"], own.pair.certificatePem);
    writeFileSync(files["--key"], own.pair.keyPem, { mode: 0o600 });
  }
  const [accessKeyId, secretAccessKey] = ["lab", "secret of the lab"];
  const addBucket = (name: string) => void mkdirSync(join(folder, "buckets", name), { recursive: true });
  addBucket("backups");
  let kill = async () => {};
  const start = async () => {
    const log = openSync(join(folder, "log"), "a");
    // it ends with us, however we end
    const args = ["--pdeathsig", "KILL", "--", program, "--port", `${address}:${port}`, "--region", "us-east-1"];
    if (own) args.push(...Object.entries(files).flat());
    const child = spawn("setpriv", [...args, "--health", "/health", "posix", join(folder, "buckets")], {
      stdio: ["ignore", log, log],
      env: { ...process.env, ROOT_ACCESS_KEY_ID: accessKeyId, ROOT_SECRET_ACCESS_KEY: secretAccessKey },
    });
    closeSync(log);
    kill = async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    };
    const answers = async () => child.exitCode !== null || (await isHealthy(endpoint, authority));
    await until("the S3 server", answers, { patienceMs: patienceMs.client, everyMs: 50 });
    if (child.exitCode !== null) throw new Error(readFileSync(join(folder, "log"), "utf8").slice(-3_000));
  };
  const stop = async () => {
    await kill();
    rmSync(folder, { recursive: true, force: true });
  };
  await start().catch(async (cause: unknown) => {
    await stop();
    throw cause;
  });
  const options = { endpoint, region: "us-east-1", bucket: "backups", prefix: "", pathStyle: true };
  return {
    options: { ...options, accessKeyId, secretAccessKey },
    ...(authority !== undefined && { authority }),
    addBucket,
    kill: () => kill(),
    start,
    stop,
  };
}

function isHealthy(endpoint: string, ca: string | undefined): Promise<boolean> {
  const get = endpoint.startsWith("https:") ? getSecure : getPlain;
  return new Promise((resolve, reject) => {
    const request = get(`${endpoint}/health`, { ca, agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    request.on("error", reject);
  });
}
