import { type AddressInfo, createConnection, createServer, type LookupFunction, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { Courier } from "../../../../src/relay/deliver/courier.ts";
import { judgeAnswer } from "../../../../src/relay/deliver/policy.ts";
import { DataEnd, parseCommand } from "../../../../src/relay/deliver/protocol.ts";
import { type HttpsDelivery, openHttpsDelivery, type Parcel } from "../../../../src/relay/deliver/server.ts";
import { Peers } from "../../../../src/relay/https/peers.ts";
import { Metrics } from "../../../../src/relay/metrics.ts";
import { Knowledge } from "../../../../src/relay/route/knowledge.ts";
import { type FakePeer, startFakePeer } from "../../../helpers/fake-peer.ts";
import { until } from "../../../helpers/until.ts";
import { collectingLog, settings } from "../settings.ts";

describe("commands", () => {
  test.each([
    ["EHLO x", { kind: "hello", extended: true }],
    ["helo x", { kind: "hello", extended: false }],
    ["MAIL FROM:<a@b.test> SIZE=123 BODY=8BITMIME", { kind: "mail", sender: "a@b.test", sizeBytes: 123 }],
    ["mail from:<>", { kind: "mail", sender: "", sizeBytes: undefined }],
    ["RCPT TO:<c@d.test> NOTIFY=NEVER", { kind: "recipient", address: "c@d.test" }],
    ["RCPT TO:c@d.test", { kind: "oddAddress" }],
    ['RCPT TO:<"a b"@d.test>', { kind: "oddAddress" }],
    ['RCPT TO:<"a"@d.test>', { kind: "oddAddress" }],
    ['MAIL FROM:<"a"@d.test>', { kind: "oddAddress" }],
    ["DATA", { kind: "data" }],
    ["", { kind: "unknown" }],
    ["\x16\x03\x01", { kind: "unknown" }],
  ])("%j", (line, command) => expect(parseCommand(line)).toEqual(command));
});

describe("the end of a message", () => {
  const messages = ["a\r\n", "..\r\n.a\r\n..b\r\n", "", "\r\n\r\n", "a\r\n.b\r\n\r\n.\r\r\n", `${"x".repeat(300)}\r\n`];
  test.each(messages)("%j, cut anywhere, comes out as it went in", (message) => {
    const bytes = Buffer.from(`${message}.\r\nQUIT\r\n`);
    for (let at = 0; at <= bytes.length; at++) {
      const end = new DataEnd();
      let data = "";
      let rest: string | undefined;
      for (const chunk of [bytes.subarray(0, at), bytes.subarray(at)]) {
        if (rest !== undefined) {
          rest += chunk.toString();
          continue;
        }
        const found = end.push(chunk);
        data += found.data.toString();
        rest = found.rest?.toString();
      }
      expect({ data, rest }, `cut at ${at}`).toEqual({ data: message, rest: "QUIT\r\n" });
    }
  });

  test("byte by byte", () => {
    const end = new DataEnd();
    let data = "";
    for (const byte of Buffer.from("a\r\n..\r\nb\r\n.\r\n")) data += end.push(Buffer.from([byte])).data.toString();
    expect(data).toBe("a\r\n..\r\nb\r\n");
  });
});

test.each([
  [200, "250 OK", "250 2.0.0 OK (HTTPS)", "good"],
  [204, "", "250 2.0.0 OK (HTTPS)", "good"],
  [
    400,
    "523 Encryption Needed: Invalid Unencrypted Mail\n",
    "523 Encryption Needed: Invalid Unencrypted Mail (forwarded from mx)",
    "good",
  ],
  [400, "554 5.7.1 No DKIM signature found", "554 5.7.1 No DKIM signature found (forwarded from mx)", "good"],
  [400, "450 4.2.2 full", "450 4.2.2 full (forwarded from mx)", "good"],
  [400, "421 busy", "451 busy (forwarded from mx)", "good"],
  [413, "552 Message exceeds maximum size", "552 Message exceeds maximum size (forwarded from mx)", "good"],
  [413, "<html>", "451 4.4.0 mx answered 413 to HTTPS", "tooLarge"],
  [403, "Forbidden policy", "451 4.4.0 mx answered 403 to HTTPS", "good"],
  [400, "554 a\u0000b\r\n250 forged", "554 a?b (forwarded from mx)", "good"],
  [400, "bad request", "451 4.4.0 mx answered 400 to HTTPS", "good"],
  [400, "250 OK", "451 4.4.0 mx answered 400 to HTTPS", "good"],
  [404, "", "451 4.4.0 mx answered 404 to HTTPS", "gone"],
  [405, "Method Not Allowed", "451 4.4.0 mx answered 405 to HTTPS", "gone"],
  [301, "", "451 4.4.0 mx answered 301 to HTTPS", "gone"],
  [502, "554 said by a proxy", "451 4.4.0 mx answered 502 to HTTPS", "broken"],
  [507, "quota", "451 4.4.0 mx answered 507 to HTTPS", "broken"],
  [429, "", "451 4.4.0 mx answered 429 to HTTPS", "broken"],
] as const)("%i %j: %s, the https is %s", (status, text, reply, https) => {
  expect(judgeAnswer({ status, text }, "mx", 1)).toEqual({ reply, https });
});

test("a refusal of several recipients sends them to SMTP, where each has an answer of its own", () => {
  expect(judgeAnswer({ status: 400, text: "550 5.1.1 nobody" }, "mx", 2)).toEqual({
    reply: "451 4.4.0 to 2 recipients at once: 550 5.1.1 nobody (forwarded from mx)",
    https: "good",
  });
  expect(judgeAnswer({ status: 200, text: "" }, "mx", 2).reply).toMatch(/^250/);
});

const lookup: LookupFunction = (_host, _options, done) => done(null, [{ address: "127.0.0.1", family: 4 }]);
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const domain = "_peer.test";
const target = { host: domain, unverified: true };

async function peerWith(options: Partial<Parameters<typeof startFakePeer>[0]> = {}) {
  const peer = await startFakePeer({ domain, host: "127.0.0.1", ...options });
  const peers = new Peers({
    lookup,
    mayConnect: () => true,
    port: peer.port,
    connectMs: 1500,
    stallMs: 1000,
    answerMs: 1000,
  });
  closing.push(
    () => peers.close(),
    () => peer.close(),
  );
  return { peer, peers };
}

const headers = { "x-mail-from": "a@one.test", "x-mail-to": ["b@_peer.test", "c@_peer.test"] };

async function post(peers: Peers, body = "hello\r\n") {
  const request = await peers.open(target, { method: "POST", path: "/mxdeliv", headers });
  await request.write(Buffer.from(body));
  return { protocol: request.protocol, ...(await request.finish()) };
}

describe("HTTPS to a peer", () => {
  test.each([
    { protocols: ["h2", "http/1.1"], spoken: "h2", version: "2.0" },
    { protocols: ["http/1.1"], spoken: "http/1.1", version: "1.1" },
  ] as const)("with $protocols: $spoken, one connection for all", async ({ protocols, spoken, version }) => {
    const { peer, peers } = await peerWith({ protocols });
    expect((await peers.get(target, "/mxdeliv")).status).toBe(405);
    for (let count = 0; count < 5; count++) {
      expect(await post(peers)).toEqual({ protocol: spoken, status: 200, text: "250 OK" });
    }
    expect(peer.deliveries[0]).toMatchObject({
      protocol: version,
      sender: "a@one.test",
      recipients: ["b@_peer.test", "c@_peer.test"],
      body: "hello\r\n",
    });
    expect(new Set(peer.deliveries.map(({ connection }) => connection)).size).toBe(1);
  });

  test("many at once to a peer that is not connected yet share its connection", async () => {
    const { peer, peers } = await peerWith();
    await Promise.all(Array.from({ length: 20 }, () => post(peers)));
    expect(peer.deliveries).toHaveLength(20);
    expect(new Set(peer.deliveries.map(({ connection }) => connection)).size).toBe(1);
  });

  test("a certificate that is not trusted is trouble where it counts", async () => {
    const { peers } = await peerWith();
    await expect(peers.get({ host: domain, unverified: false }, "/")).rejects.toMatchObject({
      reason: "tls_cert_not_verified",
    });
  });

  test("who speaks no TLS is trouble of another kind than a certificate", async () => {
    const server = createServer((socket) =>
      socket.on("error", () => undefined).end("HTTP/1.1 400 Bad Request\r\n\r\n"),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const peers = new Peers({
      lookup,
      mayConnect: () => true,
      port: (server.address() as AddressInfo).port,
      connectMs: 1500,
    });
    closing.push(
      () => peers.close(),
      () => void server.close(),
    );
    await expect(peers.get(target, "/")).rejects.toMatchObject({ reason: "tls_handshake" });
  });

  test.each([["h2"], ["http/1.1"]] as const)(
    "%s: a connection that was not verified is not used where it counts",
    async (protocol) => {
      const { peer, peers } = await peerWith({ protocols: [protocol] });
      expect(await post(peers)).toMatchObject({ status: 200 });
      const verified = { host: domain, unverified: false };
      await expect(peers.open(verified, { method: "POST", path: "/mxdeliv", headers })).rejects.toMatchObject({
        reason: "tls_cert_not_verified",
      });
      expect(peer.deliveries).toHaveLength(1);
    },
  );

  test.each([
    ["h2", domain],
    ["http/1.1", domain],
    ["h2", "127.0.0.1"],
    ["http/1.1", "127.0.0.1"],
    ["h2", "::1"],
  ] as const)("%s: %s is not connected to where its address may not be", async (protocol, host) => {
    const { peer } = await peerWith({ protocols: [protocol] });
    const judged: string[] = [];
    const mayConnect = (address: string) => {
      judged.push(address);
      return false;
    };
    const peers = new Peers({ lookup, mayConnect, port: peer.port });
    closing.push(() => peers.close());
    const refused = { reason: "refused_address", message: "it may not be connected to" };
    await expect(peers.get({ host, unverified: true }, "/mxdeliv")).rejects.toMatchObject(refused);
    await expect(peers.get({ host, unverified: true }, "/mxdeliv")).rejects.toMatchObject(refused);
    expect(peer.connections()).toBe(0);
    expect(new Set(judged)).toEqual(new Set([host === domain ? "127.0.0.1" : host]));
  });

  test("HTTP/1.1: each new connection is judged, not the first alone", async () => {
    const { peer } = await peerWith({ protocols: ["http/1.1"] });
    let allowed = true;
    const peers = new Peers({ lookup, mayConnect: () => allowed, port: peer.port });
    closing.push(() => peers.close());
    peer.answer = "cut";
    await expect(post(peers)).rejects.toHaveProperty("name", "PeerError");
    const before = peer.connections();
    allowed = false;
    await expect(post(peers)).rejects.toMatchObject({ reason: "refused_address" });
    expect(peer.connections()).toBe(before);
  });

  test("nobody there, and nobody who answers", async () => {
    const { peer, peers } = await peerWith();
    peer.answer = "hold";
    await expect(post(peers)).rejects.toMatchObject({ reason: "connection_timeout" });
    await peer.close();
    const refused = new Peers({ lookup, mayConnect: () => true, port: peer.port });
    await expect(refused.get(target, "/")).rejects.toMatchObject({ reason: "connection_refused" });
    closing.shift();
    closing.length = 0;
    peers.close();
  });

  test.each([["h2"], ["http/1.1"]] as const)(
    "%s: after a cut connection the next mail opens another",
    async (protocol) => {
      const { peer, peers } = await peerWith({ protocols: [protocol] });
      peer.answer = "cut";
      await expect(post(peers)).rejects.toHaveProperty("name", "PeerError");
      peer.answer = { status: 200, text: "250 OK" };
      expect(await post(peers)).toMatchObject({ status: 200 });
    },
  );

  test("a large body arrives whole", async () => {
    const { peer, peers } = await peerWith();
    const request = await peers.open(target, { method: "POST", path: "/mxdeliv", headers });
    for (let count = 0; count < 300; count++) await request.write(Buffer.alloc(32_768, "x"));
    expect(await request.finish()).toMatchObject({ status: 200 });
    expect(peer.deliveries[0]?.body).toHaveLength(300 * 32_768);
  });
});

/** Speaks to the server as Postfix does. */
class Client {
  readonly #socket: Socket;
  said = "";
  closed = false;

  constructor(port: number) {
    this.#socket = createConnection({ port, host: "127.0.0.1" });
    this.#socket.on("data", (chunk) => (this.said += chunk.toString()));
    this.#socket.on("close", () => (this.closed = true));
    this.#socket.on("error", () => undefined);
    closing.push(() => this.#socket.destroy());
  }

  /** Sends, and waits for an answer that ends in such a line. */
  async ask(text: string, answer: RegExp): Promise<void> {
    this.said = "";
    this.#socket.write(text);
    await until(`an answer like ${answer}`, () => answer.test(this.said)).catch((thrown) => {
      throw new Error(`${thrown}: ${this.said}`);
    });
  }

  hangUp() {
    this.#socket.destroy();
  }
}

const envelope = "MAIL FROM:<a@one.test> SIZE=20\r\nRCPT TO:<b@two.test>\r\nRCPT TO:<c@two.test>\r\nDATA\r\n";

async function serverWith(open: Parameters<typeof openHttpsDelivery>[0]["open"]): Promise<HttpsDelivery> {
  const server = await openHttpsDelivery({
    port: 0,
    open,
    onFailure: () => undefined,
    onProtocolError: () => undefined,
  });
  closing.push(() => server.close(0));
  return server;
}

function parcel(reply: string) {
  const seen = { body: "", aborted: false };
  const it: Parcel = {
    write: async (chunk) => {
      seen.body += chunk.toString();
    },
    finish: async () => reply,
    abort: () => {
      seen.aborted = true;
    },
  };
  return { it, seen };
}

describe("the server for Postfix", () => {
  test("takes messages one after another, bytes as they are, and tells what came of each", async () => {
    const { it, seen } = parcel("523 Encryption Needed");
    const envelopes: unknown[] = [];
    const server = await serverWith(async (each) => {
      envelopes.push(each);
      return it;
    });
    const client = new Client(server.port);
    await client.ask("EHLO x\r\n", /250 SIZE\r\n$/);
    await client.ask(envelope, /354 [^\n]*\n$/);
    await client.ask("Subject: x\r\n\r\n..dot\r\n.\r\n", /^523 Encryption Needed\r\n$/);
    await client.ask(envelope, /354 [^\n]*\n$/);
    await client.ask("again\r\n.\r\nQUIT\r\n", /523 Encryption Needed\r\n221 2.0.0 Bye\r\n$/);
    expect(seen.body).toBe("Subject: x\r\n\r\n..dot\r\nagain\r\n");
    expect(envelopes[0]).toEqual({
      sender: "a@one.test",
      recipients: ["b@two.test", "c@two.test"],
      destination: "two.test",
      sizeBytes: 20,
    });
  });

  test("a https that is closed is told before the message is sent", async () => {
    const server = await serverWith(async () => "451 4.4.1 no connection");
    const client = new Client(server.port);
    await client.ask(`EHLO x\r\n${envelope}`, /451 4.4.1 no connection\r\n$/);
    await client.ask("NOOP\r\n", /^250 2.0.0 OK\r\n$/);
  });

  test("our own failure is temporary", async () => {
    const server = await serverWith(async () => {
      throw new Error("bug");
    });
    await new Client(server.port).ask(`EHLO x\r\n${envelope}`, /451 4.3.0 [^\n]*\n$/);
  });

  test("another domain in the same transaction is put off", async () => {
    const server = await serverWith(async () => "451 x");
    const lines = "MAIL FROM:<>\r\nRCPT TO:<b@two.test>\r\nRCPT TO:<b@three.test>\r\n";
    await new Client(server.port).ask(`EHLO x\r\n${lines}`, /250 2.1.5 OK\r\n451 4.5.3 [^\n]*\n$/);
  });

  test("a message that breaks off is not delivered", async () => {
    const { it, seen } = parcel("250 OK");
    const server = await serverWith(async () => it);
    const client = new Client(server.port);
    await client.ask(`EHLO x\r\n${envelope}`, /354 [^\n]*\n$/);
    await client.ask("half\r\n", /^/);
    client.hangUp();
    await until("the abort", () => seen.aborted);
  });

  test("nonsense, and orders out of turn", async () => {
    const server = await serverWith(async () => "451 x");
    const client = new Client(server.port);
    await client.ask("EHLO x\r\nRCPT TO:<a@b.test>\r\nDATA\r\nVRFY x\r\n", /503[^\n]*\r\n503[^\n]*\r\n500[^\n]*\r\n$/);
    await client.ask(`${"x".repeat(5000)}`, /^/);
    await until("the end", () => client.closed);
  });
});

describe("the courier", () => {
  async function courierFor(peer: FakePeer, peers: Peers) {
    const { log } = collectingLog();
    const knowledge = await Knowledge.open({ path: `${settings().mailFolder}/.destinations.json`, log, now: Date.now });
    const started: string[] = [];
    const hosts = [domain];
    const courier = new Courier({
      knowledge,
      discovery: { start: (destination) => started.push(destination) },
      resolver: { exchangers: async () => ({ kind: "hosts", hosts }) },
      peers,
      metrics: new Metrics(),
      log,
      now: () => 1000,
    });
    knowledge.learn(domain, { https: { state: "yes", hosts: [domain], failures: 0, lookAt: 5000 } });
    return { courier, knowledge, started, hosts, peer, https: () => knowledge.get(domain)?.https };
  }

  const letter = { sender: "a@one.test", recipients: ["b@_peer.test"], destination: domain, sizeBytes: 100 };

  async function deliver(courier: Courier, size = 100): Promise<string> {
    const opened = await courier.open({ ...letter, sizeBytes: size });
    if (typeof opened === "string") return opened;
    await opened.write(Buffer.from("hello\r\n"));
    return opened.finish();
  }

  test("delivers, and says by which https", async () => {
    const { peer, peers } = await peerWith();
    const { courier } = await courierFor(peer, peers);
    expect(await deliver(courier)).toBe("250 2.0.0 OK (HTTPS)");
  });

  test("recipients are a header each, the null sender is none at all", async () => {
    const { peer, peers } = await peerWith();
    const { courier } = await courierFor(peer, peers);
    const recipients = ["b@_peer.test", "c@_peer.test"];
    const opened = await courier.open({ ...letter, sender: "", recipients });
    if (typeof opened === "string") throw new Error(opened);
    expect(await opened.finish()).toMatch(/^250 /);
    expect(peer.deliveries).toMatchObject([{ sender: undefined, recipients }]);
  });

  test("the next MX host is tried where the first has nobody who answers", async () => {
    const { peer } = await peerWith();
    const first = "_first.peer.test";
    const elsewhere: LookupFunction = (host, options, done) =>
      host === first ? done(null, [{ address: "127.0.0.9", family: 4 }]) : lookup(host, options, done);
    const peers = new Peers({ lookup: elsewhere, mayConnect: () => true, port: peer.port });
    closing.push(() => peers.close());
    const { courier, hosts, knowledge, https } = await courierFor(peer, peers);
    hosts.unshift(first);
    knowledge.learn(domain, { https: { state: "yes", hosts: [first, domain], failures: 0, lookAt: 5000 } });
    expect(await deliver(courier)).toMatch(/^250 /);
    expect(https()).toMatchObject({ state: "yes", failures: 0 });
  });

  test("a domain whose https is not known, or whose MX is another now, is left to SMTP and looked at", async () => {
    const { peer, peers } = await peerWith();
    const { courier, started, hosts } = await courierFor(peer, peers);
    expect(await courier.open({ ...letter, destination: "two.test" })).toMatch(/^451 /);
    hosts.splice(0, 1, "other.test");
    expect(await deliver(courier)).toMatch(/^451 /);
    expect(started).toEqual([domain]);
    expect(peer.deliveries).toEqual([]);
  });

  test.each([
    { destination: "_two.test", host: "mx.two.test", reply: /^250 / },
    { destination: "[127.0.0.1]", host: "127.0.0.1", reply: /^250 / },
    { destination: "two.test", host: "_mx.two.test", reply: /^451 4\.4\.1/ },
    { destination: "two.test", host: "mx.two.test", reply: /^451 4\.4\.1/ },
  ])("a self-signed $host for mail to $destination: $reply", async ({ destination, host, reply }) => {
    const { peer, peers } = await peerWith();
    const { courier, hosts, knowledge } = await courierFor(peer, peers);
    hosts.splice(0, 1, host);
    knowledge.learn(destination, { https: { state: "yes", hosts: [host], failures: 0, lookAt: 5000 } });
    const opened = await courier.open({ ...letter, destination });
    expect(typeof opened === "string" ? opened : await opened.finish()).toMatch(reply);
  });

  test("a first MX host that has no HTTPS is not passed over for a second that has", async () => {
    const { peer, peers } = await peerWith();
    const { courier, hosts, started } = await courierFor(peer, peers);
    hosts.unshift("first.test");
    expect(await deliver(courier)).toMatch(/^451 /);
    expect(started).toEqual([domain]);
    expect(peer.deliveries).toEqual([]);
  });

  test("a host that the domain's MTA-STS policy leaves out gets nothing", async () => {
    const { peer, peers } = await peerWith();
    const { courier, knowledge, started } = await courierFor(peer, peers);
    knowledge.learn(domain, { sts: { id: "1", mode: "enforce", mx: ["other.test"], until: 2000 } });
    expect(await courier.open(letter)).toMatch(/^451 /);
    expect(started).toEqual([domain]);
    expect(peer.deliveries).toEqual([]);
  });

  test("a peer that is gone breaks the https before the message is asked for", async () => {
    const { peer, peers } = await peerWith();
    const { courier, https } = await courierFor(peer, peers);
    await peer.close();
    closing.pop();
    expect(await courier.open(letter)).toMatch(/^451 4\.4\.1/);
    expect(https()).toMatchObject({ state: "broken", failures: 1 });
  });

  test("the peer's words go back, and do not break the https", async () => {
    const { peer, peers } = await peerWith();
    const { courier, https } = await courierFor(peer, peers);
    peer.answer = { status: 400, text: "523 Encryption Needed: Invalid Unencrypted Mail\n" };
    expect(await deliver(courier)).toMatch(/^523 Encryption Needed: Invalid Unencrypted Mail \(forwarded from/);
    expect(https()).toMatchObject({ state: "yes", failures: 0 });
  });

  test("what is too large for a web server takes SMTP from then on, the rest does not", async () => {
    const { peer, peers } = await peerWith();
    const { courier } = await courierFor(peer, peers);
    peer.answer = { status: 413, text: "<html>" };
    expect(await deliver(courier)).toMatch(/^451 /);
    peer.answer = { status: 200, text: "250 OK" };
    expect(await deliver(courier, 5_000_000)).toMatch(/^451 4\.3\.4/);
    expect(await deliver(courier, 1)).toMatch(/^250 /);
  });

  test("a connection that is cut breaks the https", async () => {
    const { peer, peers } = await peerWith();
    const { courier, https } = await courierFor(peer, peers);
    peer.answer = "cut";
    expect(await deliver(courier)).toMatch(/^451 4\.4\.2/);
    expect(https()).toMatchObject({ state: "broken", failures: 1 });
  });
});
