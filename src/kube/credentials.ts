/**
 * Where the API server is and how we prove who we are: a pod's own service account, or a
 * kubeconfig.
 */
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { urlHost } from "../lib/url-host.ts";

/** A list is a header that is sent several times. */
export type IdentityHeaders = Readonly<Record<string, string | string[]>>;

export interface Credentials {
  server: URL;
  tls: { ca?: string | Buffer; cert?: string | Buffer; key?: string | Buffer; servername?: string; insecure?: boolean };
  /**
   * Headers that go with every request (`authorization`, say); called for each, so it answers from
   * memory. `refused`: the last ones were (HTTP 401); get new ones. A rejection is the call's.
   */
  headers(options?: { refused?: boolean }): Promise<IdentityHeaders>;
  /** The namespace that the credentials belong to. */
  namespace: string | undefined;
}

/** Kubelets renew a token well before its end; client-go looks once a minute too. */
const tokenLivesMs = 60_000;

/** Three files and two variables: no library is needed, and none is loaded. */
export function inClusterCredentials(options: {
  host: string;
  port: string;
  folder: string;
  now?: () => number;
}): Credentials {
  const { folder, now = () => performance.now() } = options;
  let token = { value: "", readAt: Number.NEGATIVE_INFINITY };
  return {
    server: new URL(`https://${urlHost(options.host)}:${options.port}`),
    tls: { ca: readFileSync(`${folder}/ca.crt`) },
    namespace: readFileSync(`${folder}/namespace`, "utf8").trim(),
    async headers({ refused = false } = {}) {
      if (refused || now() - token.readAt > tokenLivesMs) {
        const read = await readFile(`${folder}/token`, "utf8").catch((error: unknown) => {
          // The one we have may still be good; the next call looks again.
          if (token.value === "") throw error;
          return "";
        });
        if (read.trim() !== "") token = { value: read.trim(), readAt: now() };
      }
      return { authorization: `Bearer ${token.value}` };
    },
  };
}
