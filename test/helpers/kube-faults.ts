/**
 * What goes wrong between a store and a real API server: the list that tests go through one by one
 * and the soak at random.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type ApiServer, uncachedPlural } from "./api-server.ts";
import type { FaultProxy } from "./fault-proxy.ts";
import type { kinds } from "./kube-ledger.ts";

export interface Ground {
  proxy: FaultProxy;
  server: ApiServer;
}

export interface Fault {
  fault: string;
  inject: (ground: Ground) => Promise<void> | void;
  /** How long it lasts before all is healed. */
  lastsMs?: number;
  plural?: keyof typeof kinds;
  /**
   * The server can't tell what happened meanwhile, so later versions may stand for earlier ones.
   */
  gap?: true;
  /** TLS goes through to the API server itself, as does HTTP/2. */
  onlyConnections?: true;
  /** Seconds of their own, or a call that is given up only after half a minute. */
  slow?: true;
}

const always =
  (status: number, reason: string, headers: Record<string, string> = {}) =>
  ({ proxy }: Ground) => {
    proxy.answer(() => ({ status, reason, headers }));
    proxy.endWatches();
  };
/** What a server says in a watch that asked for a past it no longer has. */
export const gone =
  '{"type":"ERROR","object":{"kind":"Status","status":"Failure","reason":"Expired","code":410,"message":"too old"}}';
const internal = '{"type":"ERROR","object":{"kind":"Status","status":"Failure","reason":"InternalError","code":500}}';

export const faults: readonly Fault[] = [
  { fault: "reset", inject: ({ proxy }) => proxy.reset() },
  { fault: "reset, TLS end to end", inject: ({ proxy }) => proxy.reset(), onlyConnections: true },
  { fault: "reset, five times in a second", inject: ({ proxy }) => often(5, () => proxy.reset()), lastsMs: 0 },
  { fault: "half-close", inject: ({ proxy }) => proxy.halfClose() },
  { fault: "half-close, TLS end to end", inject: ({ proxy }) => proxy.halfClose(), onlyConnections: true },
  { fault: "black hole", inject: ({ proxy }) => proxy.blackHole(), slow: true },
  { fault: "black hole, TLS end to end", inject: ({ proxy }) => proxy.blackHole(), onlyConnections: true },
  {
    fault: "a list swallowed by a black hole",
    slow: true,
    async inject({ proxy }) {
      proxy.sayInWatches(gone);
      await sleep(50);
      // Before the next list is asked for: its connection stays dead for ever.
      proxy.blackHole();
    },
    gap: true,
    lastsMs: 1_500,
  },
  { fault: "slow drip", inject: ({ proxy }) => proxy.drip(40, 20), lastsMs: 1_500 },
  { fault: "410 as an answer", inject: always(410, "Expired"), lastsMs: 0, gap: true },
  { fault: "410 in the stream", inject: ({ proxy }) => proxy.sayInWatches(gone), lastsMs: 0, gap: true },
  { fault: "500 in the stream", inject: ({ proxy }) => proxy.sayInWatches(internal), lastsMs: 0, gap: true },
  { fault: "429 with Retry-After", inject: always(429, "TooManyRequests", { "retry-after": "1" }) },
  { fault: "500 as an answer", inject: always(500, "InternalError") },
  { fault: "503 as an answer", inject: always(503, "ServiceUnavailable") },
  {
    fault: "truncated JSON in a watch",
    inject: ({ proxy }) => proxy.truncate(0.6),
    lastsMs: 800,
  },
  {
    fault: "truncated JSON in a list",
    async inject({ proxy }) {
      proxy.sayInWatches(gone);
      proxy.truncate(0.6);
    },
    gap: true,
    lastsMs: 800,
  },
  { fault: "bytes lost mid-line", inject: ({ proxy }) => proxy.swallow(700), lastsMs: 500 },
  { fault: "bytes lost mid-line, once more after recovery", inject: ({ proxy }) => often(3, () => proxy.swallow(900)) },
  { fault: "a line that is no JSON", inject: ({ proxy }) => proxy.sayInWatches("<html>gateway</html>"), lastsMs: 0 },
  { fault: "watches ended by the server", inject: ({ proxy }) => proxy.endWatches(), lastsMs: 0 },
  {
    fault: "etcd compaction under a watch",
    plural: uncachedPlural,
    gap: true,
    async inject({ proxy, server }) {
      proxy.answer(() => ({ status: 503, reason: "ServiceUnavailable" }));
      proxy.reset();
      await sleep(700);
      await server.compact();
    },
    lastsMs: 0,
  },
  {
    fault: "API server killed and started",
    slow: true,
    gap: true,
    async inject({ server }) {
      await server.kill();
      await server.start();
    },
    lastsMs: 0,
  },
];

async function often(times: number, what: () => void) {
  for (let each = 0; each < times; each++) {
    what();
    await sleep(200);
  }
}

/**
 * Fit to follow each other in any order: on one kind, through both layers of the proxy, and over in
 * a moment.
 */
export const mixable = faults.filter(({ plural, onlyConnections, slow }) => !plural && !onlyConnections && !slow);
