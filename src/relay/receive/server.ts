/** `/mxdeliv` behind nginx: takes mail from other relays by HTTPS and hands it on to Postfix. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { isIP } from "node:net";
import { mostMxdelivHeaderBytes, mostMxdelivHeaders } from "../../pod/layout.ts";
import { clientKey } from "../accounts/client.ts";
import type { Domains } from "../domains.ts";
import type { Metrics } from "../metrics.ts";
import { Admission, type AdmissionLimits } from "./admission.ts";
import { Body, type Pace } from "./body.ts";
import { handOn } from "./hand-on.ts";
import {
  answerFor,
  busy,
  busySeconds,
  DataForm,
  type Envelope,
  envelopeOf,
  type HttpAnswer,
  hasTooLargeHeaders,
  headerBytes,
  invalidData,
  isSurelyTooLarge,
  mostBodyBytes,
  tooLarge,
  tooLargeHeaders,
  tooSlow,
  unavailable,
  wrongMethod,
} from "./policy.ts";
import { type UnfinishedLimits, UnfinishedMessages } from "./unfinished.ts";

export interface ReceiveOptions {
  config: Domains;
  metrics: Metrics;
  /** Of Postfix's smtpd on the loopback. */
  port: number;
  onFailure: (thrown: unknown) => void;
}

/** As long as Postfix's smtpd waits for a client. */
const idleMs = 300_000;

/**
 * Postfix has a bounded number of processes for what runs; who waits holds a connection and the
 * headers.
 */
const admissionLimits: AdmissionLimits = {
  running: 50,
  runningEach: 10,
  waiting: 200,
  waitingEach: 20,
  waitingBytes: 4 * 2 ** 20,
  patienceMs: busySeconds * 1000,
};
/** Slower senders have SMTP. */
const pace: Pace = { graceMs: 10_000, bytesPerSecond: 32 * 1024 };
const mebibyte = 2 ** 20;
/** Some time for nginx to read an answer that comes before the end of the request. */
const restMs = 5000;

/**
 * On the volume, while messages come in: in any case room for two of the largest for each client.
 */
function unfinishedLimits(largestBytes: number): UnfinishedLimits {
  const each = Math.max(128 * mebibyte, 2 * largestBytes);
  return { each, total: 4 * each };
}

/** Not listening yet. */
export function receiveServer(options: ReceiveOptions): Server {
  const receiver = new Receiver(options);
  const server = createServer({
    maxHeaderSize: mostMxdelivHeaderBytes,
    requestTimeout: 0,
    keepAliveTimeout: 65_000,
  });
  // beyond it Node answers 431
  server.maxHeadersCount = mostMxdelivHeaders;
  // a body that stops coming must not keep its turn forever
  server.timeout = idleMs;
  server.on("request", (request, response) => {
    // until there is a turn for it, a body stays where it is
    request.pause();
    request.on("error", () => undefined);
    receiver
      .receive(request)
      .catch((thrown: unknown) => {
        options.onFailure(thrown);
        return unavailable;
      })
      .then((answer) => {
        options.metrics.count("mxdeliv_received_total", { outcome: outcomeOf(answer) });
        respond(request, response, answer);
      })
      .catch(options.onFailure);
  });
  return server;
}

class Receiver {
  readonly #options: ReceiveOptions;
  readonly #admission = new Admission(admissionLimits);
  readonly #unfinished = new UnfinishedMessages(() => unfinishedLimits(this.#largest));

  constructor(options: ReceiveOptions) {
    this.#options = options;
  }

  /** In bytes, of any of our domains; an edit may change it. */
  get #largest(): number {
    return Math.max(...Object.values(this.#options.config.domains).map((limits) => limits.maxMessageBytes));
  }

  /** All that headers can tell is told before a turn is waited for, and before the body is read. */
  async receive(request: IncomingMessage): Promise<HttpAnswer> {
    if (request.method !== "POST") return wrongMethod;
    if (hasTooLargeHeaders(request)) return tooLargeHeaders;
    const checked = envelopeOf(request.headersDistinct, this.#options.config);
    if ("refusal" in checked) return checked.refusal;
    if (isSurelyTooLarge(request.headers, this.#largest)) return tooLarge;
    const client = clientOf(request);
    const key = clientKey(client ?? "") ?? "";
    const leaving = new AbortController();
    const leave = () => leaving.abort();
    request.once("close", leave);
    const endTurn = await this.#admission.take({ client: key, bytes: headerBytes(request), signal: leaving.signal });
    request.off("close", leave);
    if (!endTurn) return busy;
    try {
      return await this.#handOn(request, { envelope: checked.envelope, client, key });
    } finally {
      endTurn();
    }
  }

  async #handOn(
    request: IncomingMessage,
    { envelope, client, key }: { envelope: Envelope; client: string | undefined; key: string },
  ): Promise<HttpAnswer> {
    const body = new Body(request, pace);
    const unfinished = this.#unfinished.begin(key, () => body.stop());
    try {
      const handing = await handOn(this.#options.port, { envelope, client });
      if (typeof handing === "string") return answerFor(handing);
      const form = new DataForm();
      const giveUp = (answer: HttpAnswer) => {
        handing.abort();
        return answer;
      };
      try {
        let received = 0;
        for (let piece = await body.next(); piece.kind !== "end"; piece = await body.next()) {
          if (piece.kind === "slow") return giveUp(tooSlow);
          if (piece.kind === "stopped") return giveUp(busy);
          received += piece.bytes.length;
          unfinished.add(piece.bytes.length);
          if (received > mostBodyBytes(this.#largest)) return giveUp(tooLarge);
          if (!form.push(piece.bytes)) break;
          await handing.write(piece.bytes);
        }
        return form.finish() ? answerFor(await handing.finish()) : giveUp(invalidData);
      } catch (thrown) {
        handing.abort();
        throw thrown;
      }
    } finally {
      unfinished.end();
      body.release();
    }
  }
}

/** The IP address of nginx's client. */
function clientOf(request: IncomingMessage): string | undefined {
  const [address = ""] = request.headersDistinct["x-real-ip"] ?? [];
  return isIP(address) === 0 ? undefined : address;
}

/**
 * An answer may come before the end of the body. nginx passes it on and ends its connection; what
 * it still sends meanwhile is read and dropped, since a connection closed over unread bytes would
 * be reset, and nginx would say 502 instead of the answer.
 */
function respond(request: IncomingMessage, response: ServerResponse, answer: HttpAnswer): void {
  response.writeHead(answer.status, {
    "Content-Type": "text/plain",
    "Content-Length": Buffer.byteLength(answer.body, "latin1"),
    ...(answer === busy && { "Retry-After": String(busySeconds) }),
  });
  response.end(answer.body, "latin1");
  if (request.complete || request.destroyed) return;
  const late = setTimeout(() => request.destroy(), restMs);
  request.once("close", () => clearTimeout(late));
  request.resume();
}

function outcomeOf({ status, body }: HttpAnswer): string {
  return status === 200 ? "accepted" : status === 405 ? "no mail" : body.slice(0, 3);
}
