/**
 * One target in a process of its own: `child.ts TARGET SEED MILLISECONDS FILE`. FILE has the input
 * under way, for when this process hangs or ends.
 */
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { fuzz, type Report } from "./engine.ts";
import { targets } from "./targets.ts";

export interface ChildMessage {
  report?: Omit<Report, "crashers" | "notes"> & {
    notes: [string, number][];
    crashers: { input: string; message: string; stack: string | undefined }[];
  };
  rssKib: number;
}

const [name = "", seed = "0", lastsMs = "0", file = ""] = process.argv.slice(2);
const target = targets[name];
if (!target) throw new Error(`no target ${name}`);
const tell = (message: ChildMessage) => process.send?.(message);
const current = openSync(file, "w");
let toldAt = 0;
const { crashers, notes, ...report } = await fuzz(target, {
  seed: Number(seed),
  lastsMs: Number(lastsMs),
  trying(input) {
    ftruncateSync(current);
    writeSync(current, input, 0, input.length, 0);
    if (performance.now() - toldAt < 500) return;
    toldAt = performance.now();
    tell({ rssKib: process.resourceUsage().maxRSS });
  },
});
closeSync(current);
tell({
  rssKib: process.resourceUsage().maxRSS,
  report: {
    ...report,
    notes: [...notes],
    crashers: crashers.map(({ input, error }) => ({
      input: input.toString("base64"),
      message: error.message,
      stack: error.name === "Broken" ? undefined : error.stack,
    })),
  },
});
process.disconnect?.();
