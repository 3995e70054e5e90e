/** /healthz, /readyz and /metrics of the operator. */
import { createServer, type Server } from "node:http";

export interface Health {
  /**
   * Whether the stores hold the cluster: a pod that can't list must not take over from one that
   * can.
   */
  ready(): boolean;
  /** In Prometheus' text form. */
  metrics(): string;
}

export async function serveHealth(port: number, health: Health): Promise<Server> {
  const server = createServer((request, response) => {
    const answer = (status: number, text: string, type = "text/plain; charset=utf-8") => {
      response.writeHead(status, { "content-type": type });
      response.end(text);
    };
    if (request.url === "/healthz") return answer(200, "ok\n");
    if (request.url === "/readyz")
      return health.ready() ? answer(200, "ok\n") : answer(503, "not all watches have answered\n");
    if (request.url === "/metrics") return answer(200, health.metrics(), "text/plain; version=0.0.4; charset=utf-8");
    answer(404, "not found\n");
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, resolve);
  });
  return server;
}
