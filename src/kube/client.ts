/** Calls to the Kubernetes API. */
import { Counter } from "../lib/metrics.ts";
import { type Cause, isApiError } from "./api-error.ts";
import type { Credentials } from "./credentials.ts";
import { resources } from "./kinds.ts";
import { type KubeObject, pathOf, type Resource } from "./object.ts";
import { transport } from "./transport.ts";

export { ApiError, isApiError } from "./api-error.ts";

export interface Selection {
  namespace?: string | undefined;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
  /**
   * Names, labels, owners and versions only: for what others own, of which the rest is not read.
   */
  metadataOnly?: boolean | undefined;
}

export interface Page {
  items: KubeObject[];
  resourceVersion: string;
  /** Where the next page begins; undefined on the last one. */
  next: string | undefined;
  /** How long the text of the answer was. */
  bytes: number;
}

export type WatchEvent =
  | { type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK"; object: KubeObject }
  | { type: "ERROR"; object: { code?: number; reason?: string; message?: string; causes?: Cause[] } };

/**
 * What becomes of the objects that an object owns: deleted after it, or left (their owner reference
 * goes).
 */
export type Propagation = "Background" | "Foreground" | "Orphan";

export interface Client {
  /** How many requests were sent, by verb, resource and code. */
  readonly requests: Counter;
  /**
   * Undefined where there is none (404). All calls throw ApiError for other refusals, and what
   * broke the connection.
   */
  get<T extends KubeObject>(
    resource: Resource<T>,
    at: { namespace?: string; name: string },
    signal: AbortSignal,
  ): Promise<T | undefined>;
  /** `limit`: objects a page, 0 for all. Throws 410 where `next` has expired: start again. */
  listPage(
    resource: Resource,
    options: Selection & { limit: number; next?: string | undefined; silenceMs?: number },
    signal: AbortSignal,
  ): Promise<Page>;
  /** Ends when the server closes; throws ApiError, or what broke the connection. */
  watch(
    resource: Resource,
    options: Selection & { resourceVersion: string; timeoutSeconds: number; idleMs: number },
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent>;
  /**
   * Server-side apply: sets the fields in `object` and drops those this manager set before and no
   * longer has.
   */
  apply<T extends KubeObject>(
    resource: Resource,
    object: T,
    options: { fieldManager: string; force: boolean; subresource?: string; dryRun?: boolean },
    signal: AbortSignal,
  ): Promise<KubeObject>;
  /** `dryRun`: all is checked, and nothing is kept. */
  create<T extends KubeObject>(
    resource: Resource<T>,
    object: NoInfer<T>,
    signal: AbortSignal,
    options?: { dryRun?: boolean },
  ): Promise<T>;
  /** Replaces the object; refused with 409 when its resourceVersion is not the newest. */
  replace<T extends KubeObject>(resource: Resource<T>, object: NoInfer<T>, signal: AbortSignal): Promise<T>;
  /** JSON merge patch. */
  merge(
    resource: Resource,
    at: { namespace?: string; name: string },
    patch: object,
    signal: AbortSignal,
  ): Promise<KubeObject>;
  /**
   * Only this very object, by its uid (`onlyIfUnchanged`: and in the state that was seen; else
   * 409), by default in the background. Resolves also when it was gone already.
   */
  remove(
    resource: Resource,
    object: KubeObject,
    signal: AbortSignal,
    options?: { propagation?: Propagation; onlyIfUnchanged?: boolean },
  ): Promise<void>;
  /** What is no object, such as /version, and the server's own time. */
  getPath<T>(path: string, signal: AbortSignal): Promise<{ value: T; date: Date | undefined }>;
  /** What a container has written: lines, of which those that are empty are left out. */
  logs(pod: { namespace: string; name: string }, options: LogSelection, signal: AbortSignal): AsyncGenerator<string>;
  close: () => void;
}

export interface LogSelection {
  container: string;
  /** Goes on with what is written from now on, until the container or the signal ends. */
  follow?: boolean | undefined;
  /** At most so many of the last lines. */
  tailLines?: number | undefined;
  sinceSeconds?: number | undefined;
  /** Of the container before the one that runs. */
  previous?: boolean | undefined;
  timestamps?: boolean | undefined;
}

/** As long as a timer can wait: some programs write nothing for days. */
const longestSilenceMs = 2 ** 31 - 1;

export function kubeClient(credentials: Credentials, options: { userAgent: string; requests?: Counter }): Client {
  const requests = options.requests ?? new Counter();
  const { json, lines, close } = transport(credentials, { userAgent: options.userAgent, requests });
  const counted = (verb: string, { plural, group }: Resource, subresource?: string) => ({
    verb,
    resource: subresource ? `${plural}/${subresource}` : plural,
    // A leader that is busy must not lose its lease by that.
    urgent: group === resources.lease.group && plural === resources.lease.plural,
  });

  return {
    requests,
    close,

    async get<T extends KubeObject>(
      resource: Resource<T>,
      at: { namespace?: string; name: string },
      signal: AbortSignal,
    ) {
      try {
        const call = { method: "GET", path: pathOf(resource, at), ...counted("get", resource) } as const;
        return await json<T>(call, signal);
      } catch (error) {
        if (isApiError(error, 404)) return undefined;
        throw error;
      }
    },

    async listPage(
      resource,
      { namespace, labelSelector, fieldSelector, metadataOnly, limit, next, silenceMs },
      signal,
    ) {
      const query = { labelSelector, fieldSelector, limit: String(limit), continue: next };
      const path = pathOf(resource, { namespace });
      const accept = metadataOnly ? metadataOf("PartialObjectMetadataList") : undefined;
      const call = { method: "GET", path, query, accept, silenceMs, ...counted("list", resource) } as const;
      let bytes = 0;
      const list = await json<List>(call, signal, (answer) => {
        bytes = answer.bytes;
      });
      const type = { apiVersion: apiVersionOf(resource), kind: resource.kind };
      const items = (list.items ?? []).map((item) => ({ ...item, ...type }));
      const { resourceVersion } = list.metadata;
      return { items, resourceVersion, next: list.metadata.continue || undefined, bytes };
    },

    async *watch(
      resource,
      { namespace, labelSelector, fieldSelector, metadataOnly, resourceVersion, timeoutSeconds, idleMs },
      signal,
    ) {
      const query = {
        watch: "1",
        allowWatchBookmarks: "true",
        labelSelector,
        fieldSelector,
        resourceVersion,
        timeoutSeconds: String(timeoutSeconds),
      };
      const accept = metadataOnly ? metadataOf("PartialObjectMetadata") : undefined;
      const path = pathOf(resource, { namespace });
      const call = { method: "GET", path, query, accept, ...counted("watch", resource) } as const;
      const type = { apiVersion: apiVersionOf(resource), kind: resource.kind };
      for await (const line of lines(call, { idleMs }, signal)) {
        const event = JSON.parse(line) as WatchEvent;
        if (event.type === "ERROR" || !metadataOnly) yield event;
        else yield { type: event.type, object: { ...event.object, ...type } };
      }
    },

    apply(resource, object, { fieldManager, force, subresource, dryRun }, signal) {
      const { namespace, name } = object.metadata;
      const path = pathOf(resource, { namespace, name, ...(subresource && { subresource }) });
      const query = { fieldManager, force: String(force), fieldValidation: "Strict", ...(dryRun && dryRunQuery) };
      const contentType = "application/apply-patch+yaml";
      return json(
        { method: "PATCH", path, query, body: object, contentType, ...counted("apply", resource, subresource) },
        signal,
      );
    },

    create(resource, object, signal, { dryRun = false } = {}) {
      const path = pathOf(resource, { namespace: object.metadata.namespace });
      const query = dryRun ? dryRunQuery : {};
      return json({ method: "POST", path, query, body: object, ...counted("create", resource) }, signal);
    },

    replace(resource, object, signal) {
      const { namespace, name } = object.metadata;
      const path = pathOf(resource, { namespace, name });
      return json({ method: "PUT", path, body: object, ...counted("update", resource) }, signal);
    },

    merge(resource, at, patch, signal) {
      const contentType = "application/merge-patch+json";
      const path = pathOf(resource, at);
      return json({ method: "PATCH", path, body: patch, contentType, ...counted("patch", resource) }, signal);
    },

    async remove(resource, object, signal, { propagation = "Background", onlyIfUnchanged = false } = {}) {
      const { namespace, name, uid, resourceVersion } = object.metadata;
      const preconditions = { ...(uid && { uid }), ...(onlyIfUnchanged && resourceVersion && { resourceVersion }) };
      const body = { kind: "DeleteOptions", apiVersion: "v1", propagationPolicy: propagation, preconditions };
      try {
        const path = pathOf(resource, { namespace, name });
        await json({ method: "DELETE", path, body, ...counted("delete", resource) }, signal);
      } catch (error) {
        if (!isApiError(error, 404)) throw error;
      }
    },

    async getPath<T>(path: string, signal: AbortSignal) {
      let date: Date | undefined;
      const call = { method: "GET", path, verb: "get", resource: path } as const;
      const value = await json<T>(call, signal, (answer) => {
        if (answer.date !== undefined) date = new Date(answer.date);
      });
      return { value, date };
    },

    logs(pod, { container, follow, tailLines, sinceSeconds, previous, timestamps }, signal) {
      const flag = (is: boolean | undefined) => (is ? "true" : undefined);
      const count = (value: number | undefined) => (value === undefined ? undefined : String(value));
      const query = {
        container,
        follow: flag(follow),
        previous: flag(previous),
        timestamps: flag(timestamps),
        tailLines: count(tailLines),
        sinceSeconds: count(sinceSeconds),
      };
      const path = pathOf(resources.pod, { ...pod, subresource: "log" });
      const call = { method: "GET", path, query, accept: "*/*", ...counted("get", resources.pod, "log") } as const;
      return lines(call, { idleMs: follow ? longestSilenceMs : answerSilenceMs }, signal);
    },
  };
}

const answerSilenceMs = 30_000;

const dryRunQuery = { dryRun: "All" };

interface List {
  metadata: { resourceVersion: string; continue?: string };
  items: KubeObject[] | null;
}

const metadataOf = (kind: string) => `application/json;as=${kind};g=meta.k8s.io;v=v1`;

function apiVersionOf({ group, version }: Resource): string {
  return group === "" ? version : `${group}/${version}`;
}
