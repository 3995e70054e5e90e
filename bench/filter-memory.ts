/**
 * `npm run bench -- filter-memory [--incoming] [--mails 200] [--mib 30]`: the daemon's memory while
 * so many mails stream through its filter at once.
 */
import { spawn } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { numberOf, readOptions } from "../scripts/options.ts";
import { rsaKey } from "../src/pod/dkim.ts";
import { encryptedMessage } from "../test/helpers/messages.ts";
import { MilterClient } from "../test/helpers/milter-client.ts";
import { until } from "../test/helpers/until.ts";
import { takenApart } from "../test/unit/relay/filter/as-postfix.ts";
import { limits } from "../test/unit/relay/settings.ts";
import { printTable, writeJson } from "./machine.ts";

const usage = "npm run bench -- filter-memory [--incoming] [--mails 200] [--mib 30] [--json FILE]";
const { mails, mib, json, incoming } = readOptions(
  usage,
  {
    options: {
      incoming: { type: "boolean", default: false },
      mails: { type: "string", default: "200" },
      mib: { type: "string", default: "30" },
      json: { type: "string" },
    },
  },
  ({ values }) => ({
    mails: numberOf("--mails", values.mails, { whole: true }, usage),
    mib: numberOf("--mib", values.mib, {}, usage),
    json: values.json,
    incoming: values.incoming,
  }),
);
const mostMib = 256;

const folder = mkdtempSync(join(tmpdir(), "filter-memory-"));
const runFolder = join(folder, "run");
for (const name of ["mail", "run"]) mkdirSync(join(folder, name));
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const keyFolder = join(folder, "keys");
mkdirSync(keyFolder);
writeFileSync(join(keyFolder, rsaKey.file), privateKey.export({ type: "pkcs8", format: "pem" }));
const configFile = join(folder, "relay.json");
writeFileSync(
  configFile,
  JSON.stringify({
    // mail from an address literal that is the client needs no signature, so no name server is
    // asked
    domains: { "chat.example": limits({ sendBurst: 10_000 }) },
    dkim: { "chat.example": keyFolder },
    mailFolder: join(folder, "mail"),
    runFolder,
    logLevel: "info",
  }),
);

const daemon = spawn(process.execPath, [resolve(import.meta.dirname, "../src/main/relay.ts")], {
  env: { PATH: process.env.PATH, RELAY_CONFIG: configFile, RELAY_HEALTH_PORT: "0", RELAY_ROAD_PORT: "0" },
});
let output = "";
daemon.stdout.on("data", (chunk) => (output += chunk));
daemon.stderr.on("data", (chunk) => (output += chunk));

/** A small one whose armor has been replaced. */
function largeMessage(from: string, to: string, size: number): Buffer {
  const header = Buffer.from([0xc0 | 18, 0xff, 0, 0, 0, 0]);
  header.writeUInt32BE(size, 2);
  const base64 = Buffer.concat([header, randomBytes(size)])
    .toString("base64")
    .replace(/.{64}/g, "$&\r\n");
  const [before, after] = encryptedMessage({ from, to: [to] }).split(
    /(?<=BEGIN PGP MESSAGE-----\r\n)[\s\S]*(?==.{4}\r\n-----END)/,
  );
  return Buffer.from(`${before}\r\n${base64}\r\n${after}`, "latin1");
}

const statusMib = (field: string) => {
  const status = readFileSync(`/proc/${daemon.pid}/status`, "utf8");
  return Math.round(Number(new RegExp(`${field}:\\s+([0-9]+)`).exec(status)?.[1]) / 1024);
};

try {
  await until("the daemon", () => output.includes("entering serving loop"), { patienceMs: 30_000 });
  const atRest = statusMib("VmRSS");
  const from = incoming ? "alice@[192.0.2.1]" : "alice1234@chat.example";
  const to = "bob123456@chat.example";
  // base64 takes four letters and a share of a line end for three bytes
  const bytes = largeMessage(from, to, Math.floor(mib * 2 ** 20 * 0.72));
  const { headers, body } = takenApart(bytes);
  const path = join(runFolder, incoming ? "incoming-milter.sock" : "outgoing-milter.sock");
  const started = performance.now();
  const verdicts = await Promise.all(
    Array.from({ length: mails }, async () => {
      const client = await MilterClient.connect(path);
      await client.negotiate();
      if (incoming) await client.from("192.0.2.1");
      const message = {
        sender: from,
        recipients: [to],
        headers: headers.map(({ name, value }) => [name, value] as const),
        body,
      };
      const { final } = await client.deliver(message);
      client.close();
      return final;
    }),
  );
  const seconds = (performance.now() - started) / 1000;
  const accepted = verdicts.filter((each) => each === "accept").length;
  const peak = statusMib("VmHWM");
  printTable([
    ["direction", incoming ? "incoming" : "outgoing, signed"],
    ["mails at once", `${mails} of ${(body.length / 2 ** 20).toFixed(1)} MiB, ${accepted} accepted`],
    ["time", `${seconds.toFixed(1)} s, ${Math.round((mails * body.length) / 2 ** 20 / seconds)} MiB/s`],
    ["resident at rest", `${atRest} MiB`],
    ["resident at most", `${peak} MiB, ${mostMib} are allowed`],
  ]);
  await writeJson(json, { mails, mib, seconds, accepted, atRestMib: atRest, peakMib: peak });
  if (peak > mostMib || accepted < mails) process.exitCode = 1;
} finally {
  daemon.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
}
