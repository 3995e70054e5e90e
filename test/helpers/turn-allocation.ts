/**
 * A TURN allocation that is kept until it is given back (RFC 8656), by UDP: who has how many ports
 * is what coturn's own client can't show.
 */
import { createHash, createHmac, randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { patienceMs } from "./until.ts";

const cookie = 0x2112a442;
const allocate = 0x0003;
const refresh = 0x0004;
const attribute = {
  username: 0x0006,
  integrity: 0x0008,
  error: 0x0009,
  lifetime: 0x000d,
  realm: 0x0014,
  nonce: 0x0015,
  transport: 0x0019,
};

type Attributes = ReadonlyMap<number, Buffer>;

export interface TurnCredential {
  username: string;
  password: string;
}

export interface Allocation {
  /** Undefined where it was granted; otherwise STUN's error code. */
  error: number | undefined;
  release(): Promise<void>;
}

/** Asks for a port, with a socket of its own. */
export async function allocation(host: string, port: number, credential: TurnCredential): Promise<Allocation> {
  const socket = createSocket("udp4");
  socket.on("error", () => undefined);
  await new Promise<void>((resolve) => socket.connect(port, host, () => resolve()));
  const asked = new Map([[attribute.transport, Buffer.from([17, 0, 0, 0])]]);
  const first = await exchange(socket, message(allocate, asked));
  const [realm, nonce] = [first.get(attribute.realm), first.get(attribute.nonce)];
  if (!realm || !nonce) throw new Error("no challenge");
  const as = { ...credential, realm, nonce };
  const error = errorIn(await exchange(socket, message(allocate, asked, as)));
  return {
    error,
    release: async () => {
      const none = new Map([[attribute.lifetime, Buffer.alloc(4)]]);
      const refused = error === undefined ? errorIn(await exchange(socket, message(refresh, none, as))) : undefined;
      socket.close();
      if (refused !== undefined) throw new Error(`not given back: ${refused}`);
    },
  };
}

function message(type: number, given: Attributes, as?: TurnCredential & { realm: Buffer; nonce: Buffer }): Buffer {
  const all = new Map([
    ...given,
    ...(as
      ? ([
          [attribute.username, Buffer.from(as.username)],
          [attribute.realm, as.realm],
          [attribute.nonce, as.nonce],
        ] as const)
      : []),
  ]);
  const body = Buffer.concat([...all].map(([name, value]) => encoded(name, value)));
  const transaction = randomBytes(12);
  const header = (length: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt16BE(type, 0);
    bytes.writeUInt16BE(length, 2);
    bytes.writeUInt32BE(cookie, 4);
    return Buffer.concat([bytes, transaction]);
  };
  if (!as) return Buffer.concat([header(body.length), body]);
  const key = createHash("md5").update([as.username, as.realm, as.password].join(":")).digest();
  // the length counts the attribute that is about to come (RFC 8489 §14.5)
  const signed = Buffer.concat([header(body.length + 24), body]);
  return Buffer.concat([signed, encoded(attribute.integrity, createHmac("sha1", key).update(signed).digest())]);
}

function encoded(name: number, value: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16BE(name, 0);
  head.writeUInt16BE(value.length, 2);
  return Buffer.concat([head, value, Buffer.alloc((4 - (value.length % 4)) % 4)]);
}

/**
 * Sent again each half second, as UDP wants it. A refusal by ICMP is a lost packet like any other,
 * and is named when no answer comes.
 */
async function exchange(socket: Socket, request: Buffer): Promise<Attributes> {
  const transaction = request.subarray(8, 20);
  const again = setInterval(() => socket.send(request), 500);
  let lost: Error | undefined;
  const lose = (error: Error) => {
    lost = error;
  };
  socket.on("error", lose);
  try {
    return await new Promise((resolve, reject) => {
      const end = setTimeout(() => reject(new Error("no answer", { cause: lost })), patienceMs.socket);
      const listen = (answer: Buffer) => {
        if (!answer.subarray(8, 20).equals(transaction)) return;
        clearTimeout(end);
        socket.off("message", listen);
        resolve(attributesOf(answer));
      };
      socket.on("message", listen);
      socket.send(request);
    });
  } finally {
    clearInterval(again);
    socket.off("error", lose);
  }
}

function attributesOf(answer: Buffer): Attributes {
  const found = new Map<number, Buffer>();
  for (let at = 20; at + 4 <= answer.length; ) {
    const length = answer.readUInt16BE(at + 2);
    found.set(answer.readUInt16BE(at), answer.subarray(at + 4, at + 4 + length));
    at += 4 + length + ((4 - (length % 4)) % 4);
  }
  return found;
}

function errorIn(answer: Attributes): number | undefined {
  const value = answer.get(attribute.error);
  return value && (value[2] ?? 0) * 100 + (value[3] ?? 0);
}
