/**
 * What client-node's informer does where ours goes on: docs/decisions/0025-kubernetes-runtime.md
 * stands on it. A test that fails here after an update of client-node says that it has learnt
 * something, and that the decision is to be looked at again.
 */
import { CoreV1Api, KubeConfig, makeInformer } from "@kubernetes/client-node";
import { afterEach, describe, expect, test } from "vitest";
import type { KubeObject } from "../../../src/kube/object.ts";
import {
  type Answer,
  aPod,
  type FakeApiServer,
  fakeApiServer,
  listAnswer,
  type Stream,
  statusAnswer,
} from "../../helpers/fake-api-server.ts";
import { until } from "../../helpers/until.ts";

let server: FakeApiServer;
let end: (() => Promise<void>) | undefined;
afterEach(async () => {
  await end?.();
  await server.close();
});

/**
 * An informer of pods: what it told, and its watches so far. `watch` answers the watch of this
 * number, from 0.
 */
async function informer(watch: (nth: number) => Answer, lists: () => readonly KubeObject[] = () => []) {
  const told: string[] = [];
  const watches: URLSearchParams[] = [];
  server = await fakeApiServer(({ query }) => {
    if (!query.has("watch")) return listAnswer(lists(), "1");
    watches.push(query);
    return watch(watches.length - 1);
  });
  const config = new KubeConfig();
  config.loadFromOptions({
    clusters: [{ name: "fake", server: server.url.origin, skipTLSVerify: true }],
    users: [{ name: "fake", token: "t" }],
    contexts: [{ name: "fake", cluster: "fake", user: "fake" }],
    currentContext: "fake",
  });
  const core = config.makeApiClient(CoreV1Api);
  const list = () => core.listNamespacedPod({ namespace: "a" });
  const pods = makeInformer(config, "/api/v1/namespaces/a/pods", list);
  for (const event of ["add", "update", "delete"] as const) {
    pods.on(event, ({ metadata }) => told.push(`${event} ${metadata?.uid}`));
  }
  pods.on("error", () => told.push("error"));
  await pods.start();
  end = () => pods.stop();
  return { told, watches, list };
}

describe("client-node's informer", () => {
  test("ends for good when its watch is reset", async () => {
    let first: Stream | undefined;
    const { told, watches } = await informer(() => (stream) => {
      first ??= stream;
    });
    await until("the watch", () => first !== undefined);
    first?.event("ADDED", aPod("one", "2"));
    await until("the pod", () => told.includes("add uid-one"));
    first?.reset();
    await until("the error", () => told.includes("error"));
    // no watch and no list again, in more time than ours takes for both
    await expect(until("a second watch", () => watches.length > 1, { patienceMs: 1_500 })).rejects.toThrow();
    expect(server.requests.filter(({ query }) => !query.has("watch"))).toHaveLength(1);
  });

  test("ends for good when the API server is away for a moment", async () => {
    let first: Stream | undefined;
    const { told, watches } = await informer((nth) => {
      if (nth > 0) return statusAnswer(503, "ServiceUnavailable", "soon");
      return (stream) => {
        first = stream;
      };
    });
    await until("the watch", () => first !== undefined);
    first?.event("ADDED", aPod("one", "2"));
    await until("the pod", () => told.includes("add uid-one"));
    first?.end();
    await until("the error", () => told.includes("error"));
    await expect(until("a third watch", () => watches.length > 2, { patienceMs: 1_500 })).rejects.toThrow();
  });

  test("tells an object that was deleted and created again as an update", async () => {
    let first: Stream | undefined;
    let uid = "uid-one";
    const { told } = await informer(
      (nth) => (stream) => {
        if (nth === 0) first = stream;
      },
      () => [aPod("one", uid === "uid-one" ? "1" : "5", uid)],
    );
    await until("the watch", () => first !== undefined);
    uid = "uid-other";
    first?.event("ERROR", { kind: "Status", status: "Failure", code: 410, reason: "Expired" });
    first?.end();
    await until("the other pod", () => told.some((each) => each.endsWith("uid-other")));
    expect(told).toContain("update uid-other");
    expect(told).not.toContain("delete uid-one");
  });

  test("asks for no bookmarks and no end of a watch", async () => {
    const { watches } = await informer(() => () => {});
    await until("the watch", () => watches.length > 0);
    expect(watches[0]?.get("allowWatchBookmarks")).toBeNull();
    expect(watches[0]?.get("timeoutSeconds")).toBeNull();
  });

  test("makes a connection for each call", async () => {
    const { list } = await informer(() => () => {});
    const before = server.connections();
    for (let calls = 10; calls > 0; calls--) await list();
    expect(server.connections() - before).toBe(10);
  });
});
