/**
 * TXT records with their TTL, from the resolvers of this machine: Node's own resolver does not tell how long a TXT record holds. Resolvers
 * are asked in their order, each by UDP and, where the answer does not fit, by TCP.
 */
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import { messageOf } from "../../lib/text.ts";
import type { LookupTxt, TxtAnswer } from "../dkim/keys.ts";
import { parseTxtResponse, renderTxtQuery, type TxtResponse } from "./message.ts";

export interface TxtLookupOptions {
  /** As `getServers()` of node:dns gives them: "192.0.2.1", "192.0.2.1:5353", "[2001:db8::1]:5353". */
  servers: readonly string[];
  /** A whole number from 0 up to, not including, `below`; has to be hard to guess. */
  random: (below: number) => number;
  /** For one question to one server. */
  timeoutMs?: number;
  /** How often the servers are gone through. */
  rounds?: number;
}

interface Server {
  host: string;
  port: number;
}

interface Question {
  id: number;
  name: string;
  query: Buffer;
  timeoutMs: number;
}

export function createTxtLookup(options: TxtLookupOptions): LookupTxt {
  const { random, timeoutMs = 3000, rounds = 3 } = options;
  const servers = options.servers.map(parseServer);
  return async (name) => {
    let failed: TxtAnswer = { kind: "failed", why: "no name server is configured" };
    for (let round = 0; round < rounds; round++) {
      for (const server of servers) {
        const id = random(0x10000);
        const query = renderTxtQuery(id, name);
        if (!query) return { kind: "none", ttlSeconds: 0 };
        const answer = await askServer(server, { id, name, query, timeoutMs });
        if (answer.kind !== "failed") return answer;
        failed = answer;
      }
    }
    return failed;
  };
}

async function askServer(server: Server, question: Question): Promise<TxtAnswer> {
  try {
    const answer = await askByUdp(server, question);
    const whole = answer.kind === "truncated" ? await askByTcp(server, question) : answer;
    return whole.kind === "truncated" ? { kind: "failed", why: "name server cuts its answer short" } : whole;
  } catch (thrown) {
    return { kind: "failed", why: `name server: ${messageOf(thrown)}` };
  }
}

/** A new socket for each question has a port that can't be guessed; being connected, it takes packets from this server only. */
function askByUdp({ host, port }: Server, { id, name, query, timeoutMs }: Question): Promise<TxtResponse> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
    let ended = false;
    const end = (settle: () => void) => {
      if (ended) return;
      ended = true;
      clearTimeout(timer);
      socket.close();
      settle();
    };
    const timer = setTimeout(() => end(() => reject(new Error("no answer"))), timeoutMs);
    socket.on("error", (error) => end(() => reject(error)));
    socket.on("message", (bytes) => {
      try {
        const response = parseTxtResponse(bytes, { id, name });
        if (response) end(() => resolve(response));
      } catch (thrown) {
        end(() => reject(thrown));
      }
    });
    socket.connect(port, host, (error?: Error) => (error ? end(() => reject(error)) : socket.send(query)));
  });
}

function askByTcp({ host, port }: Server, { id, name, query, timeoutMs }: Question): Promise<TxtResponse> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host);
    const end = (settle: () => void) => {
      clearTimeout(timer);
      socket.destroy();
      settle();
    };
    const timer = setTimeout(() => end(() => reject(new Error("no answer by TCP"))), timeoutMs);
    let got = Buffer.alloc(0);
    socket.on("error", (error) => end(() => reject(error)));
    socket.on("close", () => end(() => reject(new Error("TCP connection ended early"))));
    socket.on("data", (chunk) => {
      got = Buffer.concat([got, chunk]);
      const size = got.length < 2 ? Number.POSITIVE_INFINITY : got.readUInt16BE(0);
      if (got.length < 2 + size) return;
      try {
        const response = parseTxtResponse(got.subarray(2, 2 + size), { id, name });
        end(() => (response ? resolve(response) : reject(new Error("answer to another question"))));
      } catch (thrown) {
        end(() => reject(thrown));
      }
    });
    const size = Buffer.alloc(2);
    size.writeUInt16BE(query.length);
    socket.write(Buffer.concat([size, query]));
  });
}

function parseServer(text: string): Server {
  const match = /^\[(.+)\]:([0-9]+)$/.exec(text) ?? /^([0-9.]+):([0-9]+)$/.exec(text);
  return match
    ? { host: match[1] as string, port: Number(match[2]) }
    : { host: text.replace(/^\[|\]$/g, ""), port: 53 };
}
