/**
 * HTTP to the API server over kept-alive connections. A connection that the server closed while it
 * was idle is replaced; "later" (429, or 5xx with Retry-After) is obeyed; a refused token is read
 * again. Everything else is the caller's to judge.
 */
import type http from "node:http";
import { whenAborted } from "../lib/aborted.ts";
import { DeadlineError, deadline } from "../lib/deadline.ts";
import { LineReader } from "../lib/lines.ts";
import type { Counter } from "../lib/metrics.ts";
import { shared } from "../lib/shared.ts";
import { wait } from "../lib/wait.ts";
import { ApiError, apiErrorOf } from "./api-error.ts";
import { agentFor, attempt } from "./attempt.ts";
import type { Credentials, IdentityHeaders } from "./credentials.ts";
import { afterAttempt, pauseAfter } from "./retry.ts";

export interface Call {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  path: string;
  /** What is counted: get, list, watch, apply …, of which plural. */
  verb: string;
  resource: string;
  query?: Record<string, string | undefined>;
  body?: unknown;
  contentType?: string;
  accept?: string | undefined;
  /**
   * Given up when nothing is heard for so long, where that is shorter than what holds for all
   * calls.
   */
  silenceMs?: number | undefined;
  /** Goes also while others use all connections. */
  urgent?: boolean;
}

export interface Transport {
  /** `told` gets what is known of the answer itself. */
  json: <T>(call: Call, signal: AbortSignal, told?: Told) => Promise<T>;
  /**
   * The lines of an answer that goes on; ends when the server closes it, throws when nothing is
   * heard for `idleMs`.
   */
  lines: (call: Call, options: { idleMs: number }, signal: AbortSignal) => AsyncGenerator<string>;
  close: () => void;
}

/** How long the text of an answer is, and the server's own time, where it names that. */
type Told = (answer: { bytes: number; date: string | undefined }) => void;

const patience = {
  connectMs: 5_000,
  /** Until an answer begins, and between two pieces of it. */
  silenceMs: 30_000,
  /** All tries of one call together. */
  callMs: 120_000,
  /** Calls at once; watches have connections of their own. */
  connections: 32,
};

/** Far above what etcd can hold: a stream without line ends is not kept forever. */
const longestLineBytes = 64 * 2 ** 20;

export function transport(
  credentials: Credentials,
  options: { userAgent: string; requests: Counter; connectMs?: number },
): Transport {
  const { server } = credentials;
  const { requests, userAgent, connectMs = patience.connectMs } = options;
  const calls = agentFor(credentials, patience.connections);
  const unlimited = agentFor(credentials, Number.POSITIVE_INFINITY);
  const root = server.pathname.replace(/\/$/, "");

  const renewed = shared(() => credentials.headers({ refused: true }), patience.silenceMs);
  /**
   * Who we are, again when the server has refused `refused`. Many who are refused at once ask for
   * one new token.
   */
  async function identity(refused: IdentityHeaders | undefined): Promise<IdentityHeaders> {
    const known = await credentials.headers();
    if (refused === undefined || known.authorization !== refused.authorization) return known;
    return renewed();
  }

  function headersFor(call: Call, payload: Buffer | undefined, who: IdentityHeaders) {
    return {
      ...who,
      accept: call.accept ?? "application/json",
      "user-agent": userAgent,
      ...(payload && { "content-type": call.contentType ?? "application/json", "content-length": payload.length }),
    };
  }

  /** Resolves with the head of the answer; the body is still to be read. */
  async function send(call: Call, agent: http.Agent, signal: AbortSignal): Promise<http.IncomingMessage> {
    const { method } = call;
    const query = Object.entries(call.query ?? {}).filter((pair): pair is [string, string] => pair[1] !== undefined);
    const path = `${root}${call.path}${query.length > 0 ? `?${new URLSearchParams(query).toString()}` : ""}`;
    const payload = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body));
    let refused: IdentityHeaders | undefined;
    for (;;) {
      // A plugin or a file that does not answer must not hold whoever no longer waits.
      const who = await unlessAborted(identity(refused), signal);
      const sent = { method, path, headers: headersFor(call, payload, who), payload, agent, signal };
      const attempted = await attempt(credentials, sent, connectMs).catch((error: unknown) => {
        if (!signal.aborted || signal.reason instanceof DeadlineError) count(call, "error");
        throw error;
      });
      if (attempted.is === "answered") count(call, String(attempted.status));
      const tokenRenewed = refused !== undefined;
      const follows = afterAttempt(attempted, { method, tokenRenewed, aborted: signal.aborted });
      if (follows === "again with a new token") refused = who;
      if (attempted.is === "answered") {
        if (follows === "give") return attempted.response;
        attempted.response.resume();
      } else if (follows === "give") throw attempted.error;
    }
  }

  const count = ({ method, verb, resource }: Call, code: string) => requests.add({ code, method, verb, resource });

  async function once<T>(call: Call, outer: AbortSignal, told?: Told): Promise<T> {
    const within = deadline(
      outer,
      Math.min(patience.silenceMs, call.silenceMs ?? Number.POSITIVE_INFINITY),
      `${call.method} ${call.path}`,
    );
    try {
      const response = await send(call, call.urgent ? unlimited : calls, within.signal);
      const text = await readAll(response, () => within.restart());
      if (!isFine(response)) throw errorOf(response, text);
      told?.({ bytes: text.length, date: response.headers.date });
      return parsed<T>(text, response);
    } catch (error) {
      throw within.reasonOr(error);
    } finally {
      within.end();
    }
  }

  return {
    async json<T>(call: Call, outer: AbortSignal, told?: Told): Promise<T> {
      const endsAt = performance.now() + patience.callMs;
      for (let tries = 1; ; tries++) {
        try {
          return await once<T>(call, outer, told);
        } catch (error) {
          const pauseMs = pauseAfter(error, { tries, leftMs: endsAt - performance.now() });
          if (pauseMs === undefined) throw error;
          // Those who were sent away together do not come back together.
          await wait(pauseMs * (1 + Math.random() * 0.2), outer);
          outer.throwIfAborted();
        }
      }
    },

    async *lines(call, { idleMs }, outer) {
      const within = deadline(outer, Math.min(patience.silenceMs, idleMs), `${call.verb} ${call.path}`);
      let response: http.IncomingMessage | undefined;
      try {
        response = await send(call, unlimited, within.signal);
        if (!isFine(response)) throw errorOf(response, await readAll(response, () => within.restart()));
        within.restart(idleMs);
        const reader = new LineReader(longestLineBytes);
        for await (const chunk of response as AsyncIterable<Buffer>) {
          within.restart();
          // a line that is blank says only that the connection is alive
          yield* reader
            .push(chunk)
            .map(String)
            .filter((line) => line.trim() !== "");
        }
      } catch (error) {
        throw within.reasonOr(error);
      } finally {
        within.end();
        // A reader that goes away early takes the connection with it.
        if (response && !response.complete) response.destroy();
      }
    },

    close() {
      calls.destroy();
      unlimited.destroy();
    },
  };
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const forget = whenAborted(signal, () => reject(signal.reason as Error));
    promise.then(resolve, reject).finally(forget);
  });
}

const isFine = (response: http.IncomingMessage) => response.statusCode !== undefined && response.statusCode < 300;

async function readAll(response: http.IncomingMessage, heard: () => void): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) {
    heard();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function errorOf(response: http.IncomingMessage, text: string): ApiError {
  return apiErrorOf({
    status: response.statusCode ?? 0,
    statusText: response.statusMessage,
    retryAfter: response.headers["retry-after"],
    date: response.headers.date,
    text,
  });
}

function parsed<T>(text: string, response: http.IncomingMessage): T {
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    const message = `HTTP ${response.statusCode} with an answer that is no JSON (${text.length} characters)`;
    throw Object.assign(new ApiError({ status: 502, reason: "BrokenAnswer", message }), { cause });
  }
}
