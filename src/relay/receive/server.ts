/** `/mxdeliv` behind nginx: takes mail from other relays by HTTPS and hands it on to Postfix. */
import { createServer, type IncomingMessage, type Server } from "node:http";
import { isIP } from "node:net";
import { mostMxdelivHeaders } from "../../mail/layout.ts";
import type { Domains } from "../domains.ts";
import type { Metrics } from "../metrics.ts";
import { handOn } from "./hand-on.ts";
import {
  answerFor,
  DataForm,
  envelopeOf,
  type HttpAnswer,
  invalidData,
  isSurelyTooLarge,
  tooLarge,
  unavailable,
  wrongMethod,
} from "./policy.ts";

export interface ReceiveOptions {
  config: Domains;
  metrics: Metrics;
  /** Of Postfix's smtpd on the loopback. */
  port: number;
  onFailure(thrown: unknown): void;
}

/** 1,000 recipients, each in a header of its own. */
const maxHeaderBytes = 512 * 1024;
/** As long as Postfix's smtpd waits for a client. */
const idleMs = 300_000;
/** More wait for their turn: Postfix has a bounded number of processes for them. */
const mostAtOnce = 50;

/** Not listening yet. */
export function receiveServer(options: ReceiveOptions): Server {
  const turns = new Turns(mostAtOnce);
  const server = createServer({ maxHeaderSize: maxHeaderBytes, requestTimeout: 0, keepAliveTimeout: 65_000 });
  // beyond it Node answers 431
  server.maxHeadersCount = mostMxdelivHeaders;
  // a body that stops coming must not keep its turn for ever
  server.timeout = idleMs;
  server.on("request", (request, response) => {
    turns
      .run(() => receive(request, options))
      .catch((thrown: unknown) => {
        options.onFailure(thrown);
        return unavailable;
      })
      .then(async (answer) => {
        await rest(request);
        options.metrics.count("mxdeliv_received_total", { outcome: outcomeOf(answer) });
        response.writeHead(answer.status, {
          "Content-Type": "text/plain",
          "Content-Length": Buffer.byteLength(answer.body, "latin1"),
        });
        response.end(answer.body, "latin1");
      });
  });
  return server;
}

async function receive(request: IncomingMessage, { config, port }: ReceiveOptions): Promise<HttpAnswer> {
  if (request.method !== "POST") return wrongMethod;
  const checked = envelopeOf(request.headersDistinct, config);
  if ("refusal" in checked) return checked.refusal;
  const largest = Math.max(...Object.values(config.domains).map((limits) => limits.maxMessageBytes));
  if (isSurelyTooLarge(request.headers, largest)) return tooLarge;
  const handing = await handOn(port, { envelope: checked.envelope, client: clientOf(request) });
  if (typeof handing === "string") return answerFor(handing);
  try {
    const form = new DataForm();
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      if (!form.push(chunk)) break;
      await handing.write(chunk);
    }
    if (!form.finish()) {
      handing.abort();
      return invalidData;
    }
    return answerFor(await handing.finish());
  } catch (thrown) {
    handing.abort();
    throw thrown;
  }
}

/** The IP address of nginx's client. */
function clientOf(request: IncomingMessage): string | undefined {
  const [address = ""] = request.headersDistinct["x-real-ip"] ?? [];
  return isIP(address) === 0 ? undefined : address;
}

/**
 * Reads what is left of a body. nginx has the whole of it already, so this is quick; a connection closed over unread bytes would
 * be reset, and nginx would say 502 instead of the answer.
 */
async function rest(request: IncomingMessage): Promise<void> {
  if (request.complete || request.destroyed) return;
  await new Promise<void>((resolve) => {
    request.once("end", resolve);
    request.once("close", resolve);
    request.resume();
  });
}

function outcomeOf({ status, body }: HttpAnswer): string {
  return status === 200 ? "accepted" : status === 405 ? "no mail" : body.slice(0, 3);
}

/** Lets so many run at once; the others in the order they came. */
class Turns {
  readonly #most: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(most: number) {
    this.#most = most;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#most) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running++;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running--;
    }
  }
}
