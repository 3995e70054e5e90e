import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterEach, expect, test } from "vitest";
import { ApiError, kubeClient } from "../../../src/kube/client.ts";
import { resources } from "../../../src/kube/kinds.ts";
import {
  type Answer,
  aPod,
  type FakeApiServer,
  fakeApiServer,
  type Request,
  statusAnswer,
} from "../../helpers/fake-api-server.ts";
import { until } from "../../helpers/until.ts";

let server: FakeApiServer;
const signal = new AbortController().signal;
afterEach(() => server?.close());
const serving = async (answer: (request: Request) => Answer) => {
  server = await fakeApiServer(answer);
  return server.client;
};

test("hundred calls one after the other use one connection", async () => {
  const client = await serving(() => ({ json: aPod("p", "1") }));
  for (let call = 0; call < 100; call++) await client.get(resources.pod, { namespace: "a", name: "p" }, signal);
  expect(server.connections()).toBe(1);
});

test("fifty calls at once share the pool, and so do the next fifty", async () => {
  const client = await serving(() => ({ json: aPod("p", "1") }));
  const fifty = () =>
    Promise.all(Array.from({ length: 50 }, () => client.get(resources.pod, { namespace: "a", name: "p" }, signal)));
  await fifty();
  await fifty();
  expect(server.connections()).toBeLessThanOrEqual(50);
});

test("a lease is not kept waiting by calls that use up all connections", async () => {
  const lease = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { name: "l", namespace: "a" } };
  const client = await serving(({ path }) => (path.includes("leases") ? { json: lease } : () => {}));
  const stopping = new AbortController();
  const get = () => client.get(resources.pod, { namespace: "a", name: "p" }, stopping.signal).catch(() => {});
  const calls = Array.from({ length: 40 }, get);
  await until("all connections to be used", () => server.requests.length >= 32);
  expect((await client.get(resources.lease, { namespace: "a", name: "l" }, AbortSignal.timeout(1_000)))?.kind).toBe(
    "Lease",
  );
  stopping.abort();
  await Promise.all(calls);
});

test("what is not there is undefined; other refusals carry the server's words", async () => {
  const client = await serving((request) =>
    request.path.endsWith("/missing")
      ? statusAnswer(404, "NotFound", "pods missing not found")
      : statusAnswer(403, "Forbidden", "pods is forbidden: no"),
  );
  expect(await client.get(resources.pod, { namespace: "a", name: "missing" }, signal)).toBeUndefined();
  const refused = client.get(resources.pod, { namespace: "a", name: "secret" }, signal);
  await expect(refused).rejects.toMatchObject({ status: 403, reason: "Forbidden", message: "pods is forbidden: no" });
  await expect(refused).rejects.toBeInstanceOf(ApiError);
});

test("an answer that is no JSON is still told", async () => {
  const client = await serving(() => ({ status: 502, json: "bad gateway" }));
  await expect(client.get(resources.pod, { namespace: "a", name: "p" }, signal)).rejects.toMatchObject({ status: 502 });
});

test("a busy server is asked again after the time it names", async () => {
  let calls = 0;
  const client = await serving(() =>
    ++calls < 3 ? statusAnswer(429, "TooManyRequests", "later", { "retry-after": "0" }) : { json: aPod("p", "1") },
  );
  expect((await client.get(resources.pod, { namespace: "a", name: "p" }, signal))?.metadata.name).toBe("p");
  expect(calls).toBe(3);
});

test("apply is a server-side apply with our name, strict about fields", async () => {
  const client = await serving(() => ({ json: aPod("p", "2") }));
  await client.apply(resources.pod, aPod("p", "1"), { fieldManager: "me", force: true, subresource: "status" }, signal);
  const [request] = server.requests;
  expect(request).toMatchObject({ method: "PATCH", path: "/api/v1/namespaces/a/pods/p/status" });
  expect(request?.headers["content-type"]).toBe("application/apply-patch+yaml");
  expect(Object.fromEntries(request?.query ?? [])).toEqual({
    fieldManager: "me",
    force: "true",
    fieldValidation: "Strict",
  });
});

test("removing what is gone is fine; only this very object is removed", async () => {
  const client = await serving(() => statusAnswer(404, "NotFound", "gone"));
  await client.remove(resources.pod, aPod("p", "1", "u1"), signal);
  expect(server.requests[0]?.body).toMatchObject({ preconditions: { uid: "u1" } });
});

test("a signal ends a call that hangs", async () => {
  const client = await serving(() => () => {});
  const stopping = new AbortController();
  const call = client.get(resources.pod, { namespace: "a", name: "p" }, stopping.signal);
  call.catch(() => {});
  await until("the call", () => server.requests.length === 1);
  stopping.abort(new Error("enough"));
  await expect(call).rejects.toThrow("enough");
});

test("a server that is not there is an error with its address, not a silence", async () => {
  await serving(() => ({ json: {} }));
  const credentials = {
    server: new URL("http://127.0.0.1:9"),
    tls: {},
    namespace: undefined,
    headers: async () => ({}),
  };
  const lost = kubeClient(credentials, { userAgent: "test" });
  await expect(lost.get(resources.pod, { namespace: "a", name: "p" }, signal)).rejects.toThrow(
    /ECONNREFUSED 127\.0\.0\.1:9/,
  );
});

test.each([
  {
    status: 429,
    headers: {},
    triedAgain: false,
    why: "a 429 without a time means a second, longer than this test waits",
  },
  {
    status: 503,
    headers: { "retry-after": "0" },
    triedAgain: true,
    why: "a server that says when to come back is obeyed",
  },
  { status: 500, headers: {}, triedAgain: false, why: "without a time it is the caller's to judge" },
  { status: 409, headers: { "retry-after": "0" }, triedAgain: false, why: "a conflict does not pass by waiting" },
])("HTTP $status with $headers: $why", async ({ status, headers, triedAgain }) => {
  let calls = 0;
  const client = await serving(() =>
    ++calls === 1 ? statusAnswer(status, "X", "no", headers) : { json: aPod("p", "1") },
  );
  const stopping = AbortSignal.timeout(300);
  await client.get(resources.pod, { namespace: "a", name: "p" }, stopping).catch(() => {});
  expect(calls).toBe(triedAgain ? 2 : 1);
});

test("a server that is busy for ever is given up", async () => {
  const client = await serving(() => statusAnswer(429, "TooManyRequests", "later", { "retry-after": "0" }));
  const call = client.get(resources.pod, { namespace: "a", name: "p" }, signal);
  await expect(call).rejects.toMatchObject({ status: 429 });
  expect(server.requests).toHaveLength(10);
});

test("a refused token is read anew, once", async () => {
  const tokens = ["old", "new"];
  server = await fakeApiServer(({ headers }) =>
    headers.authorization === "Bearer new" ? { json: aPod("p", "1") } : statusAnswer(401, "Unauthorized", "no"),
  );
  let token = tokens.shift();
  const credentials = {
    server: server.url,
    tls: {},
    namespace: undefined,
    headers: async ({ refused = false } = {}) => {
      if (refused) token = tokens.shift() ?? "none";
      return { authorization: `Bearer ${token}` };
    },
  };
  const client = kubeClient(credentials, { userAgent: "test" });
  expect((await client.get(resources.pod, { namespace: "a", name: "p" }, signal))?.metadata.name).toBe("p");
  token = "ended";
  await expect(client.get(resources.pod, { namespace: "a", name: "p" }, signal)).rejects.toMatchObject({ status: 401 });
  expect(server.requests).toHaveLength(4);
  client.close();
});

/** A client with these headers, of a server that takes the token "new" only. */
async function loggingIn(headers: (options?: { refused?: boolean }) => Promise<Record<string, string>>) {
  server = await fakeApiServer((request) =>
    request.headers.authorization === "Bearer new" ? { json: aPod("p", "1") } : statusAnswer(401, "Unauthorized", "no"),
  );
  const client = kubeClient({ server: server.url, tls: {}, namespace: undefined, headers }, { userAgent: "test" });
  return { client, get: (until = signal) => client.get(resources.pod, { namespace: "a", name: "p" }, until) };
}

test("many calls with a token that has ended ask for a new one once", async () => {
  let token = "old";
  let asked = 0;
  const { client, get } = await loggingIn(async ({ refused = false } = {}) => {
    if (refused) {
      asked++;
      // A plugin takes its time: all others are refused meanwhile.
      await until("all calls to be refused", () => server.requests.length >= 20);
      token = "new";
    }
    return { authorization: `Bearer ${token}` };
  });
  await Promise.all(Array.from({ length: 20 }, () => get()));
  expect([asked, server.requests.length]).toEqual([1, 40]);
  client.close();
});

test.each([{ refused: false }, { refused: true }])(
  "a signal ends a call whose token does not come, when the last one was refused: $refused",
  async ({ refused }) => {
    let asked = false;
    const { client, get } = await loggingIn((options = {}) => {
      if (Boolean(options.refused) !== refused) return Promise.resolve({ authorization: "Bearer old" });
      asked = true;
      return new Promise(() => {});
    });
    const stopping = new AbortController();
    const call = get(stopping.signal);
    const ended = expect(call).rejects.toThrow("enough");
    await until("the token to be asked for", () => asked);
    stopping.abort(new Error("enough"));
    await ended;
    client.close();
  },
);

test("a call that is given up because nothing was heard is counted; one that we end is not", async () => {
  const silent = createServer().listen(0, "127.0.0.1");
  await once(silent, "listening");
  const url = new URL(`http://127.0.0.1:${(silent.address() as AddressInfo).port}`);
  const credentials = { server: url, tls: {}, namespace: undefined, headers: async () => ({}) };
  const client = kubeClient(credentials, { userAgent: "test" });
  const list = (until: AbortSignal) => client.listPage(resources.pod, { limit: 1, silenceMs: 20 }, until);
  await expect(list(signal)).rejects.toMatchObject({ name: "DeadlineError" });
  await expect(list(AbortSignal.abort(new Error("enough")))).rejects.toThrow("enough");
  expect(client.requests.entries().map(({ labels, value }) => [labels.code, value])).toEqual([["error", 1]]);
  client.close();
  silent.close();
});

test("requests are counted by verb, resource and code", async () => {
  const client = await serving(({ method }) =>
    method === "PATCH" ? statusAnswer(409, "Conflict", "no") : { json: aPod("p", "1") },
  );
  await client.get(resources.pod, { namespace: "a", name: "p" }, signal);
  await client.get(resources.pod, { namespace: "a", name: "p" }, signal);
  const how = { fieldManager: "me", force: true, subresource: "status" };
  await client.apply(resources.pod, aPod("p", "1"), how, signal).catch(() => {});
  expect(client.requests.entries()).toEqual([
    { labels: { code: "200", method: "GET", verb: "get", resource: "pods" }, value: 2 },
    { labels: { code: "409", method: "PATCH", verb: "apply", resource: "pods/status" }, value: 1 },
  ]);
  expect(client.requests.total({ verb: "get" })).toBe(2);
});

test("metadata only is asked for as such, and comes as the kind that it is about", async () => {
  const client = await serving(({ query }) => {
    const partial = { ...aPod("p", "1"), apiVersion: "meta.k8s.io/v1", kind: "PartialObjectMetadata" };
    if (!query.has("watch")) return { json: { metadata: { resourceVersion: "1" }, items: [partial] } };
    return (stream) => {
      stream.event("ADDED", partial);
      stream.end();
    };
  });
  const page = await client.listPage(resources.pod, { metadataOnly: true, limit: 5 }, signal);
  expect([page.items[0]?.kind, page.items[0]?.apiVersion]).toEqual(["Pod", "v1"]);
  const how = { metadataOnly: true, resourceVersion: "1", timeoutSeconds: 5, idleMs: 1_000 };
  for await (const event of client.watch(resources.pod, how, signal))
    expect(event.object).toMatchObject({ kind: "Pod" });
  expect(server.requests.map(({ headers }) => headers.accept)).toEqual([
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
  ]);
});

test("an answer that is cut short is an error that passes, not an object", async () => {
  const client = await serving(() => (stream) => {
    stream.raw('{"kind":"Pod","metad');
    stream.end();
  });
  const call = client.get(resources.pod, { namespace: "a", name: "p" }, signal);
  await expect(call).rejects.toMatchObject({ reason: "BrokenAnswer" });
});

test("logs come line by line, with what was asked for", async () => {
  const client = await serving(() => (stream) => {
    stream.raw("one\n\ntw");
    stream.raw("o\n");
    stream.end();
  });
  const lines: string[] = [];
  const options = { container: "relay", follow: true, tailLines: 5, sinceSeconds: 60, timestamps: true };
  for await (const line of client.logs({ namespace: "a", name: "p" }, options, signal)) lines.push(line);
  expect(lines).toEqual(["one", "two"]);
  const { path, query } = server.requests[0] as Request;
  expect(`${path}?${query.toString()}`).toBe(
    "/api/v1/namespaces/a/pods/p/log?container=relay&follow=true&timestamps=true&tailLines=5&sinceSeconds=60",
  );
});

test("what is no object is read by its path, with the server's time", async () => {
  const client = await serving(() => ({
    json: { gitVersion: "v1.35.2" },
    headers: { date: "Sun, 29 Nov 2026 12:00:00 GMT" },
  }));
  expect(await client.getPath("/version", signal)).toEqual({
    value: { gitVersion: "v1.35.2" },
    date: new Date("2026-11-29T12:00:00Z"),
  });
});
