/** The watch loop against faults: it never stops, and the store ends up like the cluster. */
import { afterEach, expect, test } from "vitest";
import { Cache } from "../../../src/kube/cache.ts";
import { resources } from "../../../src/kube/kinds.ts";
import { Store } from "../../../src/kube/store.ts";
import { keepFilled, type WatchPatience } from "../../../src/kube/watch.ts";
import { Metrics } from "../../../src/lib/metrics.ts";
import {
  type Answer,
  aPod,
  type FakeApiServer,
  fakeApiServer,
  keptLog,
  listAnswer,
  type Request,
  type Stream,
  statusAnswer,
} from "../../helpers/fake-api-server.ts";
import { until } from "../../helpers/until.ts";

const patience: WatchPatience = {
  backOff: { firstMs: 5, mostMs: 40 },
  leastSeconds: 300,
  idleMs: 2_000,
  pageSize: 2,
  refusedMs: 60_000,
};
const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

/**
 * Runs the loop against a server whose lists and watches are answered one after the other; the last
 * answer is repeated.
 */
async function watching(script: { lists: Answer[]; watches: Answer[] }, own: Partial<WatchPatience> = {}) {
  const turn = (answers: Answer[]) => (answers.length > 1 ? (answers.shift() as Answer) : (answers[0] as Answer));
  const server: FakeApiServer = await fakeApiServer((request) =>
    request.query.has("watch") ? turn(script.watches) : turn(script.lists),
  );
  const store = new Store();
  const changes: string[] = [];
  store.listen(({ type, object }) => changes.push(`${type} ${object.metadata.name} ${object.metadata.uid}`));
  const stopping = new AbortController();
  const log = keptLog();
  const done = keepFilled({
    client: server.client,
    resource: resources.pod,
    selection: { labelSelector: "a=b" },
    store,
    signal: stopping.signal,
    log,
    patience: { ...patience, ...own },
  });
  ends.push(async () => {
    stopping.abort();
    await done;
    await server.close();
  });
  const names = () =>
    store
      .all()
      .map((object) => `${object.metadata.name}@${object.metadata.resourceVersion}`)
      .sort();
  const watches = () => server.requests.filter((request) => request.query.has("watch"));
  const lists = () => server.requests.filter((request) => !request.query.has("watch"));
  return { server, store, changes, log, names, watches, lists, stopping, done };
}

const open: Answer = () => {};
const versionOf = (request: Request | undefined) => request?.query.get("resourceVersion");

test("lists page by page, then watches from there, with bookmarks and an end that differs each time", async () => {
  const run = await watching({
    lists: [listAnswer([aPod("p1", "1"), aPod("p2", "2")], "7", "more"), listAnswer([aPod("p3", "3")], "7")],
    watches: [open],
  });
  await until("the watch", () => run.watches().length === 1);
  expect(run.names()).toEqual(["p1@1", "p2@2", "p3@3"]);
  expect(
    run.lists().map(({ query }) => [query.get("limit"), query.get("continue"), query.get("labelSelector")]),
  ).toEqual([
    ["2", null, "a=b"],
    ["2", "more", "a=b"],
  ]);
  const [watch] = run.watches();
  expect([versionOf(watch), watch?.query.get("allowWatchBookmarks")]).toEqual(["7", "true"]);
  expect(Number(watch?.query.get("timeoutSeconds"))).toBeGreaterThanOrEqual(300);
  expect(run.store.filled).toBe(true);
});

test("a reset costs nothing: it goes on from the last bookmark, without a list", async () => {
  let reset = () => {};
  const first: Answer = (stream) => {
    const bookmark = { kind: "Pod", metadata: { resourceVersion: "20" } };
    const events = [
      { type: "ADDED", object: aPod("p1", "8") },
      { type: "BOOKMARK", object: bookmark },
    ];
    // in one piece: whoever has seen the first has seen the second
    stream.raw(events.map((each) => `${JSON.stringify(each)}\n`).join(""));
    reset = () => stream.reset();
  };
  const run = await watching({
    lists: [listAnswer([], "7")],
    watches: [first, (s) => s.event("MODIFIED", aPod("p1", "21"))],
  });
  await until("the first change", () => run.names().includes("p1@8"));
  reset();
  await until("the change after the reset", () => run.names().includes("p1@21"));
  expect(versionOf(run.watches()[1])).toBe("20");
  expect(run.lists()).toHaveLength(1);
});

test("refused connections and errors of the server are tried again for as long as it takes", async () => {
  const down = statusAnswer(503, "ServiceUnavailable", "starting");
  const reset: Answer = (stream) => stream.reset();
  const run = await watching({
    lists: [down, reset, down, listAnswer([aPod("p1", "1")], "1")],
    watches: [down, reset, reset, (s) => s.event("ADDED", aPod("p2", "9"))],
  });
  await until("both pods", () => run.names().length === 2);
  expect(run.log.lines.map(({ level, fields }) => `${level} ${(fields as { failures?: number }).failures}`)).toEqual([
    "warn 1",
    "warn 2",
    "debug 3",
    "info 3",
    "warn 1",
    "warn 2",
    "debug 3",
    "info 3",
  ]);
});

test("a list whose pages expire as it is read is told of, and asked for whole", async () => {
  const page = listAnswer([aPod("p1", "1")], "7", "more");
  const run = await watching({
    lists: [
      page,
      statusAnswer(410, "Expired", "continue expired"),
      listAnswer([aPod("p1", "1"), aPod("p2", "2")], "9"),
    ],
    watches: [open],
  });
  await until("both pods", () => run.names().length === 2);
  expect(run.lists().map(({ query }) => query.get("limit"))).toEqual(["2", "2", "0"]);
  expect(run.log.lines.map(({ level }) => level)).toEqual(["warn"]);
});

test("resets of a watch that was quiet for long are not failures in a row", async () => {
  const quiet: Answer = (stream) => void setTimeout(() => stream.reset(), 80);
  const run = await watching({
    lists: [listAnswer([], "1")],
    watches: [...Array.from({ length: 7 }, () => quiet), (s) => s.event("ADDED", aPod("p1", "5"))],
  });
  await until("the pod", () => run.names().length === 1);
  expect(run.lists()).toHaveLength(1);
});

test("a server that is too busy for a watch is not asked for lists instead", async () => {
  const busy = statusAnswer(429, "TooManyRequests", "later", { "retry-after": "0" });
  const run = await watching({
    lists: [listAnswer([], "1")],
    watches: [...Array.from({ length: 8 }, () => busy), (s) => s.event("ADDED", aPod("p1", "5"))],
  });
  await until("the pod", () => run.names().length === 1);
  expect([run.lists().length, run.watches().length]).toEqual([1, 9]);
});

test.each([
  {
    how: "in the stream",
    expired: ((s: Stream) => s.event("ERROR", { code: 410, reason: "Expired", message: "too old" })) as Answer,
  },
  { how: "as a status", expired: statusAnswer(410, "Expired", "too old") },
])(
  "a version that is too old ($how) leads to a new list: what went meanwhile is deleted, what came is added",
  async ({ expired }) => {
    const run = await watching({
      lists: [
        listAnswer([aPod("gone", "1"), aPod("kept", "2")], "2"),
        listAnswer([aPod("kept", "2"), aPod("new", "9")], "9"),
      ],
      watches: [expired, open],
    });
    await until("the second watch", () => run.watches().length === 2);
    expect(run.changes).toEqual([
      "added gone uid-gone",
      "added kept uid-kept",
      "deleted gone uid-gone",
      "added new uid-new",
    ]);
    expect(versionOf(run.watches()[1])).toBe("9");
  },
);

test("an error event of another kind leads to a new list too", async () => {
  const broken: Answer = (s) => s.event("ERROR", { code: 500, reason: "InternalError", message: "etcd" });
  const run = await watching({
    lists: [listAnswer([], "1"), listAnswer([aPod("p1", "5")], "5")],
    watches: [broken, open],
  });
  await until("the pod", () => run.names().length === 1);
});

test("a namespace that may not be listed is left out, so that nobody waits for it, and joins when it may", async () => {
  let forbidden = true;
  const server = await fakeApiServer((request) => {
    const gone = request.path.startsWith("/api/v1/namespaces/gone/");
    if (gone && forbidden) return statusAnswer(403, "Forbidden", "pods is forbidden");
    if (request.query.has("watch")) return open;
    return listAnswer([aPod(gone ? "late" : "p1", "1")], "1");
  });
  const stopping = new AbortController();
  const metrics = new Metrics();
  const cache = new Cache({
    client: server.client,
    log: keptLog(),
    signal: stopping.signal,
    namespaces: ["here", "gone"],
    metrics,
    patience: { ...patience, refusedMs: 50 },
  });
  const store = cache.store(resources.pod);
  ends.push(async () => {
    stopping.abort();
    await cache.ended;
    await server.close();
  });
  expect(cache.filled).toBe(false);
  await store.whenFilled(stopping.signal);
  expect(store.all().map(({ metadata }) => metadata.name)).toEqual(["p1"]);
  expect(cache.leftOut("gone")).toEqual({ plural: "pods", said: "pods is forbidden" });
  expect(cache.leftOut("here")).toBeUndefined();
  expect(metrics.text()).toContain('kube_store_left_out{resource="pods",namespace="gone"} 1');
  forbidden = false;
  await until("the other pod", () => store.size === 2);
  expect([cache.filled, cache.leftOut("gone")]).toEqual([true, undefined]);
});

test("a kind that the server does not know leaves nobody out where it is optional, and joins when it is known", async () => {
  let known = false;
  const server = await fakeApiServer((request) => {
    if (!known) return statusAnswer(404, "NotFound", "the server could not find the requested resource");
    return request.query.has("watch") ? open : listAnswer([aPod("p1", "1")], "1");
  });
  const stopping = new AbortController();
  const options = { client: server.client, log: keptLog(), signal: stopping.signal };
  const cache = new Cache({ ...options, patience: { ...patience, refusedMs: 50 } });
  const store = cache.store(resources.pod, { optional: true });
  ends.push(async () => {
    stopping.abort();
    await cache.ended;
    await server.close();
  });
  await store.whenFilled(stopping.signal);
  expect([cache.filled, cache.leftOut("anywhere"), store.leftOut.get("")]).toEqual([
    true,
    undefined,
    expect.stringContaining("could not find"),
  ]);
  known = true;
  await until("the pod", () => store.size === 1);
  expect(store.leftOut.size).toBe(0);
});

test("who may list nothing at all is not ready", async () => {
  const run = await watching({ lists: [statusAnswer(403, "Forbidden", "no")], watches: [open] }, { refusedMs: 10 });
  await until("ten lists", () => run.lists().length >= 10);
  expect(run.store.filled).toBe(false);
});

test("the same name with another uid is a deletion and an addition", async () => {
  const again: Answer = (s) => s.event("MODIFIED", aPod("p1", "9", "second"));
  const run = await watching({ lists: [listAnswer([aPod("p1", "1", "first")], "1")], watches: [again] });
  await until("the second", () => run.changes.length === 3);
  expect(run.changes).toEqual(["added p1 first", "deleted p1 first", "added p1 second"]);
});

test("a watch that has gone silent is left for another; without bookmarks that is no failure", async () => {
  const run = await watching(
    { lists: [listAnswer([], "1")], watches: [open, (s) => s.event("ADDED", aPod("p1", "5"))] },
    { idleMs: 500 },
  );
  await until("the pod", () => run.names().length === 1);
  expect(run.log.lines[0]).toMatchObject({ level: "debug", message: "nothing heard, watching again" });
  expect(run.lists()).toHaveLength(1);
});

test("after two silences it lists: a server that was put back from a backup says nothing to who knows more", async () => {
  const bookmarked: Answer = (s) => s.event("BOOKMARK", { kind: "Pod", metadata: { resourceVersion: "900" } });
  const run = await watching(
    {
      lists: [listAnswer([aPod("p1", "900")], "900"), listAnswer([aPod("p1", "5")], "5")],
      watches: [bookmarked, open],
    },
    { idleMs: 500, idleWithBookmarksMs: 500 },
  );
  await until("the old state", () => run.names().includes("p1@5"));
  await until("a watch from there", () => run.watches().length >= 3);
  expect(run.watches().map(versionOf).slice(0, 3)).toEqual(["900", "900", "5"]);
});

test("once bookmarks come, silence is noticed sooner", async () => {
  const bookmarked: Answer = (s) => s.event("BOOKMARK", { kind: "Pod", metadata: { resourceVersion: "2" } });
  const cut: Answer = (s) => {
    s.event("BOOKMARK", { kind: "Pod", metadata: { resourceVersion: "2" } });
    setTimeout(() => s.reset(), 10);
  };
  const run = await watching(
    { lists: [listAnswer([], "1")], watches: [cut, bookmarked, (s) => s.event("ADDED", aPod("p1", "5"))] },
    { idleMs: 60_000, idleWithBookmarksMs: 50 },
  );
  await until("the pod", () => run.names().length === 1);
});

test("an object that can't be read is left out, and the watch goes on", async () => {
  const odd: Answer = (s) => {
    s.raw('{"type":"ADDED","object":{"metadata":null}}\n{"type":"ADDED"}\n{"type":"STRANGE","object":{}}\n');
    s.event("ADDED", aPod("p1", "5"));
  };
  const run = await watching({ lists: [listAnswer([], "1")], watches: [odd] });
  await until("the pod", () => run.names().length === 1);
  expect(run.watches()).toHaveLength(1);
});

test("a line that is no JSON costs a new watch from where it was, not a list", async () => {
  const broken: Answer = (s) => {
    s.event("ADDED", aPod("p1", "5"));
    s.raw('{"type":"ADDED","obj\n');
  };
  const run = await watching({
    lists: [listAnswer([], "1")],
    watches: [broken, (s) => s.event("ADDED", aPod("p2", "6"))],
  });
  await until("both pods", () => run.names().length === 2);
  expect([run.lists().length, versionOf(run.watches()[1])]).toEqual([1, "5"]);
});

test("a server that ends each watch at once is not asked without pause", async () => {
  const run = await watching(
    { lists: [listAnswer([], "1")], watches: [(s) => s.end()] },
    { backOff: { firstMs: 60_000, mostMs: 60_000 } },
  );
  await until("a watch", () => run.watches().length > 0);
  // as many calls as a loop without pauses would have made watches
  for (let call = 0; call < 50; call++)
    await run.server.client.get(resources.pod, { namespace: "a", name: "p" }, run.stopping.signal).catch(() => {});
  expect(run.watches().length).toBeLessThan(5);
});

test("an event cut in two and three events in one piece are read alike", async () => {
  const line = (pod: object) => `${JSON.stringify({ type: "ADDED", object: pod })}\n`;
  const pieces: Answer = (stream) => {
    const text = line(aPod("p1", "1")) + line(aPod("p2", "2")) + line(aPod("p3", "3"));
    stream.raw(text.slice(0, 10));
    setTimeout(() => stream.raw(text.slice(10)), 20);
  };
  const run = await watching({ lists: [listAnswer([], "1")], watches: [pieces] });
  await until("three pods", () => run.names().length === 3);
});

test("stopping ends it, also while a watch is being opened, and closes the connection", async () => {
  let closed: Promise<void> | undefined;
  const run = await watching({
    lists: [listAnswer([], "1")],
    watches: [
      (stream) => {
        closed = stream.closed;
      },
    ],
  });
  await until("the watch", () => closed !== undefined);
  run.stopping.abort();
  await run.done;
  await closed;
  expect(run.watches()).toHaveLength(1);
});
