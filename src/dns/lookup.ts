/**
 * Records from the resolvers of this machine, with what Node's own resolver does not tell: how long
 * they hold, and whether the resolver has validated them. Resolvers are asked in their order, each
 * by UDP and, where the answer does not fit, by TCP.
 */
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import { messageOf } from "../lib/text.ts";
import {
  type DnsAnswer,
  type DnsQuestion,
  type DnsResponse,
  parseResponse,
  type RecordType,
  renderQuery,
} from "./message.ts";

/** Asks the DNS; never rejects. */
export type Lookup = <Type extends RecordType>(name: string, type: Type) => Promise<DnsAnswer<Type>>;

export interface LookupOptions {
  /**
   * As `getServers()` of node:dns gives them: "192.0.2.1", "192.0.2.1:5353", "[2001:db8::1]:5353".
   */
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

interface Asking<Type extends RecordType> {
  question: DnsQuestion<Type>;
  query: Buffer;
  timeoutMs: number;
}

export function createLookup(options: LookupOptions): Lookup {
  const { random, timeoutMs = 3000, rounds = 3 } = options;
  const servers = options.servers.map(parseServer);
  return async (name, type) => {
    let failed: DnsAnswer<typeof type> = { kind: "failed", why: "no name server is configured" };
    for (let round = 0; round < rounds; round++) {
      for (const server of servers) {
        const question = { id: random(0x10000), name, type };
        const query = renderQuery(question);
        if (!query) return { kind: "none", secure: false, ttlSeconds: 0 };
        const answer = await askServer(server, { question, query, timeoutMs });
        if (answer.kind !== "failed") return answer;
        failed = answer;
      }
    }
    return failed;
  };
}

async function askServer<Type extends RecordType>(server: Server, asking: Asking<Type>): Promise<DnsAnswer<Type>> {
  try {
    const answer = await askByUdp(server, asking);
    const whole = answer.kind === "truncated" ? await askByTcp(server, asking) : answer;
    return whole.kind === "truncated" ? { kind: "failed", why: "name server cuts its answer short" } : whole;
  } catch (thrown) {
    return { kind: "failed", why: `name server: ${messageOf(thrown)}` };
  }
}

/**
 * A new socket for each question has a port that can't be guessed; being connected, it takes
 * packets from this server only.
 */
function askByUdp<Type extends RecordType>(
  { host, port }: Server,
  { question, query, timeoutMs }: Asking<Type>,
): Promise<DnsResponse<Type>> {
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
        const response = parseResponse(bytes, question);
        if (response) end(() => resolve(response));
      } catch (thrown) {
        end(() => reject(thrown));
      }
    });
    socket.connect(port, host, (error?: Error) => (error ? end(() => reject(error)) : socket.send(query)));
  });
}

function askByTcp<Type extends RecordType>(
  { host, port }: Server,
  { question, query, timeoutMs }: Asking<Type>,
): Promise<DnsResponse<Type>> {
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
        const response = parseResponse(got.subarray(2, 2 + size), question);
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
