/**
 * Name servers on addresses of this machine and one port, as name servers of a zone are, with every
 * fault that one can have.
 */
import { createSocket, type Socket } from "node:dgram";
import { type AddressInfo, createServer, type Server } from "node:net";
import dnsPacket, { type Answer } from "dns-packet";

/** Records by name (without a dot at its end) and type. */
export type Records = readonly Answer[];

export interface ServedZone {
  /** Without a dot at its end. */
  zone: string;
  serial?: number;
  records: Records;
}

export type Behaviour =
  | "right"
  | "silent"
  | "refusing"
  | "failing"
  /** Answers, and not for itself. */
  | "lame"
  /** Its UDP answers are truncated, and by TCP it gives them. */
  | "large"
  /** Its UDP answers are truncated, and TCP ends at once. */
  | "truncated"
  | "garbled"
  /** A resolver that has validated what it answers. */
  | "validating"
  /** One that has an answer, and finds its signatures wrong. */
  | "bogus"
  /** It answers a question that nobody asked. */
  | "elsewhere";

export interface ZoneServer {
  zones: ServedZone[];
  behaviour: Behaviour;
  /** How many questions it was asked. */
  asked: number;
}

const open: (Socket | Server)[] = [];

export async function closeZoneServers(): Promise<void> {
  for (const each of open.splice(0)) await new Promise<void>((resolve) => each.close(() => resolve()));
}

/** `address` is such as 127.0.0.2; port 0 takes a free one. */
export async function startZoneServer(
  address: string,
  port: number,
  zones: ServedZone[],
): Promise<{ server: ZoneServer; port: number }> {
  const server: ZoneServer = { zones, behaviour: "right", asked: 0 };
  const tcp = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    if (server.behaviour === "truncated") return socket.destroy();
    socket.on("data", (bytes) => {
      const reply = replyOf(server, bytes.subarray(2), "tcp");
      if (!reply) return;
      const size = Buffer.alloc(2);
      size.writeUInt16BE(reply.length);
      socket.end(Buffer.concat([size, reply]));
    });
  });
  await new Promise<void>((resolve) => tcp.listen(port, address, resolve));
  const taken = (tcp.address() as AddressInfo).port;
  const udp = createSocket("udp4");
  udp.on("message", (query, from) => {
    server.asked++;
    const reply = replyOf(server, query, "udp");
    if (reply) udp.send(reply, from.port, from.address);
  });
  await new Promise<void>((resolve) => udp.bind(taken, address, resolve));
  open.push(tcp, udp);
  return { server, port: taken };
}

const [authoritative, truncated, authenticData, checkingDisabled] = [0x0400, 0x0200, 0x0020, 0x0010];

function replyOf({ zones, behaviour }: ZoneServer, query: Buffer, by: "udp" | "tcp"): Buffer | undefined {
  const { id = 0, questions = [], flags = 0 } = dnsPacket.decode(query);
  const [question] = questions;
  if (!question || behaviour === "silent") return undefined;
  const base = { type: "response" as const, id, questions: [question] };
  const encode = (more: { flags?: number; answers?: Answer[]; authorities?: Answer[]; additionals?: Answer[] }) =>
    dnsPacket.encode({ ...base, ...more, flags: (flags & 0x0100) | (more.flags ?? 0) });
  if (behaviour === "refusing") return encode({ flags: 5 });
  if (behaviour === "failing" || (behaviour === "bogus" && (flags & checkingDisabled) === 0))
    return encode({ flags: 2 });
  if (behaviour === "garbled")
    return Buffer.concat([
      encode({ flags: authoritative }).subarray(0, 6),
      Buffer.from([0, 9, 0, 0, 0, 0]),
      query.subarray(12),
    ]);
  if (behaviour === "elsewhere")
    return dnsPacket.encode({ ...base, questions: [{ ...question, name: "other.example" }] });
  if (by === "udp" && (behaviour === "large" || behaviour === "truncated"))
    return encode({ flags: authoritative | truncated });
  const name = question.name.toLowerCase();
  const zone = zones
    .filter((each) => each.zone === "" || name === each.zone || name.endsWith(`.${each.zone}`))
    .sort((a, b) => b.zone.length - a.zone.length)[0];
  if (!zone) return encode({ flags: 5 });
  const soa: Answer = {
    type: "SOA",
    name: zone.zone || ".",
    ttl: 60,
    data: {
      mname: "ns.test",
      rname: "root.test",
      serial: zone.serial ?? 1,
      refresh: 60,
      retry: 60,
      expire: 60,
      minimum: 1,
    },
  };
  // what is delegated is told of without authority
  const isCut = (each: Answer) =>
    each.type === "NS" && each.name !== zone.zone && (name === each.name || name.endsWith(`.${each.name}`));
  // whoever resolves for others follows it
  const cut = (flags & 0x0100) !== 0 ? [] : zone.records.filter(isCut);
  const asksParent = question.type === "DS" && cut.some((each) => each.name === name);
  const own = [...zone.records, soa].filter(
    (each) => each.name.toLowerCase() === (name || ".") && each.type === question.type,
  );
  const glueOf = (records: Answer[]) =>
    zone.records.filter((each) => each.type === "A" && records.some((ns) => ns.type === "NS" && ns.data === each.name));
  if (cut.length > 0 && !asksParent) return encode({ authorities: cut, additionals: glueOf(cut) });
  const alias = zone.records.filter((each) => each.type === "CNAME" && each.name === name);
  const answers = own.length > 0 ? own : alias;
  return encode({
    flags: behaviour === "lame" ? 0 : authoritative | (behaviour === "validating" ? authenticData : 0),
    answers,
    ...(answers.length === 0 && { authorities: [soa] }),
    additionals: glueOf(answers),
  });
}
