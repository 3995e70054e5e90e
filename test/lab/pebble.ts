/** Pebble, the ACME server of Let's Encrypt for tests, built from its Go module (programs/acme). */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { buildLog, cached, cachePath, contentKey } from "./cache.ts";
import { buildGoTool } from "./programs.ts";
import { onThisMachine, type Progress } from "./progress.ts";

const folder = join(import.meta.dirname, "programs/acme");
const key = () => contentKey(["go.mod", "go.sum"].map((file) => ({ file: join(folder, file) })));
const programIn = (dir: string) => join(dir, "pebble");

export const pebbleIsBuilt = (): boolean => existsSync(programIn(cachePath("pebble", key())));

/** Builds it the first time; returns where it is. */
export async function buildPebble(progress: Progress): Promise<string> {
  const dir = await cached("pebble", key(), async (draft) => {
    progress.step("building Pebble from its Go module", onThisMachine(60));
    await buildGoTool(folder, programIn(draft), "github.com/letsencrypt/pebble/v2/cmd/pebble", {
      progress,
      log: buildLog("pebble"),
    });
  });
  return programIn(dir);
}
