/**
 * `npm run fuzz -- hostile-load`: the relay daemon as a process of its own, and mails of 30 MiB
 * that cost as much as mails can, four at once at each of its filters. One thread answers
 * everything, so what counts is how long it stands still: everybody else waits for that long.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { MilterClient } from "../helpers/milter-client.ts";
import { until } from "../helpers/until.ts";
import { takenApart } from "../unit/relay/filter/as-postfix.ts";
import { limits } from "../unit/relay/settings.ts";
import type { LoopDelay } from "./loop-delay.ts";
import { target as mime } from "./mime.ts";

const mailBytes = 30 << 20;
const atOnce = 4;
export const mostP99Ms = 50;

export interface HostileResult extends LoopDelay {
  what: string;
  seconds: number;
}

/** A row for each kind of mail; `told` hears of each as it is there. */
export async function hostileLoad(told: (result: HostileResult) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "hostile-load-"));
  for (const name of ["mail", "run"]) mkdirSync(join(folder, name));
  const runFolder = join(folder, "run");
  const config = {
    domains: { "chat.example": limits({ sendBurst: 10_000 }) },
    dkim: {},
    mailFolder: join(folder, "mail"),
    runFolder,
    logLevel: "info",
  };
  writeFileSync(join(folder, "relay.json"), JSON.stringify(config));
  const daemon = fork(resolve(import.meta.dirname, "../../src/main/relay.ts"), {
    execArgv: ["--import", resolve(import.meta.dirname, "loop-delay.ts")],
    env: {
      PATH: process.env.PATH,
      RELAY_CONFIG: join(folder, "relay.json"),
      RELAY_HEALTH_PORT: "0",
      RELAY_HTTPS_DELIVERY_PORT: "0",
    },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  let output = "";
  for (const stream of [daemon.stdout, daemon.stderr]) stream?.on("data", (chunk) => (output += chunk));
  const delay = async (): Promise<LoopDelay> => {
    daemon.send("tell");
    const [message] = await once(daemon, "message");
    return message as LoopDelay;
  };
  try {
    await until("the daemon", () => output.includes("entering serving loop"), { patienceMs: 30_000 });
    await delay();
    for (const [what, make] of Object.entries(mime.heavy ?? {})) {
      const message = make(mailBytes);
      const started = performance.now();
      for (const filter of ["incoming", "outgoing"]) {
        await Promise.all(
          Array.from({ length: atOnce }, () => deliver(join(runFolder, `${filter}-milter.sock`), message)),
        ).catch((cause: unknown) => {
          throw new Error(`${what}, ${filter}: ${String(cause)}\n${output.slice(-2000)}`, { cause });
        });
      }
      const seconds = (performance.now() - started) / 1000;
      told({ what, seconds, ...(await delay()) });
    }
  } finally {
    daemon.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The filter may refuse it and stop listening to the rest. */
async function deliver(path: string, message: Buffer): Promise<void> {
  const { headers, body } = takenApart(message);
  const client = await MilterClient.connect(path);
  await client.negotiate();
  await client
    .deliver({
      sender: "alice1234@chat.example",
      recipients: ["bob123456@chat.example"],
      headers: headers.map(({ name, value }) => [name, value] as const),
      body,
    })
    .finally(() => client.close());
}
