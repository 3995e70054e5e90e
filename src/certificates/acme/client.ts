/**
 * The requests of ACME (RFC 8555), with profiles and renewal information (RFC 9773). It knows what
 * the protocol says and decides nothing: when what is requested is order.ts's business.
 */
import type { KeyObject } from "node:crypto";
import * as z from "zod";
import { messageOf } from "../../lib/text.ts";
import { askHttps, type HttpsAnswer } from "./exchange.ts";
import { bindingOf, type ExternalAccount, signed, thumbprintOf } from "./jws.ts";

/** What an ACME server says instead of doing what it was asked for; or that it can't be reached. */
export class AcmeError extends Error {
  override readonly name = "AcmeError";
  /**
   * The last part of the problem's type, such as "rateLimited"; "unreachable": there is no answer.
   */
  readonly type: string;
  readonly retryAfterMs: number | undefined;
  /** What it says of single names. */
  readonly names: readonly { name: string; says: string }[];

  constructor(
    message: string,
    of: {
      type: string;
      retryAfterMs?: number | undefined;
      names?: readonly { name: string; says: string }[];
      cause?: unknown;
    },
  ) {
    super(message, { cause: of.cause });
    this.type = of.type;
    this.retryAfterMs = of.retryAfterMs;
    this.names = of.names ?? [];
  }
}

const Identifier = z.object({ type: z.string(), value: z.string() });
const Subproblem = z.object({ type: z.string().optional(), detail: z.string().optional(), identifier: Identifier });
const Problem = z.object({
  type: z.string().default("about:blank"),
  detail: z.string().default(""),
  subproblems: z.array(Subproblem).catch([]).default([]),
});
type Problem = z.infer<typeof Problem>;

const Directory = z.object({
  newNonce: z.string(),
  newAccount: z.string(),
  newOrder: z.string(),
  renewalInfo: z.string().optional(),
  meta: z
    .object({
      termsOfService: z.string().optional(),
      externalAccountRequired: z.boolean().catch(false).default(false),
      profiles: z.record(z.string(), z.string()).catch({}).default({}),
      caaIdentities: z.array(z.string()).catch([]).default([]),
    })
    .prefault({}),
});
export type Directory = z.infer<typeof Directory>;

const Order = z.object({
  status: z.enum(["pending", "ready", "processing", "valid", "invalid"]),
  authorizations: z.array(z.string()).default([]),
  finalize: z.string(),
  certificate: z.string().optional(),
  error: Problem.optional(),
});

const Authorization = z.object({
  status: z.enum(["pending", "valid", "invalid", "deactivated", "expired", "revoked"]),
  identifier: Identifier,
  challenges: z
    .array(
      z.object({
        type: z.string(),
        url: z.string(),
        status: z.string(),
        token: z.string().optional(),
        error: Problem.optional(),
      }),
    )
    .default([]),
});
export type Authorization = z.infer<typeof Authorization>;

const RenewalInfo = z.object({
  suggestedWindow: z.object({ start: z.coerce.date(), end: z.coerce.date() }),
  explanationURL: z.string().optional(),
});

/** An order as the server has it. */
export type OrderObject = z.infer<typeof Order> & { url: string; retryAfterMs: number | undefined };

export interface AccountOptions {
  directoryUrl: string;
  key: KeyObject;
  email?: string | undefined;
  binding?: ExternalAccount | undefined;
  /** Authorities of the server beside the public ones, in PEM format. */
  authorities?: string | undefined;
}

/** A nonce that is refused is none of ours to explain: another one is tried. */
const mostNonces = 10;
const mostKeptNonces = 20;
const directoryKeptMs = 3_600_000;

/** Of one account at one server; shared by all that order with it. */
export class AcmeClient {
  readonly thumbprint: string;
  readonly #options: AccountOptions;
  readonly #nonces: string[] = [];
  #directory: { until: number; is: Promise<Directory> } | undefined;
  #account: Promise<string> | undefined;

  constructor(options: AccountOptions) {
    this.#options = options;
    this.thumbprint = thumbprintOf(options.key);
  }

  async directory(signal: AbortSignal): Promise<Directory> {
    const now = Date.now();
    if (this.#directory && this.#directory.until > now) return this.#directory.is;
    const is = this.#get(this.#options.directoryUrl, signal).then((answer) => parsed(Directory, answer, "directory"));
    this.#directory = { until: now + directoryKeptMs, is };
    is.catch(() => {
      this.#directory = undefined;
    });
    return is;
  }

  /** The account's URI. It is created where the server does not have it. */
  account(signal: AbortSignal): Promise<string> {
    this.#account ??= this.#newAccount(signal).catch((thrown: unknown) => {
      this.#account = undefined;
      throw thrown;
    });
    return this.#account;
  }

  async newOrder(
    of: { names: readonly string[]; profile?: string | undefined; replaces?: string | undefined },
    signal: AbortSignal,
  ): Promise<OrderObject> {
    const { newOrder } = await this.directory(signal);
    const identifiers = of.names.map((value) => ({ type: /^[0-9.]+$|:/.test(value) ? "ip" : "dns", value }));
    const payload = {
      identifiers,
      ...(of.profile !== undefined && { profile: of.profile }),
      ...(of.replaces !== undefined && { replaces: of.replaces }),
    };
    return orderFrom(await this.#post(newOrder, payload, signal));
  }

  async order(url: string, signal: AbortSignal): Promise<OrderObject> {
    return orderFrom(await this.#post(url, undefined, signal), url);
  }

  async authorization(url: string, signal: AbortSignal): Promise<Authorization> {
    return parsed(Authorization, await this.#post(url, undefined, signal), "authorization");
  }

  /** Lets the server look for the answer to a challenge. */
  async accept(url: string, signal: AbortSignal): Promise<void> {
    await this.#post(url, {}, signal);
  }

  /** `request`: in DER. */
  async finalize(of: { url: string; order: string; request: Buffer }, signal: AbortSignal): Promise<OrderObject> {
    return orderFrom(await this.#post(of.url, { csr: of.request.toString("base64url") }, signal), of.order);
  }

  /** The certificate and its chain, in PEM format. */
  async certificate(url: string, signal: AbortSignal): Promise<string> {
    const answer = await this.#post(url, undefined, signal, "application/pem-certificate-chain");
    if (!answer.body.includes("-----BEGIN CERTIFICATE-----"))
      throw new AcmeError("what the server sent as certificate is none", { type: "malformed" });
    return answer.body;
  }

  /** Undefined where the server has no such information. */
  async renewalInfo(
    certificateId: string,
    signal: AbortSignal,
  ): Promise<{ start: Date; end: Date; retryAfterMs: number | undefined } | undefined> {
    const { renewalInfo } = await this.directory(signal);
    if (renewalInfo === undefined) return undefined;
    const answer = await this.#get(`${renewalInfo.replace(/\/$/, "")}/${certificateId}`, signal);
    const { suggestedWindow } = parsed(RenewalInfo, answer, "renewal information");
    if (suggestedWindow.end <= suggestedWindow.start)
      throw new AcmeError("the server suggests a window that ends before it begins", { type: "malformed" });
    return { ...suggestedWindow, retryAfterMs: retryAfterMs(answer) };
  }

  async #newAccount(signal: AbortSignal): Promise<string> {
    const { key, email, binding } = this.#options;
    const { newAccount, meta } = await this.directory(signal);
    if (meta.externalAccountRequired && !binding)
      throw new AcmeError(
        "the server wants an external account: set certificate.acme.externalAccountBinding to what it gave you",
        { type: "externalAccountRequired" },
      );
    const payload = {
      termsOfServiceAgreed: true,
      ...(email !== undefined && { contact: [`mailto:${email}`] }),
      ...(binding && { externalAccountBinding: bindingOf(binding, key, newAccount) }),
    };
    const { headers } = await this.#send(newAccount, payload, { signal });
    const { location } = headers;
    if (typeof location !== "string") throw new AcmeError("the server named no account", { type: "malformed" });
    return location;
  }

  async #post(url: string, payload: object | undefined, signal: AbortSignal, accept?: string): Promise<HttpsAnswer> {
    const kid = await this.account(signal);
    try {
      return await this.#send(url, payload, { signal, kid, accept });
    } catch (thrown) {
      // the server has lost it, or has another one of the name: the next request creates it
      if (thrown instanceof AcmeError && thrown.type === "accountDoesNotExist") this.#account = undefined;
      throw thrown;
    }
  }

  async #send(
    url: string,
    payload: object | undefined,
    how: { signal: AbortSignal; kid?: string; accept?: string | undefined },
  ): Promise<HttpsAnswer> {
    const { signal, kid, accept } = how;
    for (let tried = 1; ; tried++) {
      const nonce = this.#nonces.pop() ?? (await this.#newNonce(signal));
      const body = JSON.stringify(signed(this.#options.key, { nonce, url, kid }, payload));
      const answer = await this.#ask({ method: "POST", url, body, signal, ...(accept !== undefined && { accept }) });
      if (answer.status < 400) return answer;
      const error = errorFrom(answer, url);
      if (error.type !== "badNonce" || tried === mostNonces) throw error;
    }
  }

  async #newNonce(signal: AbortSignal): Promise<string> {
    const { newNonce } = await this.directory(signal);
    await this.#ask({ method: "HEAD", url: newNonce, signal });
    const nonce = this.#nonces.pop();
    if (nonce === undefined) throw new AcmeError("the server gives no nonce", { type: "malformed" });
    return nonce;
  }

  async #get(url: string, signal: AbortSignal): Promise<HttpsAnswer> {
    const answer = await this.#ask({ method: "GET", url, signal });
    if (answer.status >= 400) throw errorFrom(answer, url);
    return answer;
  }

  /** Each answer brings the nonce of the next request. */
  async #ask(question: Omit<Parameters<typeof askHttps>[0], "authorities">): Promise<HttpsAnswer> {
    const { authorities } = this.#options;
    try {
      const answer = await askHttps({ ...question, authorities });
      const nonce = answer.headers["replay-nonce"];
      if (typeof nonce === "string" && this.#nonces.length < mostKeptNonces) this.#nonces.push(nonce);
      return answer;
    } catch (thrown) {
      if (question.signal.aborted) throw thrown;
      const { host } = new URL(question.url);
      throw new AcmeError(`${host} can't be reached: ${messageOf(thrown)}`, { type: "unreachable", cause: thrown });
    }
  }
}

function orderFrom(answer: HttpsAnswer, known?: string): OrderObject {
  const { location } = answer.headers;
  const url = known ?? location;
  if (typeof url !== "string") throw new AcmeError("the server named no order", { type: "malformed" });
  return { ...parsed(Order, answer, "order"), url, retryAfterMs: retryAfterMs(answer) };
}

function parsed<Schema extends z.ZodType>(schema: Schema, { body }: HttpsAnswer, what: string): z.output<Schema> {
  try {
    return schema.parse(JSON.parse(body));
  } catch (cause) {
    throw new AcmeError(`the server's answer is no ${what}`, { type: "malformed", cause });
  }
}

function errorFrom(answer: HttpsAnswer, url: string): AcmeError {
  const { host } = new URL(url);
  const wait = { retryAfterMs: retryAfterMs(answer) };
  let problem: Problem;
  try {
    problem = Problem.parse(JSON.parse(answer.body));
  } catch (cause) {
    const type = answer.status === 429 ? "rateLimited" : "serverInternal";
    return new AcmeError(`${host} answers HTTP ${answer.status}`, { type, ...wait, cause });
  }
  return new AcmeError(saidIn(problem) || `${host} answers HTTP ${answer.status}`, {
    type: typeOf(problem),
    ...wait,
    names: problem.subproblems.map(({ identifier, detail, type }) => ({
      name: identifier.value,
      says: detail ?? type ?? "refused",
    })),
  });
}

/** What a problem says, for people. */
export function saidIn(problem: Problem): string {
  const details = problem.subproblems.map(({ identifier, detail }) => `${identifier.value}: ${detail ?? ""}`);
  return [problem.detail, ...details].join("; ").slice(0, 1_000);
}

const typeOf = ({ type }: Problem) => type.split(":").at(-1) ?? type;

/** In seconds or as a date (RFC 9110 §10.2.3). */
function retryAfterMs({ headers }: HttpsAnswer): number | undefined {
  const value = headers["retry-after"];
  if (typeof value !== "string") return undefined;
  const seconds = /^[0-9]{1,9}$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1_000;
  return Number.isFinite(seconds) ? Math.max(0, seconds * 1_000) : undefined;
}
