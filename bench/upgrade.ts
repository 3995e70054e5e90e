/**
 * For how long a relay does not serve while its pod is replaced: for an edit, for another image and
 * back, for an image that its check refuses, and for one that fails and is rolled back. Asked for
 * the greeting of IMAP every 50 ms; medians.
 */
import { numberOf, readOptions } from "../scripts/options.ts";
import { ChatmailServerSpec } from "../src/api/chatmail-server.ts";
import { ports } from "../src/mail/ports.ts";
import type { LivePod } from "../src/operator/server/live.ts";
import { brokenDaemon, brokenNginx } from "../test/helpers/derived-image.ts";
import { kubectlJson } from "../test/helpers/kubectl.ts";
import {
  freshServer,
  getServer,
  namespace,
  operatorIsInstalled,
  patchServer,
  removeServer,
  serverReady,
  testPrevious,
} from "../test/helpers/servers.ts";
import { ServiceWatch } from "../test/helpers/service-watch.ts";
import { patienceMs, until } from "../test/helpers/until.ts";
import { endSignal, printTable, quantile, say, writeJson } from "./machine.ts";

const usage = "npm run bench -- upgrade [--rounds 5] [--json FILE]";
const { rounds, json } = readOptions(
  usage,
  {
    options: { rounds: { type: "string", default: "5" }, json: { type: "string" } },
  },
  ({ values }) => ({ rounds: numberOf("--rounds", values.rounds, { whole: true }, usage), json: values.json }),
);
const signal = endSignal();
const name = "bench-upgrade";
const patience = { patienceMs: 4 * patienceMs.pod, everyMs: 50 };

const podNow = () => kubectlJson<LivePod>(["-n", namespace, "get", "pod", `${name}-0`]);
const conditionOf = async (type: string) =>
  (await getServer(name)).status?.conditions?.find((condition) => condition.type === type);

/** Until another pod than this one is ready. */
async function replaced(before: LivePod): Promise<void> {
  await until("another pod", async () => (await podNow()).metadata.uid !== before.metadata.uid, patience);
  await serverReady(name);
}

async function hasReason(reason: string): Promise<void> {
  await until(reason, async () => (await conditionOf("UpToDate"))?.reason === reason, patience);
}

const previous = testPrevious();
/** Is an image taken back by itself that does not become ready? */
const rollsBack = "updatePolicy" in ChatmailServerSpec.shape;

await operatorIsInstalled();
try {
  const { status } = await freshServer(name, {
    domain: "_bench-upgrade.test",
    ...(rollsBack && { updatePolicy: { progressDeadlineSeconds: 60 } }),
  });
  const host = status?.addresses?.[0]?.value ?? "";
  const watch = new ServiceWatch({ host, port: ports.imaps });
  const lost: Record<string, number[]> = {};
  const measure = async (what: string, work: () => Promise<unknown>) => {
    signal.throwIfAborted();
    await watch.lap();
    await work();
    const seconds = await watch.lap();
    say(`${what}: ${seconds} s`);
    lost[what] = [...(lost[what] ?? []), seconds];
  };
  const [refused, failing] = [await brokenNginx(), await brokenDaemon()];
  for (let round = 0; round < rounds; round++) {
    const edit = async (spec: object) => {
      const before = await podNow();
      await patchServer(name, { ...spec });
      await replaced(before);
    };
    await measure("an edit that needs another pod", () =>
      edit({ resources: { web: { requests: { memory: `${24 + round}Mi` } } } }),
    );
    await measure("the image of the commit before", () => edit({ image: { reference: previous.relay.name } }));
    await measure("the image of this commit", () => edit({ image: null }));
    await measure("an image that its check refuses", async () => {
      await patchServer(name, { image: { reference: refused } });
      await hasReason("UpdateHeld");
      await patchServer(name, { image: null });
      await hasReason("PlanUsed");
    });
    if (!rollsBack) continue;
    await measure("an image that fails, and is rolled back", async () => {
      const before = await podNow();
      await patchServer(name, { image: { reference: failing } });
      await until("another pod", async () => (await podNow()).metadata.uid !== before.metadata.uid, patience);
      const serves = async () =>
        (await conditionOf("PodReady"))?.status === "True" &&
        (await podNow()).spec?.containers[0]?.image === before.spec?.containers[0]?.image;
      await until("the image of before", serves, patience);
    });
    await patchServer(name, { image: null });
    await serverReady(name);
  }
  await watch.stop();
  printTable([
    [`seconds without service, median of ${rounds}`, "(least to most)"],
    ...Object.entries(lost).map(([what, all]): [string, string] => {
      const [least, most] = [Math.min(...all), Math.max(...all)];
      return [what, `${quantile(all, 0.5).toFixed(1)} (${least.toFixed(1)} to ${most.toFixed(1)})`];
    }),
  ]);
  await writeJson(json, {
    rounds,
    from: previous.commit,
    medianSeconds: Object.fromEntries(Object.entries(lost).map(([what, all]) => [what, quantile(all, 0.5)])),
    seconds: lost,
  });
} finally {
  await removeServer(name);
}
