import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Cache } from "../../../src/kube/cache.ts";
import { runController } from "../../../src/kube/controller.ts";
import { resources } from "../../../src/kube/kinds.ts";
import { kubeHelp } from "../../../src/kube/metrics.ts";
import { Metrics } from "../../../src/lib/metrics.ts";
import { fakeApiServer, keptLog, listAnswer } from "../../helpers/fake-api-server.ts";

const linesOf = (metrics: Metrics, name: string) =>
  metrics
    .text()
    .split("\n")
    .filter((line) => line.startsWith(name));

test("two controllers in one process are both shown, for as long as they run", async () => {
  const metrics = new Metrics();
  const stopping = new AbortController();
  const run = (name: string) =>
    runController({
      name,
      sources: [],
      reconcile: async () => ({}),
      signal: stopping.signal,
      log: keptLog(),
      metrics,
    });
  const both = [run("one"), run("two")];
  const shown = linesOf(metrics, "controller_runtime_active_workers");
  expect(shown.map((line) => /controller="(.*?)"/.exec(line)?.[1])).toEqual(["one", "two"]);
  stopping.abort();
  await Promise.all(both);
  expect(linesOf(metrics, "controller_runtime_active_workers")).toEqual([]);
});

test("a cache that has two stores of one kind shows them as one series", async () => {
  const server = await fakeApiServer(({ query }) => (query.has("watch") ? () => {} : listAnswer([], "1")));
  const metrics = new Metrics();
  const stopping = new AbortController();
  const cache = new Cache({ client: server.client, log: keptLog(), signal: stopping.signal, metrics });
  for (const labelSelector of ["a=b", "a!=b"]) {
    const store = cache.store(resources.secret, { labelSelector });
    store.put({ apiVersion: "v1", kind: "Secret", metadata: { name: labelSelector, namespace: "a" } });
  }
  expect(linesOf(metrics, "kube_store_objects")).toEqual(['kube_store_objects{resource="secrets"} 2']);
  stopping.abort();
  await cache.ended;
  await server.close();
});

test("each name that the runtime counts under has its help", () => {
  const folder = join(import.meta.dirname, "../../../src/kube");
  const text = readdirSync(folder)
    .filter((file) => file.endsWith(".ts") && file !== "metrics.ts")
    .map((file) => readFileSync(join(folder, file), "utf8"))
    .join("");
  const named = [...text.matchAll(/\.?(?:counter|histogram|gauge)\("([a-z_]+)"/g)].map((match) => match[1] ?? "");
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter((name) => !(name in kubeHelp))).toEqual([]);
});
