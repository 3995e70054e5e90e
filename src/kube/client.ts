/** Calls to the Kubernetes API over one pool of kept-alive connections. */
import http from "node:http";
import https from "node:https";
import { wait } from "../lib/wait.ts";
import type { Credentials } from "./credentials.ts";
import { type KubeObject, pathOf, type Resource } from "./object.ts";

/** What the API server said no with: an HTTP status and its words (a Status object). */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  /** Such as NotFound, AlreadyExists, Conflict, Invalid, Forbidden, Expired. */
  readonly reason: string;
  readonly retryAfterMs: number | undefined;

  constructor(options: { status: number; reason: string; message: string; retryAfterMs?: number | undefined }) {
    super(options.message);
    this.status = options.status;
    this.reason = options.reason;
    this.retryAfterMs = options.retryAfterMs;
  }
}

export function isApiError(thrown: unknown, ...statuses: number[]): thrown is ApiError {
  return thrown instanceof ApiError && (statuses.length === 0 || statuses.includes(thrown.status));
}

export interface Selection {
  namespace?: string | undefined;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
}

export interface Page {
  items: KubeObject[];
  resourceVersion: string;
  /** Where the next page begins; undefined on the last one. */
  next: string | undefined;
}

export type WatchEvent =
  | { type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK"; object: KubeObject }
  | { type: "ERROR"; object: { code?: number; reason?: string; message?: string } };

export interface Client {
  get(
    resource: Resource,
    at: { namespace?: string; name: string },
    signal: AbortSignal,
  ): Promise<KubeObject | undefined>;
  listPage(
    resource: Resource,
    options: Selection & { limit: number; next?: string | undefined },
    signal: AbortSignal,
  ): Promise<Page>;
  /** Ends when the server closes; throws ApiError, or what broke the connection. */
  watch(
    resource: Resource,
    options: Selection & { resourceVersion: string; timeoutSeconds: number; idleMs: number },
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent>;
  /** Server-side apply: sets the fields in `object` and drops those this manager set before and no longer has. */
  apply(
    resource: Resource,
    object: KubeObject,
    options: { fieldManager: string; force: boolean; subresource?: string },
    signal: AbortSignal,
  ): Promise<KubeObject>;
  create(resource: Resource, object: KubeObject, signal: AbortSignal): Promise<KubeObject>;
  /** Replaces the object; refused with 409 when its resourceVersion is not the newest. */
  replace(resource: Resource, object: KubeObject, signal: AbortSignal): Promise<KubeObject>;
  /** In the background, and only this very object; resolves also when it was gone already. */
  remove(resource: Resource, object: KubeObject, signal: AbortSignal): Promise<void>;
  close(): void;
}

const callLastsMs = 30_000;
const triesWhenBusy = 4;

interface Call {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  path: string;
  query?: Record<string, string | undefined>;
  body?: unknown;
  contentType?: string;
}

export function kubeClient(credentials: Credentials, options: { userAgent: string }): Client {
  const { server, tls } = credentials;
  const plain = server.protocol === "http:";
  const agentOptions = { keepAlive: true, keepAliveMsecs: 30_000, maxSockets: 64, scheduling: "lifo" as const };
  const agent = plain
    ? new http.Agent(agentOptions)
    : new https.Agent({
        ...agentOptions,
        ...(tls.ca && { ca: tls.ca }),
        ...(tls.cert && { cert: tls.cert }),
        ...(tls.key && { key: tls.key }),
        ...(tls.servername && { servername: tls.servername }),
        rejectUnauthorized: !tls.insecure,
      });

  /** Resolves with the head of the answer; the body is still to be read. */
  async function send(call: Call, signal: AbortSignal): Promise<http.IncomingMessage> {
    const query = Object.entries(call.query ?? {}).filter((pair): pair is [string, string] => pair[1] !== undefined);
    const path = `${server.pathname.replace(/\/$/, "")}${call.path}${query.length > 0 ? `?${new URLSearchParams(query)}` : ""}`;
    const payload = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body));
    const headers: Record<string, string | number> = {
      ...(await credentials.headers()),
      accept: "application/json",
      "user-agent": options.userAgent,
      ...(payload && {
        "content-type": call.contentType ?? "application/json",
        "content-length": payload.length,
      }),
    };
    signal.throwIfAborted();
    const attempt = () =>
      new Promise<http.IncomingMessage>((resolve, reject) => {
        const request = (plain ? http : https).request(
          {
            host: server.hostname.replace(/^\[|\]$/g, ""),
            port: server.port,
            path,
            method: call.method,
            headers,
            agent,
            signal,
          },
          resolve,
        );
        // A kept-alive connection that the server closed meanwhile: nothing was done, so the caller may try anew.
        request.on("error", (error) => reject(request.reusedSocket ? new StaleConnection(error) : error));
        request.end(payload);
      });
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof StaleConnection)) throw error;
        if (call.method === "POST" || signal.aborted) throw error.cause;
      }
    }
  }

  async function json<T>(call: Call, outer: AbortSignal): Promise<T> {
    for (let tries = 1; ; tries++) {
      const within = deadline(outer, callLastsMs, `${call.method} ${call.path}`);
      try {
        const response = await send(call, within.signal);
        const text = await readAll(response);
        if (isFine(response)) return JSON.parse(text) as T;
        const error = errorOf(response, text);
        if (error.status !== 429 || tries >= triesWhenBusy) throw error;
        await wait(error.retryAfterMs ?? 1_000, outer);
        outer.throwIfAborted();
      } catch (error) {
        throw within.reasonOr(error);
      } finally {
        within.end();
      }
    }
  }

  return {
    async get(resource, at, signal) {
      try {
        return await json<KubeObject>({ method: "GET", path: pathOf(resource, at) }, signal);
      } catch (error) {
        if (isApiError(error, 404)) return undefined;
        throw error;
      }
    },

    async listPage(resource, { namespace, labelSelector, fieldSelector, limit, next }, signal) {
      const query = { labelSelector, fieldSelector, limit: String(limit), continue: next };
      const path = pathOf(resource, { namespace });
      const list = await json<{ metadata: { resourceVersion: string; continue?: string }; items: KubeObject[] | null }>(
        { method: "GET", path, query },
        signal,
      );
      const apiVersion = resource.group === "" ? resource.version : `${resource.group}/${resource.version}`;
      const items = (list.items ?? []).map((item) => ({ ...item, apiVersion, kind: resource.kind }));
      return { items, resourceVersion: list.metadata.resourceVersion, next: list.metadata.continue || undefined };
    },

    async *watch(
      resource,
      { namespace, labelSelector, fieldSelector, resourceVersion, timeoutSeconds, idleMs },
      outer,
    ) {
      const path = pathOf(resource, { namespace });
      const query = {
        watch: "1",
        allowWatchBookmarks: "true",
        labelSelector,
        fieldSelector,
        resourceVersion,
        timeoutSeconds: String(timeoutSeconds),
      };
      const within = deadline(outer, idleMs, `watch ${path}`);
      let response: http.IncomingMessage | undefined;
      try {
        response = await send({ method: "GET", path, query }, within.signal);
        if (!isFine(response)) throw errorOf(response, await readAll(response));
        let rest = "";
        response.setEncoding("utf8");
        for await (const chunk of response as AsyncIterable<string>) {
          within.restart();
          const lines = (rest + chunk).split("\n");
          rest = lines.pop() ?? "";
          for (const line of lines) if (line.trim() !== "") yield JSON.parse(line) as WatchEvent;
        }
      } catch (error) {
        throw within.reasonOr(error);
      } finally {
        within.end();
        // A reader that goes away early takes the connection with it.
        if (response && !response.complete) response.destroy();
      }
    },

    apply(resource, object, { fieldManager, force, subresource }, signal) {
      const { namespace, name } = object.metadata;
      const path = pathOf(resource, { namespace, name, ...(subresource && { subresource }) });
      const query = { fieldManager, force: String(force), fieldValidation: "Strict" };
      return json({ method: "PATCH", path, query, body: object, contentType: "application/apply-patch+yaml" }, signal);
    },

    create(resource, object, signal) {
      return json(
        { method: "POST", path: pathOf(resource, { namespace: object.metadata.namespace }), body: object },
        signal,
      );
    },

    replace(resource, object, signal) {
      const { namespace, name } = object.metadata;
      return json({ method: "PUT", path: pathOf(resource, { namespace, name }), body: object }, signal);
    },

    async remove(resource, object, signal) {
      const { namespace, name, uid } = object.metadata;
      const body = {
        kind: "DeleteOptions",
        apiVersion: "v1",
        propagationPolicy: "Background",
        ...(uid && { preconditions: { uid } }),
      };
      try {
        await json({ method: "DELETE", path: pathOf(resource, { namespace, name }), body }, signal);
      } catch (error) {
        if (!isApiError(error, 404)) throw error;
      }
    },

    close() {
      agent.destroy();
    },
  };
}

class StaleConnection extends Error {
  override readonly cause: unknown;
  constructor(cause: unknown) {
    super("connection was closed while idle");
    this.cause = cause;
  }
}

const isFine = (response: http.IncomingMessage) => response.statusCode !== undefined && response.statusCode < 300;

async function readAll(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

function errorOf(response: http.IncomingMessage, text: string): ApiError {
  const status = response.statusCode ?? 0;
  const retryAfter = Number(response.headers["retry-after"]);
  const retryAfterMs = Number.isFinite(retryAfter) ? Math.min(retryAfter, 60) * 1_000 : undefined;
  try {
    const said = JSON.parse(text) as { message?: string; reason?: string };
    return new ApiError({ status, retryAfterMs, reason: said.reason ?? "Unknown", message: said.message ?? text });
  } catch {
    const words = text.slice(0, 200) || (response.statusMessage ?? "");
    return new ApiError({ status, retryAfterMs, reason: "Unknown", message: `HTTP ${status}: ${words}` });
  }
}

/** A signal that follows `outer` and also ends when nothing happened for `ms`. Neither leaks a listener nor a timer after `end`. */
function deadline(outer: AbortSignal, ms: number, what: string) {
  const inner = new AbortController();
  const follow = () => inner.abort(outer.reason);
  const expire = () => inner.abort(new Error(`${what}: nothing heard for ${ms / 1_000} s`));
  if (outer.aborted) follow();
  else outer.addEventListener("abort", follow, { once: true });
  const timer = setTimeout(expire, ms);
  return {
    signal: inner.signal,
    restart: () => timer.refresh(),
    reasonOr: (error: unknown) => (inner.signal.aborted ? inner.signal.reason : error),
    end: () => {
      clearTimeout(timer);
      outer.removeEventListener("abort", follow);
    },
  };
}
