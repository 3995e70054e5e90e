/** The operator: looks after ChatmailServers until SIGTERM. */
import { hostname } from "node:os";
import { pino } from "pino";
import { kubeClient } from "../kube/client.ts";
import { defaultCredentials } from "../kube/default-credentials.ts";
import { leadWithLease } from "../kube/lease.ts";
import { readConfig, scopesOf } from "../operator/config.ts";
import { serveHealth } from "../operator/health.ts";
import { runServerController, storesFilled, watchCluster } from "../operator/server/controller.ts";
import { makeWorld } from "../operator/server/world.ts";

const config = readConfig(process.env);
const log = pino({ name: "operator", level: config.logLevel });
const stopping = new AbortController();
for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => stopping.abort(new Error(name)));

const credentials = await defaultCredentials(process.env);
const ownNamespace = config.podNamespace ?? credentials.namespace ?? "default";
const scopes = scopesOf(config.watchNamespaces, ownNamespace);
const client = kubeClient(credentials, { userAgent: "chatmail-operator" });
const world = makeWorld({ client, scopes, relayImage: config.relayImage });
const health = await serveHealth(config.healthPort, {
  ready: () => storesFilled(world.stores),
  metrics: () => ({
    chatmail_operator_servers: world.stores.servers.size,
    process_resident_memory_bytes: process.memoryUsage.rss(),
  }),
});
log.info({ namespaces: scopes, relayImage: config.relayImage }, "operator started");

const watching = watchCluster(world, scopes, log, stopping.signal);
const lead = (signal: AbortSignal) => runServerController(world, { workers: config.workers, log, signal });
const ended = config.leaderElection
  ? await leadWithLease({
      client,
      namespace: ownNamespace,
      name: config.leaseName,
      identity: `${config.podName ?? hostname()}-${process.pid}`,
      lead,
      signal: stopping.signal,
      log,
    })
  : await lead(stopping.signal);

// Whoever lost the lease must not go on; Kubernetes starts it anew as one that waits.
process.exitCode = ended === "lost" ? 1 : 0;
stopping.abort(new Error("stopped"));
await watching;
health.close();
client.close();
log.info({}, "operator stopped");
