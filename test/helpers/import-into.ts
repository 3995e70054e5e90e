/** An import into a relay pod without a cluster: the sender here, the program in its container. */
import { type Counts, sendTree } from "../../src/cli/import/send.ts";
import { findTree } from "../../src/cli/import/tree.ts";
import { programs } from "../../src/pod/layout.ts";
import type { RelayPod } from "./relay-pod.ts";

/** One pass. */
export async function importInto(pod: RelayPod, from: string, { dryRun = false } = {}): Promise<Counts> {
  const child = pod.pipe("relay", [programs.node, programs.import]);
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  const write = (bytes: Uint8Array) =>
    new Promise<void>((resolve, reject) => {
      child.stdin.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  try {
    const link = { write, answers: child.stdout };
    return await sendTree({ tree: await findTree(from), link, dryRun, progress: () => undefined });
  } catch (cause) {
    throw new Error(`the import failed: ${said}`, { cause });
  } finally {
    child.stdin.end();
  }
}
