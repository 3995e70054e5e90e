/**
 * A place between clients and a relay, where what they say is seen with its time: TLS ends here and
 * begins again. Compressed sessions (RFC 4978) are read too, and passed on as they are.
 */
import { connect, createServer, type Server, type TLSSocket } from "node:tls";
import { constants, createInflateRaw, type InflateRaw } from "node:zlib";
import { makeSelfSigned } from "../../src/certificates/self-signed.ts";

/** A line of one side. */
export interface Said {
  /** Of `performance.now()`, when its end came. */
  atMs: number;
  port: number;
  /** Which connection, counted from 0. */
  connection: number;
  by: "client" | "relay";
  line: string;
}

export class Tap {
  readonly said: Said[] = [];
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<TLSSocket>();
  #connections = 0;

  /** Listens at `address`, and passes on to `host`, on each of the ports. */
  static async open(options: { address: string; host: string; name: string; ports: readonly number[] }): Promise<Tap> {
    const { address, host, name, ports } = options;
    const tap = new Tap();
    const { certificatePem: cert, keyPem: key } = await makeSelfSigned(name, new Date());
    for (const port of ports) {
      const server = createServer({ cert, key }, (client) => tap.#pass(client, host, port));
      tap.#servers.push(server);
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject).listen(port, address, resolve);
      });
    }
    return tap;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    for (const server of this.#servers) server.close();
  }

  #pass(client: TLSSocket, host: string, port: number): void {
    const relay = connect({ host, port, rejectUnauthorized: false });
    const connection = this.#connections++;
    const note = (by: Said["by"]) => (line: string) =>
      void this.said.push({ atMs: performance.now(), port, connection, by, line });
    const [ofClient, ofRelay] = [new Lines(note("client")), new Lines(note("relay"))];
    ofRelay.after = (line) => {
      if (!ofClient.asksForCompression || !/^\S+ OK\b/.test(line)) return;
      for (const each of [ofClient, ofRelay]) each.inflate();
    };
    const ways = [
      { from: client, to: relay, lines: ofClient },
      { from: relay, to: client, lines: ofRelay },
    ];
    for (const { from, to, lines } of ways) {
      this.#sockets.add(from);
      from.setNoDelay(true);
      from.on("data", (piece: Buffer) => {
        to.write(piece);
        lines.take(piece);
      });
      from.on("error", () => to.destroy());
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
  }
}

/** The lines of one direction. */
class Lines {
  readonly #note: (line: string) => void;
  #rest = "";
  #inflate: InflateRaw | undefined;
  /** Called with each line of the clear text. */
  after: (line: string) => void = () => undefined;
  asksForCompression = false;

  constructor(note: (line: string) => void) {
    this.#note = note;
  }

  take(piece: Buffer): void {
    if (this.#inflate) this.#inflate.write(piece);
    else this.#read(piece);
  }

  /** All that follows is compressed. */
  inflate(): void {
    this.#inflate ??= createInflateRaw({ finishFlush: constants.Z_SYNC_FLUSH })
      .on("data", (piece: Buffer) => this.#read(piece))
      .on("error", () => undefined);
  }

  #read(piece: Buffer): void {
    const lines = (this.#rest + piece.toString("latin1")).split("\r\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      if (/^\S+ COMPRESS DEFLATE$/i.test(line)) this.asksForCompression = true;
      this.#note(line);
      this.after(line);
    }
  }
}
