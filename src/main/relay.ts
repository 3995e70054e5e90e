/** The relay daemon of a relay pod: answers the questions of Postfix, Dovecot and nginx. */
import { pino } from "pino";
import manifest from "../../package.json" with { type: "json" };
import { giveMemoryBack } from "../lib/give-memory-back.ts";
import { messageOf } from "../lib/text.ts";
import { type Crypt, loadCrypt } from "../relay/accounts/crypt-addon.ts";
import { readStart, type Start } from "../relay/config.ts";
import { startDaemon } from "../relay/daemon.ts";
import * as events from "../relay/events.ts";

/** Running answers may take this long after SIGTERM. */
const graceMs = 10_000;

async function startOrExit(): Promise<Start> {
  try {
    return await readStart(process.env);
  } catch (thrown) {
    console.error(`relay: ${messageOf(thrown)}`);
    process.exit(1);
  }
}

const start = await startOrExit();
const log = pino({ level: start.settings.logLevel, base: null });
/** In the image a bundle of its own beside this one; from source, Node strips the types itself. */
const hashWorkerFile = import.meta.url.endsWith(".ts")
  ? new URL("../relay/accounts/hash-worker.ts", import.meta.url)
  : new URL("./relay-hash.js", import.meta.url);

/** In the image only. */
function cryptOrNot(): Crypt | undefined {
  try {
    return loadCrypt(new URL("./crypt.node", import.meta.url));
  } catch (thrown) {
    events.noCryptLibrary(log, thrown);
    return undefined;
  }
}

try {
  const crypt = cryptOrNot();
  const daemon = await startDaemon({ ...start, log, hashWorkerFile, crypt, version: manifest.version });
  giveMemoryBack();
  let stopping = false;
  const stop = async (signal: string) => {
    if (stopping) return;
    stopping = true;
    events.stopping(log, signal);
    await daemon.stop(graceMs);
    events.stopped(log);
  };
  const stopOn = (signal: NodeJS.Signals) =>
    process.on(signal, () => {
      stop(signal).catch((thrown: unknown) => {
        log.fatal({ err: thrown }, "did not stop");
        process.exit(1);
      });
    });
  stopOn("SIGTERM");
  stopOn("SIGINT");
} catch (thrown) {
  log.fatal({ err: thrown }, "did not start");
  process.exitCode = 1;
}
