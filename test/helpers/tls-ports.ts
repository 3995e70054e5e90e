/**
 * All ports of a relay pod that speak TLS, at an address of this machine: what a client has to say
 * before TLS, and a certificate by the name that it asks for. They say nothing else.
 */
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import type { KeyPair } from "../../src/certificates/self-signed.ts";
import { tlsPorts } from "../../src/operator/tasks/served.ts";

interface Shown {
  /** To whom asks for a name. */
  named: SecureContext;
  /** To whom asks for none. */
  unnamed: SecureContext;
}

export class TlsPorts {
  readonly #address: string;
  readonly #servers = new Map<number, Server>();
  readonly #shown = new Map<number, Shown>();
  readonly #sockets = new Set<Socket>();
  /** Connections that have been taken. */
  taken = 0;

  private constructor(address: string) {
    this.#address = address;
  }

  static async open(address: string, pair: KeyPair): Promise<TlsPorts> {
    const all = new TlsPorts(address);
    all.present(pair);
    for (const { port } of tlsPorts) await all.listen(port);
    return all;
  }

  /** From now on; at one port alone, or to those alone who ask for no name. */
  present(pair: KeyPair, where: { port?: number; unnamed?: true } = {}): void {
    const context = createSecureContext({ cert: pair.certificatePem, key: pair.keyPem });
    for (const { port } of tlsPorts.filter((each) => where.port === undefined || each.port === where.port)) {
      const named = where.unnamed ? (this.#shown.get(port)?.named ?? context) : context;
      this.#shown.set(port, { named, unnamed: context });
    }
  }

  async listen(port: number): Promise<void> {
    const startTls = tlsPorts.find((each) => each.port === port)?.startTls;
    const server = createServer((socket) => {
      this.taken++;
      this.#sockets.add(socket);
      socket.on("error", () => undefined).on("close", () => this.#sockets.delete(socket));
      if (startTls) spoken(socket, startTls, () => this.#secure(socket, port));
      else this.#secure(socket, port);
    });
    server.listen(port, this.#address);
    await once(server, "listening");
    this.#servers.set(port, server);
  }

  async close(port: number): Promise<void> {
    const server = this.#servers.get(port);
    this.#servers.delete(port);
    for (const socket of this.#sockets) socket.destroy();
    if (server?.close()) await once(server, "close");
  }

  async stop(): Promise<void> {
    for (const port of [...this.#servers.keys()]) await this.close(port);
  }

  #secure(socket: Socket, port: number): void {
    const shown = this.#shown.get(port);
    if (!shown) return;
    const secure = new TLSSocket(socket, {
      isServer: true,
      secureContext: shown.unnamed,
      SNICallback: (_, done) => done(null, shown.named),
    });
    secure.on("error", () => undefined).resume();
  }
}

function spoken(socket: Socket, protocol: "smtp" | "imap", secure: () => void): void {
  socket.write(protocol === "smtp" ? "220-relay\r\n220 ready\r\n" : "* OK ready\r\n");
  const hear = (chunk: Buffer) => {
    const line = chunk.toString("latin1");
    if (line.startsWith("EHLO ")) socket.write("250-relay\r\n250 STARTTLS\r\n");
    else if (/^(a )?STARTTLS\r\n$/.test(line)) {
      socket.off("data", hear).pause();
      socket.write(protocol === "smtp" ? "220 go on\r\n" : "a OK go on\r\n");
      secure();
    }
  };
  socket.on("data", hear);
}
