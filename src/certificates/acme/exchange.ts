/** One HTTPS request to an ACME server. */
import { request } from "node:https";
import { rootCertificates } from "node:tls";

export interface HttpsAnswer {
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: string;
}

export interface HttpsQuestion {
  method: "GET" | "HEAD" | "POST";
  url: string;
  body?: string;
  accept?: string;
  /** Authorities beside those of Node, in PEM format. */
  authorities?: string | undefined;
  signal: AbortSignal;
}

const withinMs = 30_000;
const mostBytes = 1_048_576;

/** Throws what node:https throws; redirects are not followed. */
export function askHttps(question: HttpsQuestion): Promise<HttpsAnswer> {
  const { method, url, body, accept = "application/json", authorities } = question;
  const signal = AbortSignal.any([question.signal, AbortSignal.timeout(withinMs)]);
  const headers = {
    "User-Agent": "chatmail-operator",
    Accept: accept,
    ...(body !== undefined && {
      "Content-Type": "application/jose+json",
      "Content-Length": String(Buffer.byteLength(body)),
    }),
  };
  const ca = authorities === undefined ? {} : { ca: [...rootCertificates, authorities] };
  return new Promise((resolve, reject) => {
    const asked = request(url, { method, headers, signal, agent: false, ...ca }, (answer) => {
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (piece: string) => {
        text += piece;
        if (text.length > mostBytes) asked.destroy(new Error(`more than ${mostBytes} bytes`));
      });
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }));
      answer.on("error", reject);
    });
    asked.on("error", (error) => reject(signal.aborted ? (signal.reason as Error) : error));
    asked.end(body);
  });
}
