/**
 * Gives memory back to the system whenever this process is at rest, in the image (decision 0060).
 */
import { loadAddon } from "./addon.ts";
import { Rest } from "./rest.ts";

/**
 * What V8 keeps, where node has `--expose-gc`; and what malloc keeps and the files of node and its
 * libraries, where there is the addon.
 */
export function giveMemoryBack(): void {
  const collect = globalThis.gc;
  if (!collect) return;
  const trim = loadAddon<{ trim: () => void }>(new URL("./trim.node", import.meta.url))?.trim;
  const giveBack = () => {
    collect({ type: "major", execution: "sync", flavor: "last-resort" });
    trim?.();
  };
  new Rest({ giveBack, utilization: () => performance.eventLoopUtilization() }).start();
}
