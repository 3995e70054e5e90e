/**
 * Records from the resolvers of this machine, with what Node's own resolver does not tell: how long
 * they hold, and whether the resolver has validated them. Resolvers are asked in their order, each
 * by UDP and, where the answer does not fit, by TCP.
 */
import { messageOf } from "../lib/text.ts";
import { askByTcp, askByUdp, type NameServer, parseServer } from "./exchange.ts";
import { type DnsAnswer, type DnsQuestion, parseResponse, type RecordType, renderQuery } from "./message.ts";

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

async function askServer<Type extends RecordType>(
  server: NameServer,
  { question, query, timeoutMs }: { question: DnsQuestion<Type>; query: Buffer; timeoutMs: number },
): Promise<DnsAnswer<Type>> {
  const asking = { query, timeoutMs, read: (bytes: Buffer) => parseResponse(bytes, question) };
  try {
    const answer = await askByUdp(server, asking);
    const whole = answer.kind === "truncated" ? await askByTcp(server, asking) : answer;
    return whole.kind === "truncated" ? { kind: "failed", why: "name server cuts its answer short" } : whole;
  } catch (thrown) {
    return { kind: "failed", why: `name server: ${messageOf(thrown)}` };
  }
}
