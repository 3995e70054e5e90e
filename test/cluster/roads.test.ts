/** A road that an administrator points out: in by a load balancer that says who its clients are. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { folders, ports } from "../../src/mail/layout.ts";
import { someAccount } from "../helpers/first-message.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { LineSocket } from "../helpers/line-socket.ts";
import { encryptedMessage } from "../helpers/messages.ts";
import { proxyV2 } from "../helpers/proxy-header.ts";
import { freshServer, operatorIsInstalled, podOf, removeServer } from "../helpers/servers.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { until } from "../helpers/until.ts";
import { addresses } from "../lab/place.ts";

beforeAll(operatorIsInstalled);

describe("behind a load balancer that names its clients", () => {
  const domain = "_balanced-story.test";
  const pod = podOf("balanced");
  const user = someAccount(domain);
  const withoutHeader = (port: number) => ({ host: domain, port });
  const client = "192.0.2.7";
  const by = (port: number) => ({ ...withoutHeader(port), preamble: proxyV2(client) });

  beforeAll(async () => {
    // the test is the load balancer, and alone is trusted: the kubelet, which probes, is another
    const proxyProtocol = { trustedNetworks: [`${addresses.gateway}/32`] };
    await freshServer("balanced", { domain, network: { proxyProtocol } });
  });
  afterAll(() => removeServer("balanced"));

  test("it is Ready, and the probes that made it so have left no line", async () => {
    // something that is surely written after them
    await (await ImapClient.ready(by(ports.imaps), user.address, user.password)).logout();
    await (await SmtpClient.ready(by(ports.smtp))).quit();
    const said = await until("the last word", async () => {
      const [dovecot, postfix] = [await pod.logs("dovecot"), await pod.logs("postfix")];
      return dovecot.includes("Logged in") && postfix.includes("disconnect from") && dovecot + postfix;
    });
    expect(said.split("\n").filter((line) => line.includes("haproxy"))).toEqual([]);
  });

  test("a client that was named reads, sends and sees the page", async () => {
    for (const port of [ports.imaps, ports.https]) {
      const imap = await ImapClient.ready(by(port), user.address, user.password);
      const who = await pod.exec("dovecot", "doveadm", "-c", `${folders.dovecotConfig}/dovecot.conf`, "who");
      expect(who).toContain(client);
      await imap.logout();
    }
    const data = encryptedMessage({ from: user.address, to: [user.address] });
    for (const port of [ports.submissions, ports.submission, ports.https]) {
      const smtp = await SmtpClient.ready(by(port), user.address, user.password);
      expect(await smtp.send({ from: user.address, to: [user.address], data })).toMatchObject({ code: 250 });
      await smtp.quit();
    }
    const page = await LineSocket.open(by(ports.https), { servername: domain, alpn: ["http/1.1"] });
    page.write(`GET / HTTP/1.1\r\nHost: ${domain}\r\nConnection: close\r\n\r\n`);
    expect(await page.line()).toBe("HTTP/1.1 200 OK");
    page.destroy();
  });

  test("one that was not is not served", async () => {
    for (const port of [ports.submissions, ports.imaps, ports.https]) {
      await expect(LineSocket.open(withoutHeader(port), {}), `port ${port}`).rejects.toThrow();
    }
    for (const port of [ports.smtp, ports.submission, ports.imap, ports.http]) {
      const socket = await LineSocket.open(withoutHeader(port), undefined);
      socket.write("GET / HTTP/1.0\r\n\r\n");
      const said = await socket.line().catch(() => "");
      expect(said, `port ${port}`).not.toMatch(/^(220 |\* OK|HTTP)/);
      await socket.closed();
    }
  });
});
