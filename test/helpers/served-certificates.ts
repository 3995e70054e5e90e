/** Which certificate a relay shows, at each port and for each protocol that the port speaks. */
import { ports } from "../../src/mail/ports.ts";
import { ServedCertificates, type ServedState, type WantedServed } from "../../src/operator/tasks/served.ts";
import { keptLog } from "./fake-api-server.ts";
import { ImapClient } from "./imap-client.ts";
import { type Address, LineSocket } from "./line-socket.ts";
import { SmtpClient } from "./smtp-client.ts";
import { patienceMs, until } from "./until.ts";

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

/** What the operator says of each port of a pod that is to present this. */
export async function statesOfPorts(wanted: Omit<WantedServed, "podUid">): Promise<Record<number, ServedState>> {
  const stopping = new AbortController();
  const served = new ServedCertificates();
  const running = served.run({ signal: stopping.signal, log: keptLog() });
  try {
    served.want("a/pod", { ...wanted, podUid: "1" });
    const found = await until("the ports to be asked", async () => served.of("a/pod"), {
      patienceMs: patienceMs.client,
    });
    return Object.fromEntries(found.ports.map(({ port, state }) => [port, state]));
  } finally {
    stopping.abort(new Error("stopped"));
    await running;
  }
}

export const allPorts = (state: ServedState): Record<number, ServedState> =>
  Object.fromEntries([25, 143, 443, 465, 587, 993].map((port) => [port, state]));
