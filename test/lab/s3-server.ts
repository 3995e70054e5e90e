/**
 * versitygw, an S3 server that keeps its objects in a folder, built from its Go module
 * (programs/s3).
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { buildLog, cached, cachePath, contentKey } from "./cache.ts";
import { buildGoTool } from "./programs.ts";
import { onThisMachine, type Progress } from "./progress.ts";

const folder = join(import.meta.dirname, "programs/s3");
const key = () => contentKey(["go.mod", "go.sum"].map((file) => ({ file: join(folder, file) })));
const programIn = (dir: string) => join(dir, "versitygw");

export const s3ServerIsBuilt = (): boolean => existsSync(programIn(cachePath("s3-server", key())));

/** Builds it the first time; returns where it is. */
export async function buildS3Server(progress: Progress): Promise<string> {
  const dir = await cached("s3-server", key(), async (draft) => {
    progress.step("building versitygw from its Go module", onThisMachine(180));
    await buildGoTool(folder, programIn(draft), "github.com/versity/versitygw/cmd/versitygw", {
      progress,
      log: buildLog("s3-server"),
    });
  });
  return programIn(dir);
}
