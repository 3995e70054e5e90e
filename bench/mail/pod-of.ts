/**
 * `node pod-of.ts TREE`: the relay pod of a checkout, run by that checkout's own test helpers, for
 * a parent that puts load on it. Told by messages; ends with its parent.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { startRelayPod } from "../../test/helpers/relay-pod.ts";
import type { PodCall, PodReply, PodStarted } from "./pod-process.ts";
import { domain } from "./variants.ts";

const [, , tree = "", image = ""] = process.argv;
const from = async <T>(path: string) => (await import(join(tree, path))) as T;
const { startRelayPod: start } = await from<{ startRelayPod: typeof startRelayPod }>("test/helpers/relay-pod.ts");

/** The most that one sender may have: the load and not a limit is measured. */
const limits = { sendBurst: 10_000, sendRatePerMinute: 10_000 };
/** What 2943bd2 does not have yet. */
const sizes = { sendSizePerMinute: "1Ti", sendSizeBurst: "1Ti" };
const hasSizes = existsSync(join(tree, "src/pod/plan.ts"));
const pod = await start({
  domain,
  spec: { accounts: { ...limits, ...(hasSizes && sizes) } },
  ...(image !== "" && { image }),
});

const say = (message: PodReply | PodStarted) => process.send?.(message);
process.on("message", ({ id, call, args }: PodCall) => {
  const work = call === "processes" ? pod.processes(...args) : pod[call]();
  work.then(
    (value) => say({ id, value: value ?? null }),
    (thrown: unknown) => say({ id, error: String(thrown) }),
  );
});
process.on("disconnect", () => pod.remove().finally(() => process.exit()));
// the parent ends it
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => undefined);
say({ host: pod.host, volumes: { mail: pod.volume("mail"), queue: pod.volume("queue") } });
