/** A name server that speaks the wire, with every fault that one can have. */
import { createSocket, type Socket } from "node:dgram";
import { type AddressInfo, createServer, type Server } from "node:net";

export const type = { a: 1, cname: 5, soa: 6, mx: 15, txt: 16, aaaa: 28, tlsa: 52 };

export const name = (text: string) =>
  Buffer.concat([
    ...text.split(".").flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, "latin1")]),
    Buffer.from([0]),
  ]);

/** The name that is asked for: the question stands at offset 12, its name is meant by a pointer. */
export const questionName = Buffer.from([0xc0, 12]);

/** `inClass`: 1 is the Internet's. */
export function record(owner: Buffer, kind: number, ttl: number, data: Buffer, inClass = 1): Buffer {
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(kind, 0);
  fixed.writeUInt16BE(inClass, 2);
  fixed.writeUInt32BE(ttl, 4);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([owner, fixed, data]);
}

export const txt = (...strings: string[]) =>
  Buffer.concat(strings.flatMap((each) => [Buffer.from([each.length]), Buffer.from(each, "latin1")]));
export const soa = (minimum: number) => {
  const numbers = Buffer.alloc(20);
  numbers.writeUInt32BE(minimum, 16);
  return Buffer.concat([name("ns.example"), name("root.example"), numbers]);
};

export interface Reply {
  code?: number;
  validated?: boolean;
  truncated?: boolean;
  answers?: Buffer[];
  authorities?: Buffer[];
}

export function reply(
  query: Buffer,
  { code = 0, validated = false, truncated = false, answers = [], authorities = [] }: Reply,
): Buffer {
  const question = query.subarray(12, query.indexOf(0, 12) + 5);
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(0x8180 | code | (truncated ? 0x200 : 0) | (validated ? 0x20 : 0), 2);
  header.writeUInt16BE(answers.length, 6);
  header.writeUInt16BE(authorities.length, 8);
  header.writeUInt16BE(0, 10);
  return Buffer.concat([header, question, ...answers, ...authorities]);
}

const open: (Socket | Server)[] = [];

export async function closeNameServers(): Promise<void> {
  for (const each of open.splice(0)) await new Promise<void>((resolve) => each.close(() => resolve()));
}

/** `answer` gives the datagrams to send back, and what TCP answers. */
export async function nameServer(
  answer: (query: Buffer, by: "udp" | "tcp", count: number) => Buffer[],
): Promise<string> {
  let count = 0;
  const tcp = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("data", (bytes) => {
      for (const each of answer(bytes.subarray(2), "tcp", count++)) {
        const size = Buffer.alloc(2);
        size.writeUInt16BE(each.length);
        socket.write(size);
        socket.write(each.subarray(0, 3));
        setTimeout(() => socket.end(each.subarray(3)), 5);
      }
    });
  });
  await new Promise<void>((resolve) => tcp.listen(0, "127.0.0.1", resolve));
  const { port } = tcp.address() as AddressInfo;
  const udp = createSocket("udp4");
  udp.on("message", (query, from) => {
    for (const each of answer(query, "udp", count++)) udp.send(each, from.port, from.address);
  });
  await new Promise<void>((resolve) => udp.bind(port, "127.0.0.1", resolve));
  open.push(tcp, udp);
  return `127.0.0.1:${port}`;
}
