/** Which certificate a relay shows, at each port and for each protocol that the port speaks. */
import { ports } from "../../src/mail/ports.ts";
import { ImapClient } from "./imap-client.ts";
import { type Address, LineSocket } from "./line-socket.ts";
import { SmtpClient } from "./smtp-client.ts";

/** SHA-256 of the certificates, hexadecimal, by port and protocol. */
export async function servedCertificates(at: (port: number) => Address): Promise<Record<string, string>> {
  const smtp = async (port: number) => {
    const client = await SmtpClient.ready(at(port));
    const { sha256 } = client;
    await client.quit();
    return sha256;
  };
  const imap = async (port: number) => {
    const client = await ImapClient.open(at(port));
    if (port === ports.imap) await client.startTls();
    const { sha256 } = client;
    client.destroy();
    return sha256;
  };
  const web = await LineSocket.open(at(ports.https), {});
  const shown = {
    25: await smtp(ports.smtp),
    465: await smtp(ports.submissions),
    587: await smtp(ports.submission),
    143: await imap(ports.imap),
    993: await imap(ports.imaps),
    443: web.shown.sha256,
    "443 imap": await imap(ports.https),
    "443 smtp": await smtp(ports.https),
  };
  web.destroy();
  return shown;
}
