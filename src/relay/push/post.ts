/** One request to the push service. */
import { Agent, request } from "node:https";
import { codeOf } from "../files.ts";
import { workersFor } from "./policy.ts";

const timeoutMs = 60_000;

/** Posts tokens to `url`, over connections that are kept for the next. */
export function pushService(url: string): { post(token: string, signal: AbortSignal): Promise<number>; close(): void } {
  const maxSockets = workersFor.reduce((sum, each) => sum + each, 0);
  const agent = new Agent({ keepAlive: true, maxSockets });
  const post = async (token: string, signal: AbortSignal): Promise<number> => {
    const within = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const first = await postOnce({ url, token, agent, signal: within });
    // the other end had closed a connection at rest: that says nothing about the service
    const second = first === "stale" ? await postOnce({ url, token, agent, signal: within }) : first;
    if (second === "stale") throw new Error("connection closed");
    return second;
  };
  return { post, close: () => agent.destroy() };
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
