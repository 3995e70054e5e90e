/**
 * Checks the DKIM signatures of a message that streams by (RFC 6376 §6, RFC 8301, RFC 8463).
 * Stricter than the RFC where it leaves a choice: the whole body and every From header of the
 * message must be signed.
 */
import { createHash, verify } from "node:crypto";
import { type BodyHasher, bodyHasher, type Canonicalization, canonicalHeader } from "./canonical.ts";
import { type Header, HeaderBlock } from "./headers.ts";
import type { PublicKey } from "./key-record.ts";
import type { KeyAnswer, KeyCache } from "./keys.ts";
import { parseSignature, type Signature, withoutSignatureData } from "./signature.ts";

export interface VerifierOptions {
  keys: KeyCache;
  /** Milliseconds since 1970. */
  now: () => number;
}

export interface SignatureResult {
  /** Undefined where the signature does not say it understandably. */
  domain: string | undefined;
  selector: string | undefined;
  outcome: "pass" | "fail" | "temporary";
  /** The same words for every mail of this kind; nothing of the message in it. */
  why: string;
}

export interface Verification {
  /** DKIM-Signature headers in the message. */
  found: number;
  /** Of those that were considered, from the top of the message down. */
  results: readonly SignatureResult[];
}

export interface Verifying {
  /** `value` as a milter has it: latin1, with the space after the colon, folds with LF or CRLF. */
  header(name: string, value: string): void;
  /**
   * Key lookups begin here. With a domain, signatures of other domains are not considered: they
   * cost no hashing and no lookup.
   */
  endOfHeaders(onlyDomain?: string): void;
  body(chunk: Uint8Array): void;
  end(): Promise<Verification>;
}

export interface Verifier {
  begin(): Verifying;
}

/** Signatures looked at in one message; a mail of a relay has one or two. */
const mostSignatures = 10;
/** Signature headers that are read to find those. */
const mostSignatureHeaders = 50;

export function createVerifier(options: VerifierOptions): Verifier {
  return { begin: () => new MessageVerifying(options) };
}

interface Candidate {
  header: Header;
  signature: Signature;
  /** Shared with other signatures of this kind. */
  body: BodyHasher;
  keyName: string;
  key: Promise<KeyAnswer>;
}

type Considered = Candidate | SignatureResult;

class MessageVerifying implements Verifying {
  readonly #options: VerifierOptions;
  readonly #headers = new HeaderBlock();
  #found = 0;
  #considered: readonly Considered[] | undefined;
  readonly #hashers = new Map<Canonicalization, BodyHasher>();

  constructor(options: VerifierOptions) {
    this.#options = options;
  }

  header(name: string, value: string): void {
    this.#headers.add(name, value);
  }

  endOfHeaders(onlyDomain?: string): void {
    if (!this.#considered) this.#considered = this.#choose(onlyDomain?.toLowerCase());
  }

  body(chunk: Uint8Array): void {
    this.endOfHeaders();
    for (const hasher of this.#hashers.values()) hasher.write(chunk);
  }

  async end(): Promise<Verification> {
    this.endOfHeaders();
    const results: SignatureResult[] = [];
    for (const each of this.#considered ?? []) {
      results.push("outcome" in each ? each : await this.#judge(each));
    }
    return { found: this.#found, results };
  }

  #choose(onlyDomain: string | undefined): Considered[] {
    const headers = this.#headers.all("dkim-signature");
    this.#found = headers.length;
    const chosen: Considered[] = [];
    for (const header of headers.slice(0, mostSignatureHeaders)) {
      const parsed = parseSignature(header.value);
      const domain = "signature" in parsed ? parsed.signature.domain : parsed.domain;
      if (onlyDomain !== undefined && domain !== onlyDomain) continue;
      if (chosen.length === mostSignatures) break;
      chosen.push("signature" in parsed ? this.#candidate(header, parsed.signature) : failure(parsed.problem, parsed));
    }
    return chosen;
  }

  #candidate(header: Header, signature: Signature): Considered {
    const hopeless = this.#problemBeforeBody(signature);
    if (hopeless !== undefined) return failure(hopeless, signature);
    const body = this.#hashers.get(signature.body) ?? bodyHasher(signature.body);
    this.#hashers.set(signature.body, body);
    const keyName = `${signature.selector}._domainkey.${signature.domain}`;
    return { header, signature, body, keyName, key: this.#options.keys.get(keyName) };
  }

  #problemBeforeBody(signature: Signature): string | undefined {
    if (this.#headers.tooLarge) return "headers are too large";
    if (signature.expiresAt !== undefined && signature.expiresAt * 1000 < this.#options.now()) return "expired";
    // one more From on top of a signed one would be the one that readers are shown
    const signedFroms = signature.signedHeaders.filter((name) => name === "from").length;
    const froms = this.#headers.all("from").length;
    if (froms === 0) return "no From";
    if (froms > signedFroms) return "a From is not signed";
    return undefined;
  }

  async #judge(candidate: Candidate): Promise<SignatureResult> {
    const { signature, keyName } = candidate;
    const body = candidate.body.finish();
    if (signature.bodyLength !== undefined && signature.bodyLength !== body.length) {
      return failure("body is not signed to its end", signature);
    }
    if (!body.hash.equals(signature.bodyHash)) return failure("body has changed", signature);
    const data = this.#signedData(candidate);
    const answer = await candidate.key;
    const result = judgeKeys(signature, data, answer);
    if (result.outcome !== "fail" || answer.kind !== "keys") return result;
    const newer = await this.#options.keys.getAgain(keyName);
    return newer === answer ? result : judgeKeys(signature, data, newer);
  }

  #signedData({ header, signature }: Candidate): Buffer {
    const own = canonicalHeader(signature.headers, header.name, withoutSignatureData(header.value));
    const text = this.#headers.signedText(signature.signedHeaders, signature.headers, header) + own.slice(0, -2);
    return Buffer.from(text, "latin1");
  }
}

/** The best that any of the keys gives. */
function judgeKeys(signature: Signature, data: Buffer, answer: KeyAnswer): SignatureResult {
  if (answer.kind === "failed") return { ...named(signature), outcome: "temporary", why: answer.why };
  if (answer.kind === "none") return failure(answer.why, signature);
  let why = "no key record";
  for (const key of answer.keys) {
    const problem = keyProblem(signature, key) ?? (fits(signature, data, key) ? undefined : "signature does not fit");
    if (problem === undefined)
      return { ...named(signature), outcome: "pass", why: key.testing ? "valid, testing" : "valid" };
    why = problem;
  }
  return failure(why, signature);
}

function keyProblem(signature: Signature, key: PublicKey): string | undefined {
  if (`${key.type}-sha256` !== signature.algorithm) return "key is of another type";
  if (key.noSubdomains && signature.identityDomain !== signature.domain) return "key is not for subdomains";
  return undefined;
}

/**
 * On this thread: an RSA verification is shorter than the way to another one and back
 * (bench/dkim.ts).
 */
function fits(signature: Signature, data: Buffer, { type, key }: PublicKey): boolean {
  if (type === "rsa") return verify("sha256", data, key, signature.signature);
  // RFC 8463 §3: Ed25519 signs the SHA-256 of the data
  return verify(null, createHash("sha256").update(data).digest(), key, signature.signature);
}

const named = ({ domain, selector }: Pick<Signature, "domain" | "selector">) => ({ domain, selector });

function failure(why: string, of: { domain: string | undefined; selector?: string }): SignatureResult {
  return { domain: of.domain, selector: of.selector, outcome: "fail", why };
}
