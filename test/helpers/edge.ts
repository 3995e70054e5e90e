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
import { folders } from "../../src/pod/layout.ts";
import { missingPackages } from "../lab/packages.ts";
import { accepts } from "./accepts.ts";
import { freePorts } from "./free-port.ts";
import { LineSocket } from "./line-socket.ts";
import type { RelayPod } from "./relay-pod.ts";
import { edgePackages } from "./suite-packages.ts";
import { patienceMs, until } from "./until.ts";

/** Why it can't run here; undefined where it can. */
export function edgeIsMissing(): string | undefined {
  const missing = missingPackages(edgePackages);
  return missing.length === 0 || process.env.REQUIRE_ALL === "1"
    ? undefined
    : `these packages are not installed: ${missing.join(" ")}`;
}

export interface EdgePorts {
  https: { host: string; port: number };
  http: { host: string; port: number };
}

export interface Edge extends EdgePorts {
  stop(): Promise<void>;
}

/** `client`: the address that its clients have, as if they were elsewhere. */
export async function startEdge(to: { host: string; domain: string; client: string }): Promise<Edge> {
  const host = "127.0.0.1";
  const [https = 0, http = 0] = await freePorts(2);
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

/** What comes to a relay through an edge. */
export function throughEdge({ https, http }: EdgePorts, pod: Pick<RelayPod, "domain" | "exec">) {
  const { domain } = pod;
  const secure = (alpn: string, from?: string) =>
    LineSocket.open(
      { ...https, servername: domain, ...(from !== undefined && { localAddress: from }) },
      { alpn: [alpn] },
    );
  const firstLine = async (socket: LineSocket, question = "") => {
    socket.write(question);
    const line = await socket.line();
    socket.destroy();
    return line;
  };
  const get = (path: string, host: string) => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  const imap = async (user: string, password: string, from?: string) => {
    const socket = await secure("imap", from);
    const command = async (tag: string, text: string) => {
      socket.write(`${tag} ${text}\r\n`);
      for (;;) {
        const line = await socket.line();
        if (line.startsWith(`${tag} `)) return line;
      }
    };
    if (!/^[*] OK/.test(await socket.line())) throw new Error("no IMAP");
    const answer = await command("a", `LOGIN ${user} "${password}"`);
    if (!answer.startsWith("a OK")) throw new Error(answer);
    return { command, socket };
  };
  return {
    /** The first line of what answers at port 443 by this protocol. */
    greeting: async (alpn: "http/1.1" | "smtp" | "imap") =>
      firstLine(await secure(alpn), alpn === "http/1.1" ? get("/", domain) : ""),
    /** The first line of what answers at port 80. */
    plain: async (path: string, host = domain) => firstLine(await LineSocket.open(http, undefined), get(path, host)),
    /** A session that is logged in. */
    imap,
    /**
     * Addresses of those who are logged in, as Dovecot knows them, one who comes now among them.
     */
    async whoIsIn(user: string, password: string, from?: string): Promise<string> {
      const { socket } = await imap(user, password, from);
      const who = await pod.exec("dovecot", "doveadm", "-c", `${folders.dovecotConfig}/dovecot.conf`, "who");
      socket.destroy();
      return who;
    },
  };
}
