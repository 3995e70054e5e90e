/**
 * Behind a load balancer that says who its clients are: limits and sessions are theirs, and whoever
 * says nothing is sent away.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import { folders } from "../../src/pod/layout.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { LineSocket } from "../helpers/line-socket.ts";
import { randomName } from "../helpers/messages.ts";
import { proxyV1, proxyV2 } from "../helpers/proxy-header.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { allPorts, statesOfPorts } from "../helpers/served-certificates.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { until } from "../helpers/until.ts";

let pod: RelayPod;
const password = "correct horse";
const user = `${randomName(9)}@_balanced.test`;

beforeAll(async () => {
  pod = await startRelayPod({
    domain: "_balanced.test",
    // the lab's own network, where the tests stand
    spec: {
      accounts: { createRatePerMinute: 1, createBurst: 20 },
      network: { proxyProtocol: { trustedNetworks: ["198.51.100.0/24"] }, connections: { submission: 10 } },
    },
  });
});
afterAll(() => pod?.remove());

const by = (port: number, client: string, header = proxyV2) => ({ ...pod.at(port), preamble: header(client) });

// the first of all: whatever the others leave in the logs may still be on its way when they end
test("a probe, which says nothing at all, leaves no line", async () => {
  const said = async () => {
    const logs = await Promise.all((["postfix", "dovecot", "web"] as const).map((name) => pod.logs(name)));
    return logs.flatMap((text) => text.trim().split("\n"));
  };
  const disconnect = /smtpd.*: disconnect/;
  const loggedIn = /imap-login.*: Logged in/;
  const sessions = async (count: number) => {
    await (await SmtpClient.ready(by(ports.smtp, "203.0.113.5"))).quit();
    await (await ImapClient.ready(by(ports.imaps, "203.0.113.5"), user, password)).logout();
    return until(`${count} sessions in the logs`, async () => {
      const lines = await said();
      const all = [disconnect, loggedIn].every((of) => lines.filter((line) => of.test(line)).length === count);
      return all && lines;
    });
  };
  const before = new Set(await sessions(1));
  for (const port of [ports.smtp, ports.imap, ports.imaps, ports.http, ports.https]) {
    (await LineSocket.open(pod.at(port), undefined)).destroy();
  }
  const since = (await sessions(2)).filter((line) => !before.has(line));
  const ofThose = [disconnect, loggedIn, /smtpd.*: Anonymous TLS/, /imap\(/];
  expect(since.filter((line) => !ofThose.some((of) => of.test(line)))).toEqual([]);
});

test("the operator is told which certificate each port presents", async () => {
  const client = await SmtpClient.ready(by(ports.smtp, "203.0.113.5"));
  const { sha256 } = client;
  await client.quit();
  const wanted = { host: pod.host, domain: pod.domain, sha256 };
  expect(await statesOfPorts({ ...wanted, proxyProtocol: true })).toEqual(allPorts("Current"));
  expect(await statesOfPorts({ ...wanted, proxyProtocol: false })).toEqual(allPorts("Unreachable"));
});

test.each([
  { version: 1, header: proxyV1 },
  { version: 2, header: proxyV2 },
])("every mail port takes a header of version $version", async ({ header }) => {
  for (const port of [ports.smtp, ports.submissions, ports.submission]) {
    await (await SmtpClient.ready(by(port, "203.0.113.5", header))).quit();
  }
  for (const port of [ports.imap, ports.imaps, ports.https]) {
    const client = await ImapClient.open(by(port, "203.0.113.5", header));
    expect(client.greeting).toMatch(/^\* OK/);
    client.destroy();
  }
});

test.each(["2001:db8:0:a0c::1", "::ffff:cb00:710c"])(
  "a client with an IPv6 address that the load balancer reaches by IPv4: %s",
  async (client) => {
    for (const port of [ports.submissions, ports.submission, ports.https]) {
      await (await SmtpClient.ready(by(port, client), user, password)).quit();
    }
    for (const port of [ports.imaps, ports.https]) {
      await (await ImapClient.ready(by(port, client), user, password)).logout();
    }
    const client143 = await ImapClient.open(by(ports.imap, client));
    expect(client143.greeting).toMatch(/^\* OK/);
    client143.destroy();
  },
);

test.each([ports.submissions, ports.https])(
  "port %i: connections are counted by the client that was named",
  async (port) => {
    // of their own: what the other port's clients had may still be counted
    const [one, other] = [`198.51.100.${port % 200}`, `198.51.100.${(port % 200) + 1}`];
    // a third of connections.submission
    const three = await Promise.all([1, 2, 3].map(() => SmtpClient.ready(by(port, one))));
    await expect(SmtpClient.ready(by(port, one))).rejects.toThrow();
    await (await SmtpClient.ready(by(port, other))).quit();
    for (const client of three) await client.quit();
  },
);

test.each([ports.imaps, ports.https])("port %i: Dovecot knows the client that was named", async (port) => {
  const client = await ImapClient.ready(by(port, `203.0.113.${port % 200}`), user, password);
  const who = await pod.exec("dovecot", "doveadm", "-c", `${folders.dovecotConfig}/dovecot.conf`, "who");
  expect(who).toContain(`203.0.113.${port % 200}`);
  await client.logout();
});

test("nginx slows down the client that was named, and no other", async () => {
  const statuses = async (client: string, count: number) => {
    const socket = await LineSocket.open(by(ports.https, client), { alpn: ["http/1.1"] });
    const ask = (rest: string) => `POST /new HTTP/1.1\r\nHost: ${pod.domain}\r\nContent-Length: 0\r\n${rest}\r\n`;
    socket.write(ask("").repeat(count - 1) + ask("Connection: close\r\n"));
    const found: string[] = [];
    while (found.length < count) {
      const status = /HTTP\/1\.1 (\d+)/.exec(await socket.line())?.[1];
      if (status) found.push(status);
    }
    socket.destroy();
    return found;
  };
  for (const { client, same, other } of [
    { client: "203.0.113.8", same: "::ffff:cb00:7108", other: "203.0.113.9" },
    { client: "::ffff:cb00:710a", same: "203.0.113.10", other: "::ffff:cb00:710b" },
    { client: "2001:db8:0:a0a::1", same: "2001:db8:0:a0a::2", other: "2001:db8:0:a0b::1" },
  ]) {
    expect(await statuses(client, 30)).toContain("503");
    expect(await statuses(same, 1)).toEqual(["503"]);
    expect(await statuses(other, 1)).toEqual(["200"]);
  }
});

test("port 80 takes a header too", async () => {
  const socket = await LineSocket.open(by(ports.http, "203.0.113.5"), undefined);
  socket.write("GET / HTTP/1.0\r\n\r\n");
  expect(await socket.line()).toBe("HTTP/1.1 301 Moved Permanently");
  socket.destroy();
});

describe("without a header", () => {
  test.each([ports.submissions, ports.imaps, ports.https])("port %i: no TLS", async (port) => {
    await expect(LineSocket.open(pod.at(port), {})).rejects.toThrow();
  });

  test.each([ports.smtp, ports.submission, ports.imap])("port %i: no greeting, and the end", async (port) => {
    const socket = await LineSocket.open(pod.at(port), undefined);
    socket.write("EHLO client.test\r\n");
    expect(await socket.line().catch(() => "")).toMatch(/^$|^421 /);
    await socket.closed();
  });
});
