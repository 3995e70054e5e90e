/**
 * HAProxy (Debian's package) as an edge that has the ports 80 and 443 of a node: TLS is passed on
 * by the name in it with a PROXY header of version 2, HTTP by its Host without one, as Traefik
 * does.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { missingPackages } from "../lab/packages.ts";
import { accepts } from "./accepts.ts";
import { freePort } from "./free-port.ts";
import { edgePackages } from "./suite-packages.ts";
import { patienceMs, until } from "./until.ts";

/** Why it can't run here; undefined where it can. */
export function edgeIsMissing(): string | undefined {
  const missing = missingPackages(edgePackages);
  return missing.length === 0 || process.env.REQUIRE_ALL === "1"
    ? undefined
    : `these packages are not installed: ${missing.join(" ")}`;
}

export interface Edge {
  https: { host: string; port: number };
  http: { host: string; port: number };
  stop(): Promise<void>;
}

/** `client`: the address that its clients have, as if they were elsewhere. */
export async function startEdge(to: { host: string; domain: string; client: string }): Promise<Edge> {
  const host = "127.0.0.1";
  const [https, http] = [await freePort(), await freePort()];
  const folder = mkdtempSync(join(tmpdir(), "edge-"));
  const file = join(folder, "haproxy.cfg");
  writeFileSync(
    file,
    `defaults
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend tls
  mode tcp
  bind ${host}:${https}
  tcp-request connection set-src ipv4(${to.client})
  tcp-request inspect-delay 5s
  tcp-request content accept if { req.ssl_hello_type 1 }
  use_backend tls if { req.ssl_sni -i ${to.domain} }
backend tls
  mode tcp
  server relay ${to.host}:443 send-proxy-v2
frontend http
  mode http
  bind ${host}:${http}
  use_backend http if { hdr(host) -i ${to.domain} }
backend http
  mode http
  server relay ${to.host}:80
`,
  );
  const child = spawn("haproxy", ["-db", "-f", file], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (text) => (said += text));
  const ended = once(child, "exit");
  await until(
    "HAProxy to listen",
    async () => {
      if (child.exitCode !== null) throw new Error(`HAProxy ended: ${said}`);
      return (await accepts(host, https)) && (await accepts(host, http));
    },
    { patienceMs: patienceMs.client },
  );
  return {
    https: { host, port: https },
    http: { host, port: http },
    async stop() {
      child.kill("SIGKILL");
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
