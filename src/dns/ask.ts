/** One question to one name server, or what is wrong with the server. */
import { askByTcp, askByUdp, type NameServer } from "./exchange.ts";
import { type Question, type Reply, readReply } from "./query.ts";
import { renderQuestion } from "./question.ts";
import { DnsFormatError } from "./wire.ts";

export type ServerFault =
  | "unreachable"
  /** No answer in time. */
  | "silent"
  | "refusing"
  | "failing"
  /** It does not serve the zone that it is named for. */
  | "lame"
  /** Its answer does not fit a packet, and it gives none by TCP. */
  | "truncated"
  | "garbled";

export type Asked = { reply: Reply } | { fault: ServerFault; says: string };

export interface AskOptions {
  random: (below: number) => number;
  timeoutMs: number;
  /** How often it is asked by UDP: a packet may be lost. */
  tries: number;
}

/** Never rejects. */
export async function askServer(
  server: NameServer,
  of: Omit<Question, "id">,
  { random, timeoutMs, tries }: AskOptions,
): Promise<Asked> {
  const questioned = () => {
    const asked = { ...of, id: random(0x10000) };
    return { query: renderQuestion(asked), read: (bytes: Buffer) => readReply(bytes, asked), timeoutMs };
  };
  let last: Asked = { fault: "silent", says: "it was not asked" };
  for (let tried = 0; tried < tries; tried++) {
    try {
      const reply = await askByUdp(server, questioned());
      if (!reply.truncated) return judged(reply);
      return await askByTcp(server, questioned()).then(judged, (thrown: unknown) => ({
        fault: "truncated" as const,
        says: `its answer by UDP is truncated, and no answer comes by TCP (${textOf(thrown)}): open port 53 for TCP, too`,
      }));
    } catch (thrown) {
      last = faultOf(thrown, timeoutMs);
      if (last.fault !== "silent") return last;
    }
  }
  return last;
}

function judged(reply: Reply): Asked {
  switch (reply.code) {
    case "NOERROR":
    case "NXDOMAIN":
      return reply.truncated ? { fault: "truncated", says: "its answer is truncated, also by TCP" } : { reply };
    case "REFUSED":
    case "NOTAUTH":
      return { fault: "refusing", says: `it answers ${reply.code}: it does not serve the zone, or not for everybody` };
    default:
      return { fault: "failing", says: `it answers ${reply.code}: see its log` };
  }
}

function faultOf(thrown: unknown, timeoutMs: number): { fault: ServerFault; says: string } {
  if (thrown instanceof DnsFormatError)
    return { fault: "garbled", says: `its answer can't be read: ${thrown.message}` };
  const code = (thrown as NodeJS.ErrnoException).code;
  if (code !== undefined) return { fault: "unreachable", says: `it can't be reached (${code})` };
  return { fault: "silent", says: `it does not answer within ${timeoutMs / 1000} s` };
}

const textOf = (thrown: unknown) =>
  (thrown as NodeJS.ErrnoException).code ?? (thrown instanceof Error ? thrown.message : "no answer");
