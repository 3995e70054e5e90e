/**
 * Port 443 is for mail programs too: which of them is meant is read from ALPN, and the client stays
 * who it is. STARTTLS beside it.
 */

import { connect } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import { folders } from "../../src/pod/layout.ts";
import { fewNewAddresses } from "../helpers/accounts.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { LineSocket, type Tls } from "../helpers/line-socket.ts";
import { encryptedMessage, randomName } from "../helpers/messages.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { until } from "../helpers/until.ts";

let pod: RelayPod;
let alice: string;
const password = "correct horse";

beforeAll(async () => {
  pod = await startRelayPod({
    domain: "_shared.test",
    spec: { accounts: fewNewAddresses, network: { connections: { submission: 10 } } },
  });
  alice = `${randomName(9)}@${pod.domain}`;
  await (await ImapClient.ready(pod.at(ports.imaps), alice, password)).logout();
});
afterAll(() => pod?.remove());

test.each([
  { port: ports.imaps, alpn: [] },
  { port: ports.https, alpn: ["imap"] },
])("a client that comes back to port $port resumes its session of TLS", async ({ port, alpn }) => {
  const kept = {};
  const resumed: boolean[] = [];
  for (let nth = 0; nth < 3; nth++) {
    const socket = await LineSocket.open({ ...pod.at(port), kept }, { alpn });
    expect(await socket.line()).toMatch(/^\* OK/);
    resumed.push(socket.isResumed);
    socket.destroy();
  }
  expect(resumed).toEqual([false, true, true]);
});

describe("port 443", () => {
  test.each([
    { asks: ["imap"], gets: "imap" },
    { asks: ["smtp"], gets: "smtp" },
    { asks: ["smtp", "imap"], gets: "smtp" },
    { asks: ["imap", "smtp"], gets: "smtp" },
    { asks: ["h2", "imap"], gets: "imap" },
    { asks: ["http/1.1"], gets: "web" },
    { asks: ["h2", "http/1.1"], gets: "web" },
    { asks: ["imap4", "smtp-in", "x.imap", "http/1.1"], gets: "web" },
    { asks: [], gets: "web" },
  ])("a client that asks for $asks gets $gets", async ({ asks, gets }) => {
    const socket = await LineSocket.open(pod.at(ports.https), { alpn: asks });
    if (gets === "web" && socket.shown.protocol !== "h2") socket.write("GET /nothing HTTP/1.0\r\n\r\n");
    const first = socket.shown.protocol === "h2" ? "HTTP/2" : await socket.line();
    expect(first).toMatch({ imap: /^\* OK /, smtp: /^220 /, web: /^HTTP\// }[gets] ?? /^$/);
    socket.destroy();
  });

  test("carries a message in and out", async () => {
    const mark = randomName(12);
    const smtp = await SmtpClient.ready(pod.at(ports.https), alice, password);
    const data = encryptedMessage({ from: alice, to: [alice], headers: { "Chat-Mark": mark } });
    expect(await smtp.send({ from: alice, to: [alice], data })).toMatchObject({ code: 250 });
    await smtp.quit();
    const imap = await ImapClient.ready(pod.at(ports.https), alice, password);
    await imap.say("SELECT INBOX");
    const found = async () => {
      await imap.say("NOOP");
      return (await imap.messages()).some((text) => text.includes(mark));
    };
    await until("the message", found);
    await imap.logout();
  });

  test("nobody is local through it: no mail without a login, and none as somebody else", async () => {
    const stranger = await SmtpClient.ready(pod.at(ports.https));
    const mail = { from: "x@elsewhere.example", to: ["y@elsewhere.example"], data: "x\r\n" };
    expect((await stranger.send(mail)).code).toBeGreaterThanOrEqual(500);
    expect((await stranger.send({ ...mail, to: [alice] })).code).toBeGreaterThanOrEqual(500);
    await stranger.quit();
    const user = await SmtpClient.ready(pod.at(ports.https), alice, password);
    expect(await user.send({ ...mail, from: `other@${pod.domain}` })).toMatchObject({ code: 553 });
    await user.quit();
  });

  test("submission counts connections of the client, not of the loopback, with those to 465", async () => {
    // a third of connections.submission each
    const three = await Promise.all(
      [ports.https, ports.https, ports.submissions].map((port) => SmtpClient.ready(pod.at(port))),
    );
    for (const port of [ports.https, ports.submissions]) await expect(SmtpClient.ready(pod.at(port))).rejects.toThrow();
    for (const client of three) await client.quit();
  });

  test("Dovecot sees the client's address", async () => {
    const imap = await ImapClient.ready(pod.at(ports.https), alice, password);
    const who = await pod.exec("dovecot", "doveadm", "-c", `${folders.dovecotConfig}/dovecot.conf`, "who");
    expect(who).toContain(alice);
    expect(who).not.toContain("127.0.0.1");
    await imap.logout();
  });

  test("nginx slows down who asks too often, and nobody else", async () => {
    const ask = `Promise.all(Array.from({ length: COUNT }, () => fetch("https://HOST/new", { method: "POST" }).then((answer) => answer.status))).then((all) => console.log(all.join()))`;
    const statuses = async (host: string, count: number) => {
      const code = ask.replace("COUNT", String(count)).replace("HOST", host);
      const say = ["env", "NODE_TLS_REJECT_UNAUTHORIZED=0", "node", "--no-warnings", "-e", code];
      return (await pod.exec("relay", ...say)).trim().split(",");
    };
    // the same pod, from two of its addresses
    expect(await statuses(pod.host, 60)).toContain("503");
    expect(await statuses("127.0.0.1", 1)).toEqual(["200"]);
  });
});

test.each([
  { port: ports.imaps, alpn: [] },
  { port: ports.https, alpn: ["imap"] },
])("after LOGOUT the connection to port $port ends as TLS does, and is not cut off", async ({ port, alpn }) => {
  const socket = connect({ ...pod.at(port), ALPNProtocols: alpn, rejectUnauthorized: false });
  const ended = new Promise<string>((resolve) => {
    socket.on("error", ({ message }) => resolve(message));
    socket.on("end", () => resolve("end"));
  });
  socket.write("a LOGOUT\r\n");
  socket.resume();
  expect(await ended).toBe("end");
});

describe("a client that knows no more than TLS 1.2", () => {
  const old: Tls = { maxVersion: "TLSv1.2" };

  test.each([
    { port: ports.submissions, alpn: [] },
    { port: ports.imaps, alpn: [] },
    { port: ports.https, alpn: ["smtp"] },
    { port: ports.https, alpn: ["imap"] },
  ])("does not get in at port $port as $alpn", async ({ port, alpn }) => {
    await expect(LineSocket.open(pod.at(port), { ...old, alpn })).rejects.toThrow();
  });

  test("is let in where other servers come: 25 and the web", async () => {
    (await LineSocket.open(pod.at(ports.https), { ...old, alpn: ["http/1.1"] })).destroy();
    const smtp = await SmtpClient.open(pod.at(ports.smtp));
    await smtp.startTls(old);
    expect(smtp.offers).toContain("SIZE");
    await smtp.quit();
  });
});

describe("STARTTLS", () => {
  test("587: no login before it, TLS 1.3 after it", async () => {
    const client = await SmtpClient.open(pod.at(ports.submission));
    expect(client.offers).toContain("STARTTLS");
    expect(client.offers).not.toContain("AUTH");
    expect((await client.login(alice, password)).code).toBeGreaterThanOrEqual(500);
    await client.startTls({ alpn: ["smtp"] });
    expect(client.offers).toContain("AUTH PLAIN");
    expect(await client.login(alice, password)).toMatchObject({ code: 235 });
    await client.quit();
    const old = await SmtpClient.open(pod.at(ports.submission));
    await expect(old.startTls({ maxVersion: "TLSv1.2" })).rejects.toThrow();
  });

  test("143: no login before it, TLS 1.3 after it", async () => {
    const client = await ImapClient.open(pod.at(ports.imap));
    expect(client.greeting).toMatch(/STARTTLS.* LOGINDISABLED/);
    expect(client.greeting).not.toContain("AUTH=");
    expect(await client.login(alice, password)).toMatchObject({ status: "NO" });
    await client.startTls({ alpn: ["imap"] });
    expect(await client.login(alice, password)).toMatchObject({ status: "OK" });
    await client.logout();
    const old = await ImapClient.open(pod.at(ports.imap));
    await expect(old.startTls({ maxVersion: "TLSv1.2" })).rejects.toThrow();
    old.destroy();
  });
});
