/**
 * The operator: looks after ChatmailServers until SIGTERM. `operator release`: lets all of them go,
 * before it is removed. `operator check`: whether one that is installed works.
 */
import { hostname } from "node:os";
import { pino } from "pino";
import manifest from "../../package.json" with { type: "json" };
import { kubeClient } from "../kube/client.ts";
import { defaultCredentials } from "../kube/default-credentials.ts";
import { leadWithLease } from "../kube/lease.ts";
import { giveMemoryBack } from "../lib/give-memory-back.ts";
import { Metrics } from "../lib/metrics.ts";
import { addProcessMetrics } from "../lib/process-metrics.ts";
import { messageOf } from "../lib/text.ts";
import { checkInstallation } from "../operator/check.ts";
import { readConfig, scopesOf } from "../operator/config.ts";
import { runControllers } from "../operator/controllers.ts";
import { serveHealth } from "../operator/health.ts";
import { operatorHelp } from "../operator/metrics.ts";
import { releaseServers } from "../operator/release.ts";
import { releaseWithNamespace } from "../operator/server/retire.ts";
import { makeWorld } from "../operator/server/world.ts";
import { addServerMetrics } from "../operator/server-metrics.ts";

/** Ends with one line that says why: who reads it can do without our stack. */
function refuse(thrown: unknown): never {
  pino({ name: "operator" }).fatal(messageOf(thrown));
  process.exit(1);
}

const config = await Promise.try(() => readConfig(process.env)).catch(refuse);
const log = pino({ name: "operator", level: config.logLevel });
const stopping = new AbortController();
for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => stopping.abort(new Error(name)));

const credentials = await defaultCredentials(process.env).catch(refuse);
const ownNamespace = config.podNamespace ?? credentials.namespace ?? "default";
const scopes = scopesOf(config.watchNamespaces, ownNamespace);
const metrics = new Metrics(operatorHelp);
const client = kubeClient(credentials, {
  userAgent: "chatmail-operator",
  requests: metrics.counter("rest_client_requests_total"),
});
const instance = config.podName ?? hostname();
const lease = { namespace: ownNamespace, name: config.leaseName };

if (process.argv[2] === "check") {
  try {
    const leader = await checkInstallation({ client, lease, scopes, signal: stopping.signal });
    console.log(`${leader} leads, and the operator may read its kinds in ${scopes.join(", ") || "all namespaces"}`);
    process.exit(0);
  } catch (thrown) {
    console.error(messageOf(thrown));
    process.exit(1);
  }
}

const world = makeWorld({
  client,
  scopes,
  relayImage: config.relayImage,
  allowedImages: config.allowedImages,
  serverDefaults: config.serverDefaults,
  rollout: config.rollout,
  operatorNamespace: ownNamespace,
  leaseName: config.leaseName,
  instance,
  signal: stopping.signal,
  log,
  metrics,
});
metrics.gauge("chatmail_operator_servers", () => world.stores.servers.size);
metrics.gauge("chatmail_operator_fleets", () => world.fleets.store.size);
addProcessMetrics(metrics);
metrics.gauge("chatmail_operator_info", () => [{ labels: { version: manifest.version }, value: 1 }]);
metrics.gauge("nodejs_heap_size_used_bytes", () => process.memoryUsage().heapUsed);
const health = await serveHealth(config.healthPort, { ready: () => world.cache.filled, metrics: () => metrics.text() });
log.info({ namespaces: scopes, relayImage: config.relayImage }, "operator started");

if (process.argv[2] === "release") {
  await releaseServers({ world, client, lease, identity: `${instance}-release`, log, signal: stopping.signal });
  process.exit(0);
}

giveMemoryBack();
let leads = false;
addServerMetrics(metrics, {
  servers: () => world.stores.servers.all(),
  fleets: () => world.fleets.store.all(),
  leads: () => leads,
  name: config.leaseName,
});
const lead = (signal: AbortSignal) => {
  leads = true;
  return runControllers(world, { workers: config.workers, log, signal, metrics }).finally(() => {
    leads = false;
  });
};
const ended = config.leaderElection
  ? await leadWithLease({
      client,
      namespace: ownNamespace,
      name: config.leaseName,
      identity: `${instance}-${process.pid}`,
      lead,
      signal: stopping.signal,
      log,
    })
  : await lead(stopping.signal);

// Another may lead from now on, so nothing that is still under way may go on; Kubernetes starts
// this one again as one that waits.
if (ended === "lost") process.exit(1);
const released = await releaseWithNamespace(ownNamespace, world, AbortSignal.timeout(10_000)).catch((err: unknown) =>
  log.warn({ err }, "servers not released"),
);
if (released) log.info({ servers: released }, "the namespace is being deleted, its servers were released");
await world.events.close();
stopping.abort(new Error("stopped"));
await world.cache.ended;
health.close();
client.close();
log.info({}, "operator stopped");
