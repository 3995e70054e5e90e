/**
 * A cluster that is restored from a backup, as Velero does it: the objects of a server are saved
 * without status and uid, and applied in another cluster, in either order.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chatmailServer } from "../../src/api/names.ts";
import type { KubeObject } from "../../src/kube/object.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { type LiveSecret, namespace, OperatorCluster, type RunningOperator } from "../helpers/operator-cluster.ts";

const missing = apiServerIsMissing();
if (missing) console.warn(`skipped: ${missing}`);

const secretNames = ["nine-tls", "nine-dkim"];
const claimName = "nine-data";

type Saved = KubeObject & { spec?: Record<string, unknown> };

/** What a backup keeps of an object, and what it writes back. */
function saved({ metadata, ...object }: Saved): Saved {
  const { name, labels, annotations } = metadata;
  const { status: _, ...rest } = object as typeof object & { status?: unknown };
  const { volumeName: __, ...spec } = rest.spec ?? {};
  return { ...rest, ...(rest.spec && { spec }), metadata: { name, namespace, labels, annotations } } as Saved;
}

interface Place {
  cluster: OperatorCluster;
  operator: RunningOperator;
  end: () => Promise<void>;
}
async function place(): Promise<Place> {
  const cluster = await OperatorCluster.open();
  const operator = cluster.startOperator();
  const end = async () => {
    await operator.stop();
    await cluster.close();
  };
  return { cluster, operator, end };
}

const keysIn = (cluster: OperatorCluster) =>
  Promise.all(secretNames.map(async (name) => (await cluster.get<LiveSecret>("secrets", name)).data));

describe.skipIf(missing !== undefined)("a server that is restored in another cluster", () => {
  let keys: Awaited<ReturnType<typeof keysIn>>;
  let backup: { server: Saved; kept: readonly (readonly [kind: string, object: Saved])[] };
  let fingerprint: string | undefined;

  beforeAll(async () => {
    const { cluster, end } = await place();
    try {
      await cluster.makeServer("nine", { domain: "_nine.test" });
      await cluster.setUp("nine");
      await cluster.bindVolume("nine");
      await cluster.runs("nine");
      keys = await keysIn(cluster);
      fingerprint = (await cluster.statusOf("nine")).dkim?.keys?.[0]?.fingerprint;
      const kept = [
        ...secretNames.map((name) => ["secrets", name] as const),
        ["persistentvolumeclaims", claimName] as const,
      ];
      backup = {
        server: saved(await cluster.get<Saved>(chatmailServer.plural, "nine")),
        kept: await Promise.all(
          kept.map(async ([kind, name]) => [kind, saved(await cluster.get<Saved>(kind, name))] as const),
        ),
      };
    } finally {
      await end();
    }
  });

  let now: Place | undefined;
  afterAll(() => now?.end());
  const elsewhere = async () => {
    await now?.end();
    now = await place();
    return now.cluster;
  };
  const restoreKept = async (cluster: OperatorCluster) => {
    for (const [kind, object] of backup.kept) await cluster.make(kind, object);
  };
  const isTheSame = async (cluster: OperatorCluster) => {
    await cluster.setUp("nine");
    await cluster.bindVolume("nine");
    await cluster.runs("nine");
    expect(await keysIn(cluster)).toEqual(keys);
    expect((await cluster.statusOf("nine")).dkim?.keys?.[0]?.fingerprint).toBe(fingerprint);
  };

  test("claims and Secrets first: it has its keys and its claim", async () => {
    const cluster = await elsewhere();
    await restoreKept(cluster);
    await cluster.make(chatmailServer.plural, backup.server);
    await isTheSame(cluster);
  });

  test("the server first, Unmanaged: nothing is made in its place, and it has its keys once it is Managed", async () => {
    const cluster = await elsewhere();
    const { server } = backup;
    await cluster.make(chatmailServer.plural, { ...server, spec: { ...server.spec, management: "Unmanaged" } });
    await cluster.conditionIs("nine", "Paused", "Unmanaged");
    expect(await cluster.exists("secrets", "nine-dkim")).toBe(false);
    await restoreKept(cluster);
    await cluster.patch("nine", { management: "Managed" });
    await isTheSame(cluster);
  });

  test("without the Secret of its key: the claim tells, and no other key is made", async () => {
    const cluster = await elsewhere();
    for (const [kind, object] of backup.kept)
      if (object.metadata.name !== "nine-dkim") await cluster.make(kind, object);
    await cluster.make(chatmailServer.plural, backup.server);
    await cluster.conditionIs("nine", "Stalled", "DKIMKeyLost");
    expect(await cluster.exists("secrets", "nine-dkim")).toBe(false);
  });
});
