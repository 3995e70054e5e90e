/**
 * Runs a command in a container, over a WebSocket (v5.channel.k8s.io, or v4, which can't say that
 * the input has ended).
 */
import { WebSocket } from "ws";
import { whenAborted } from "../lib/aborted.ts";
import { ApiError, apiErrorOf } from "./api-error.ts";
import type { Credentials } from "./credentials.ts";
import { resources } from "./kinds.ts";
import { pathOf } from "./object.ts";

export interface Ran {
  /** Of the command; 0 where it went well. */
  code: number;
  stdout: string;
  stderr: string;
}

/** First octet of each message. */
const channels = { stdout: 1, stderr: 2, status: 3 } as const;

/** What it writes is kept whole, so it has to be little. */
const mostBytes = 16 * 2 ** 20;

/** For a command that is written to, and whose output is more than is kept (exec-stream.ts). */
export interface Taps {
  opened(socket: WebSocket): void;
  output(chunk: Buffer): void;
}

/**
 * Throws ApiError where the API server refuses, or where the command could not be started, and what
 * broke the connection.
 */
export async function execIn(
  credentials: Credentials,
  at: { namespace: string; pod: string; container: string },
  command: readonly string[],
  signal: AbortSignal,
  taps?: Taps,
): Promise<Ran> {
  const { server, tls } = credentials;
  const path = pathOf(resources.pod, { namespace: at.namespace, name: at.pod, subresource: "exec" });
  const query = new URLSearchParams({ container: at.container, stdout: "true", stderr: "true" });
  if (taps) query.set("stdin", "true");
  for (const word of command) query.append("command", word);
  const url = new URL(`${server.pathname.replace(/\/$/, "")}${path}?${query.toString()}`, server);
  url.protocol = server.protocol === "http:" ? "ws:" : "wss:";
  const { insecure, ...identity } = tls;
  const headers = (await credentials.headers()) as Record<string, string>;
  signal.throwIfAborted();
  return new Promise<Ran>((resolve, reject) => {
    const socket = new WebSocket(url, ["v5.channel.k8s.io", "v4.channel.k8s.io"], {
      ...identity,
      headers,
      rejectUnauthorized: !insecure,
      handshakeTimeout: 30_000,
      maxPayload: mostBytes,
    });
    const written = { [channels.stdout]: [] as Buffer[], [channels.stderr]: [] as Buffer[] };
    let bytes = 0;
    let status: ExecStatus | undefined;
    const forget = whenAborted(signal, () => {
      socket.terminate();
      reject(signal.reason as Error);
    });
    socket.on("unexpected-response", (_, response) => {
      const chunks: Buffer[] = [];
      const connection = response.socket;
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        forget();
        const text = Buffer.concat(chunks).toString();
        reject(apiErrorOf({ status: response.statusCode ?? 0, statusText: response.statusMessage, text }));
        // the API server keeps it for 90 s, and with it this process
        connection.destroy();
      });
    });
    if (taps) socket.on("open", () => taps.opened(socket));
    socket.on("message", (data: Buffer) => {
      const [channel] = data;
      const rest = data.subarray(1);
      if (taps && channel === channels.stdout) return taps.output(rest);
      bytes += rest.length;
      if (bytes > mostBytes) {
        socket.terminate();
        reject(new Error(`${command[0]} in ${at.pod} writes more than ${mostBytes} bytes`));
      } else if (channel === channels.stdout || channel === channels.stderr) written[channel].push(rest);
      else if (channel === channels.status) status = JSON.parse(rest.toString()) as ExecStatus;
    });
    socket.on("error", (error) => {
      forget();
      reject(error);
    });
    socket.on("close", () => {
      forget();
      const stdout = Buffer.concat(written[channels.stdout]).toString();
      const stderr = Buffer.concat(written[channels.stderr]).toString();
      const code = status && exitCodeOf(status);
      if (code !== undefined) resolve({ code, stdout, stderr });
      else if (status)
        reject(new ApiError({ status: 500, reason: status.reason ?? "Unknown", message: status.message ?? "" }));
      else reject(new Error(`the connection to ${at.pod} ended before the command did`));
    });
  });
}

export interface ExecStatus {
  status?: string;
  reason?: string;
  message?: string;
  details?: { causes?: { reason?: string; message?: string }[] };
}

/** Undefined where the command did not run. */
export function exitCodeOf({ status, reason, details }: ExecStatus): number | undefined {
  if (status === "Success") return 0;
  const cause = details?.causes?.find((each) => each.reason === "ExitCode");
  return reason === "NonZeroExitCode" && cause ? Number(cause.message) : undefined;
}
