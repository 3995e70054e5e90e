/** Requests to a relay's port 443, whatever certificate it shows. */
import { request } from "node:https";
import { ports } from "../../src/mail/layout.ts";

export interface Asked {
  path: string;
  method?: string;
  /** One with several values is sent as often. */
  headers?: Readonly<Record<string, string | string[]>>;
  body?: string;
}

export interface Page {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

/** One request on a connection of its own. */
export function askHttps(
  { host }: { host: string },
  { path, method = "GET", headers = {}, body = "" }: Asked,
): Promise<Page> {
  return new Promise((resolve, reject) => {
    const options = { host, port: ports.https, path, method, headers, rejectUnauthorized: false, agent: false };
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
  mail: { from?: string; to: readonly string[]; body: string; method?: string; path?: string },
): Promise<Page> {
  const { from, to, body, method = "POST", path = "/mxdeliv" } = mail;
  const headers = { ...(from === undefined ? {} : { "X-MAIL-FROM": from }), "X-MAIL-TO": [...to] };
  return askHttps(relay, { path, method, headers, body });
}
