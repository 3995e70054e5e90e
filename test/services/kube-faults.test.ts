/**
 * What stands between a store and a real API server fails in every way we know of, while objects
 * change. Afterwards the store holds what the server holds, and of each change it was told, or of a
 * later version of the same object.
 */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { type Credentials, inClusterCredentials } from "../../src/kube/credentials.ts";
import type { WatchPatience } from "../../src/kube/watch.ts";
import { type ApiServer, apiServerIsMissing, startApiServer, uncachedPlural } from "../helpers/api-server.ts";
import { type FaultProxy, faultProxy } from "../helpers/fault-proxy.ts";
import { type Fault, faults, type Ground, gone, mixable } from "../helpers/kube-faults.ts";
import {
  type Counts,
  type Followed,
  follow,
  kinds,
  Ledger,
  makeChanges,
  testPatience,
  untilEqual,
} from "../helpers/kube-ledger.ts";
import { seededRandom } from "../helpers/seeded-random.ts";
import { until } from "../helpers/until.ts";

const missing = apiServerIsMissing();
if (missing) console.warn(`left out: ${missing}`);

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));

describe("the ledger", () => {
  const version = (resourceVersion: string, uid = "u") => ({ metadata: { uid, resourceVersion } });
  const told = (type: "added" | "changed" | "deleted", object: ReturnType<typeof version>) =>
    ({ type, object, before: object }) as unknown as Parameters<Ledger["told"]>[0];
  const [added, changed, deleted] = [
    told("added", version("1")),
    told("changed", version("3")),
    told("deleted", version("3")),
  ];
  test.each([
    { when: "all was told", says: [added, told("changed", version("2")), changed], counts: { seen: 3 } },
    { when: "a later version was told", says: [added, changed], counts: { seen: 2, folded: 1 } },
    {
      when: "the last version was not told",
      says: [added, told("changed", version("2"))],
      counts: { seen: 2, missed: 1 },
    },
    { when: "nothing was told", says: [], counts: { missed: 3 } },
    {
      when: "a version was told twice",
      says: [added, changed, changed],
      counts: { seen: 2, folded: 1, disordered: 1 },
    },
    {
      when: "something was told after the deletion",
      says: [added, deleted, changed],
      counts: { seen: 1, folded: 2, disordered: 1 },
    },
  ])("counts when $when", ({ says, counts }) => {
    const ledger = new Ledger();
    for (const each of ["1", "2", "3"]) ledger.made(version(each));
    for (const each of says) ledger.told(each);
    expect(ledger.counts()).toEqual({ made: 3, seen: 0, folded: 0, missed: 0, disordered: 0, ...counts });
  });

  test("counts a deletion that nobody was told of", () => {
    const ledger = new Ledger();
    ledger.made(version("1"));
    ledger.made(version("1"), true);
    expect(ledger.counts()).toMatchObject({ folded: 2, missed: 0 });
    ledger.told(added);
    expect(ledger.counts()).toMatchObject({ seen: 1, missed: 1 });
  });
});

describe.skipIf(missing)("a store through faults", () => {
  let server: ApiServer;
  const proxies: FaultProxy[] = [];
  let followed: Followed | undefined;
  let namespaces = 0;
  const matrix: { fault: string; counts: Counts }[] = [];

  beforeAll(async () => {
    server = await startApiServer();
  });

  afterEach(async ({ task }) => {
    vi.useRealTimers();
    await followed?.stop();
    if (task.result?.state === "fail") console.error(JSON.stringify(followed?.log.slice(-20), undefined, 1));
    followed = undefined;
    for (const proxy of proxies.splice(0)) await proxy.close();
  });

  afterAll(async () => {
    await server?.stop();
    console.log("fault: changes made, seen, folded, missed, out of order");
    for (const { fault, counts } of matrix) console.log(`${fault.padEnd(50)} ${Object.values(counts).join(" ")}`);
  });

  interface Stage extends Ground {
    namespace: string;
    ledger: Ledger;
  }

  /**
   * A store that follows a namespace of its own while objects in it change; `during` is what goes
   * wrong.
   */
  async function prove(
    fault: string,
    during: (stage: Stage) => Promise<unknown>,
    options: {
      plural?: keyof typeof kinds;
      gap?: boolean;
      http?: boolean;
      random?: () => number;
      credentials?: (stage: Stage) => Promise<Credentials>;
      patience?: WatchPatience;
    } = {},
  ): Promise<void> {
    const { plural = "configmaps", gap = false, http = true, random = seededRandom(seed) } = options;
    const namespace = `fault-${namespaces++}`;
    await server.makeNamespace(namespace);
    const proxy = await faultProxy(server, { http });
    proxies.push(proxy);
    const ledger = new Ledger();
    const stage = { proxy, server, namespace, ledger };
    const credentials = (await options.credentials?.(stage)) ?? server.credentials(proxy.url);
    const { signal, stop } = stopper();
    const change = (name: string) =>
      makeChanges({ server, plural, namespace, name, count: 10, pauseMs: 5, ledger, random, signal });
    const resource = kinds[plural];
    const subject = follow({ resource, namespace, ledger, credentials, patience: options.patience ?? testPatience });
    followed = subject;
    // of what has changed before the first list, the server tells the last
    await until("the first list", () => subject.store.filled);
    const changing = Promise.all([change("a"), change("b")]);
    try {
      if (!options.credentials) await until("the store to follow", () => ledger.counts().seen > 10);
      await during(stage);
      proxy.heal();
    } finally {
      stop();
      await changing;
    }
    await untilEqual(subject.store, { server, plural, namespace });
    const counts = ledger.counts();
    matrix.push({ fault, counts });
    expect(counts, fault).toMatchObject({ missed: 0, disordered: 0, ...(!gap && { folded: 0 }) });
  }

  const through = async ({ fault, inject, lastsMs = 1_200, plural, gap, onlyConnections }: Fault) => {
    const during = async (stage: Stage) => {
      await inject(stage);
      await sleep(lastsMs);
    };
    await prove(fault, during, { ...(plural && { plural }), gap: gap ?? false, http: !onlyConnections });
  };
  test.each(faults)("$fault", through);

  test("etcd compaction between two pages of a list", async () => {
    let pages = 0;
    const during = async ({ proxy }: Stage) => {
      proxy.answer(({ path }) => {
        if (!path.includes("continue=") || ++pages > 1) return null;
        // The token of the second page is from before the compaction when it comes again.
        void server.compact();
        return { status: 429, reason: "TooManyRequests", headers: { "retry-after": "1" } };
      });
      proxy.sayInWatches(gone);
      await until("a second page to be asked for", () => pages > 0);
      await sleep(1_200);
    };
    await prove("etcd compaction between two pages of a list", during, { plural: uncachedPlural, gap: true });
  });

  test("a token that ended while the kubelet had a new one in its file", async () => {
    const folder = await mkdtemp(join(tmpdir(), "chatmail-token-"));
    const credentials = async ({ proxy, namespace }: Stage) => {
      const write = (name: string, text: string) => writeFile(join(folder, name), text);
      await write("ca.crt", server.tls.cert);
      await write("namespace", namespace);
      const account = { namespace, name: "default" };
      await write("token", await server.mintToken(account, -120));
      const { hostname: host, port } = proxy.url;
      const kept = inClusterCredentials({ host, port, folder });
      await kept.headers(); // read and kept in memory, as by a process that has run for a while
      await write("token", await server.mintToken(account, 600));
      return kept;
    };
    try {
      await prove("token expiry, the new one in the file", () => sleep(500), { credentials });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test.each([
    { fault: "clock an hour forwards", stepMs: 3_600_000 },
    { fault: "clock an hour back", stepMs: -3_600_000 },
  ])("$fault, then a reset", async ({ fault, stepMs }) => {
    const during = async ({ proxy }: Stage) => {
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + stepMs });
      await sleep(300);
      proxy.reset();
      await sleep(700);
    };
    await prove(fault, during);
  });

  test.each([seed, seed + 1])(`random faults one after the other, SEED=%i`, async (ofSeed) => {
    const random = seededRandom(ofSeed);
    const told: string[] = [];
    const during = async (stage: Stage) => {
      for (let each = 0; each < 6; each++) {
        const { fault, inject } = mixable[Math.floor(random() * mixable.length)] as Fault;
        const lastsMs = Math.round(random() * 700);
        told.push(`${fault} for ${lastsMs} ms`);
        await inject(stage);
        await sleep(lastsMs);
        if (random() < 0.6) stage.proxy.heal();
      }
    };
    await prove(`random, SEED=${ofSeed}`, during, { gap: true, random: seededRandom(ofSeed + 7) }).catch((cause) => {
      throw new Error(`SEED=${ofSeed}: ${told.join(", ")}`, { cause });
    });
  });
});

function stopper() {
  const stopping = new AbortController();
  return { signal: stopping.signal, stop: () => stopping.abort() };
}
