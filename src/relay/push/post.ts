/** One request to the push service. */
import { lookup } from "node:dns";
import { Agent, request } from "node:https";
import { codeOf } from "../../lib/text.ts";
import type { MayConnect } from "../../pod/networks.ts";
import { allowedLookup, PeerRefused, requireAllowed } from "../https/allowed-lookup.ts";
import { workersFor } from "./policy.ts";

const timeoutMs = 60_000;

export interface PushServiceOptions {
  url: string;
  /** For each address of the service, whenever a connection begins. */
  mayConnect: MayConnect;
  /** None of its addresses may be connected to: nothing will be pushed until that changes. */
  onRefused: () => void;
}

export interface PushService {
  /** Status of the service's answer; a redirect is not followed. Throws when there is none. */
  post: (token: string, signal: AbortSignal) => Promise<number>;
  close: () => void;
}

/** Posts tokens, over connections that are kept for the next. */
export function pushService({ url, mayConnect, onRefused }: PushServiceOptions): PushService {
  const maxSockets = workersFor.reduce((sum, each) => sum + each, 0);
  const allowed = allowedLookup(lookup, mayConnect);
  const agent = new Agent({ keepAlive: true, maxSockets, lookup: allowed });
  const post = async (token: string, signal: AbortSignal): Promise<number> => {
    requireAllowed(new URL(url).hostname, mayConnect);
    const within = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const first = await postOnce({ url, token, agent, signal: within });
    // the other end had closed an idle connection: that says nothing about the service
    const second = first === "stale" ? await postOnce({ url, token, agent, signal: within }) : first;
    if (second === "stale") throw new Error("connection closed");
    return second;
  };
  const noted = (token: string, signal: AbortSignal) =>
    post(token, signal).catch((thrown) => {
      if (thrown instanceof PeerRefused) onRefused();
      throw thrown;
    });
  return { post: noted, close: () => agent.destroy() };
}

function postOnce(options: {
  url: string;
  token: string;
  agent: Agent;
  signal: AbortSignal;
}): Promise<number | "stale"> {
  const { url, token, agent, signal } = options;
  return new Promise((resolve, reject) => {
    const headers = { "Content-Type": "text/plain", "Content-Length": Buffer.byteLength(token) };
    const asking = request(url, { method: "POST", agent, signal, headers }, (response) => {
      response.on("error", reject);
      response.on("end", () => resolve(response.statusCode ?? 0));
      response.resume();
    });
    asking.on("error", (thrown) => {
      if (asking.reusedSocket && codeOf(thrown) === "ECONNRESET") resolve("stale");
      else reject(thrown);
    });
    asking.end(token);
  });
}
