/** Requests to a relay's port 443, whatever certificate it shows. */
import { request } from "node:https";
import { connect as connectTcp, isIP } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { ports } from "../../src/mail/ports.ts";

export interface Asked {
  path: string;
  method?: string;
  /** One with several values is sent as often. */
  headers?: Readonly<Record<string, string | string[]>>;
  body?: string;
  /** What is said before TLS: the header of a load balancer. */
  preamble?: Buffer;
  /** The domain that is meant: in TLS, unless it is an address, and as Host. */
  site?: string;
}

export interface Page {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

/** Also one in brackets, as Host has those of IPv6. */
const isAddress = (site: string) => isIP(site.replace(/^\[(.*)\]$/, "$1")) !== 0;

/** A connection to port 443, for HTTP/1.1; errors are left to whoever reads it. */
export function openHttps({ host }: { host: string }, preamble: Buffer = Buffer.alloc(0)): TLSSocket {
  const plain = connectTcp({ host, port: ports.https, noDelay: true });
  plain.write(preamble);
  return connectTls({ socket: plain, rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] });
}

/** One request on a connection of its own. `port`: where something else than 443 stands for it. */
export function askHttps(
  { host, port = ports.https }: { host: string; port?: number },
  { path, method = "GET", headers = {}, body = "", preamble, site }: Asked,
): Promise<Page> {
  return new Promise((resolve, reject) => {
    const createConnection = preamble && (() => openHttps({ host }, preamble));
    const options = {
      ...{ host, port, path, method, rejectUnauthorized: false },
      headers: { ...headers, ...(site !== undefined && { Host: site }) },
      ...(site !== undefined && !isAddress(site) && { servername: site }),
      // beside an agent it would not be used
      ...(createConnection ? { createConnection } : { agent: false as const }),
    };
    const asking = request(options, async (response) => {
      const text = Buffer.concat(await response.toArray()).toString();
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text });
    });
    asking.on("error", reject);
    asking.end(body);
  });
}

/** A mail as another relay hands it in by `/mxdeliv`; a bounce is from nobody. */
export function postMail(
  relay: { host: string },
  mail: {
    from?: string;
    to: readonly string[];
    body: string;
    method?: string;
    path?: string;
    preamble?: Buffer;
    site?: string;
  },
): Promise<Page> {
  const { from, to, body, method = "POST", path = "/mxdeliv", preamble, site } = mail;
  const headers = { ...(from === undefined ? {} : { "X-MAIL-FROM": from }), "X-MAIL-TO": [...to] };
  return askHttps(relay, {
    ...{ path, method, headers, body },
    ...(preamble && { preamble }),
    ...(site !== undefined && { site }),
  });
}
