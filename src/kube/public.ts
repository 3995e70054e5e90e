/**
 * What `chatmail-operator/kube` gives to other programs. Nothing in the project itself imports
 * this.
 */

export { Counter, Histogram, Metrics } from "../lib/metrics.ts";
export { ApiError, type Cause, isApiError, isPassing } from "./api-error.ts";
export { Applier, type ApplyOptions, type ApplyResult, type ApplyStore, superfluous } from "./apply.ts";
export { Cache, type Watched } from "./cache.ts";
export { type Client, kubeClient, type Page, type Propagation, type Selection, type WatchEvent } from "./client.ts";
export { type Outcome, type Reconcile, type Run, runController, runWorkers } from "./controller.ts";
export { type Credentials, inClusterCredentials } from "./credentials.ts";
export { defaultCredentials } from "./default-credentials.ts";
export { EventRecorder, type Note } from "./events.ts";
export { identityOnly, trimmed, withDigests, withoutManagedFields } from "./fields.ts";
export { conflictsOf, immutableFields, remakeOf } from "./immutable.ts";
export { byLabel, byOwner, type Index } from "./indexes.ts";
export { resources } from "./kinds.ts";
export { type LeaseTimes, leadWithLease, leaseTimes } from "./lease.ts";
export { consoleLog, type Log } from "./log.ts";
export { kubeHelp } from "./metrics.ts";
export { type KubeObject, keyOf, type ObjectMeta, type OwnerReference, ownedBy, type Resource } from "./object.ts";
export { type Priority, WorkQueue } from "./queue.ts";
export { from, fromMapped, fromOwned, type Mapping, type Source } from "./source.ts";
export { type Change, type Listener, Store } from "./store.ts";
export type { WatchPatience } from "./watch.ts";
export { keepFilled, watchPatience } from "./watch.ts";
