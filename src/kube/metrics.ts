/**
 * What the runtime counts. Where it means the same, it has the names of controller-runtime and
 * client-go.
 */
import type { Metrics } from "../lib/metrics.ts";

/** What an administrator reads beside each name. */
export const kubeHelp = {
  rest_client_requests_total: "Requests to the API server, by verb, resource and status code",
  reflector_lists_total: "Lists read from the API server, by resource",
  reflector_watches_total: "Watches begun, by resource",
  reflector_failures_total: "Lists and watches that failed, by resource",
  controller_runtime_reconcile_total: "Reconciles, by controller and result",
  controller_runtime_reconcile_errors_total: "Reconciles that failed, by controller",
  controller_runtime_reconcile_time_seconds: "How long a reconcile took, by controller",
  controller_runtime_active_workers: "Reconciles that run now, by controller",
  workqueue_adds_total: "Keys added to the work queue",
  workqueue_retries_total: "Keys added again after a failure",
  workqueue_depth: "Keys that wait in the work queue",
  workqueue_queue_duration_seconds: "How long a key waited in the work queue",
  workqueue_work_duration_seconds: "How long the work for a key took",
  workqueue_longest_running_processor_seconds: "How long the longest running reconcile has taken so far",
  kube_store_objects: "Objects in the cache, by resource",
  kube_store_filled: "1 for each resource whose objects have all been read, 0 for one that is waited for",
  kube_store_left_out: "Namespaces that may not be listed, with the resource: 1 each",
  kube_store_unreadable_objects: "Objects that the API server has and that can't be read, by resource",
} as const;

/** What a work queue reports. */
export interface QueueMetrics {
  added(): void;
  retried(): void;
  taken(waitedSeconds: number): void;
  worked(seconds: number): void;
}

export function queueMetrics(metrics: Metrics, name: string): QueueMetrics {
  const labels = { name, controller: name };
  const adds = metrics.counter("workqueue_adds_total");
  const retries = metrics.counter("workqueue_retries_total");
  const waited = metrics.histogram("workqueue_queue_duration_seconds");
  const worked = metrics.histogram("workqueue_work_duration_seconds");
  for (const counter of [adds, retries]) counter.add(labels, 0);
  return {
    added: () => adds.add(labels),
    retried: () => retries.add(labels),
    taken: (seconds) => waited.observe(seconds, labels),
    worked: (seconds) => worked.observe(seconds, labels),
  };
}
