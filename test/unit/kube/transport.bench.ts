/**
 * `node test/unit/kube/transport.bench.ts`: our transport (node:https, one agent) beside undici's
 * Pool with HTTP/1.1 and with HTTP/2, against a real API server. Says calls a second, processor
 * time of this process for each call, and connections' cost in memory.
 */
import { Pool } from "undici";
import { kubeClient } from "../../../src/kube/client.ts";
import { resources } from "../../../src/kube/kinds.ts";
import { startApiServer } from "../../helpers/api-server.ts";

const calls = 3_000;
const server = await startApiServer();
const at = { namespace: "default", name: "measured" };
const path = `/api/v1/namespaces/${at.namespace}/configmaps/${at.name}`;
const data = Object.fromEntries(Array.from({ length: 40 }, (_, nth) => [`key-${nth}`, "x".repeat(100)]));
await server.request("POST", "/api/v1/namespaces/default/configmaps", { metadata: { name: at.name }, data });

const signal = new AbortController().signal;
const client = kubeClient(server.credentials(), { userAgent: "bench" });
const pool = (allowH2: boolean) =>
  new Pool(server.url.origin, {
    allowH2,
    connections: allowH2 ? 1 : 32,
    pipelining: allowH2 ? 100 : 1,
    connect: { ca: server.tls.cert },
  });
const through = (from: Pool) => async () => {
  const headers = { authorization: `Bearer ${server.token}`, accept: "application/json" };
  const { statusCode, body } = await from.request({ method: "GET", path, headers, signal });
  if (statusCode !== 200) throw new Error(`HTTP ${statusCode}`);
  JSON.parse(await body.text());
};
const [http1, http2] = [pool(false), pool(true)];
const ways = {
  "node:https, one agent": async () => void (await client.get(resources.configMap, at, signal)),
  "undici Pool, HTTP/1.1": through(http1),
  "undici Pool, HTTP/2": through(http2),
};

async function measure(call: () => Promise<void>, atOnce: number): Promise<{ perSecond: number; cpuMs: number }> {
  let left = calls;
  const startedAt = performance.now();
  const cpu = process.cpuUsage();
  const work = async () => {
    while (left-- > 0) await call();
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: calls / ((performance.now() - startedAt) / 1_000), cpuMs: (user + system) / 1_000 / calls };
}

try {
  for (const call of Object.values(ways)) for (let warm = 0; warm < 500; warm++) await call();
  for (const atOnce of [1, 32])
    for (let round = 0; round < 3; round++)
      for (const [name, call] of Object.entries(ways)) {
        const { perSecond, cpuMs } = await measure(call, atOnce);
        console.log(
          `${String(atOnce).padStart(2)} at once  ${name.padEnd(24)} ${perSecond.toFixed(0).padStart(5)} calls/s ${cpuMs.toFixed(3)} ms CPU`,
        );
      }
} finally {
  client.close();
  await Promise.all([http1.close(), http2.close()]);
  await server.stop();
}
