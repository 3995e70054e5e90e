/**
 * Signs a message that streams by: one DKIM-Signature for each key of the domain, relaxed/simple,
 * over the headers that relays sign (chatmail protocol §19). Give it headers and body as they are
 * to leave, after all changes.
 */
import { createHash, createPrivateKey, type KeyObject, sign } from "node:crypto";
import { promisify } from "node:util";
import { type BodyHasher, bodyHasher, canonicalHeader } from "./canonical.ts";
import { HeaderBlock, nameKey } from "./headers.ts";
import { type Algorithm, domainName } from "./signature.ts";

export interface SigningKey {
  /** As in From, lower-case. */
  domain: string;
  selector: string;
  key: KeyObject;
}

export interface SignerOptions {
  /**
   * Several for one domain, such as an RSA and an Ed25519 key, sign beside each other, in this
   * order.
   */
  keys: readonly SigningKey[];
  /** Milliseconds since 1970. */
  now: () => number;
}

/**
 * A header to put on top of the message; the value as a milter has it: with the space after the
 * colon, folds with LF.
 */
export interface SignatureHeader {
  name: "DKIM-Signature";
  value: string;
}

export interface Signing {
  /** `value` as a milter has it: latin1, with the space after the colon, folds with LF or CRLF. */
  header(name: string, value: string): void;
  body(chunk: Uint8Array): void;
  /** Nothing where the domain has no keys. Throws HeadersTooLarge. */
  end(domain: string): Promise<SignatureHeader[]>;
}

export interface Signer {
  signs(domain: string): boolean;
  begin(): Signing;
}

/** There is more of the headers than is kept for signing. */
export class HeadersTooLarge extends Error {
  override readonly name = "HeadersTooLarge";
}

/**
 * OpenDKIM's default list (RFC 6376 §5.4.1); one more of each is signed than there is, so that none
 * can be added.
 */
const oversigned = [
  ...["from", "reply-to", "subject", "date", "to", "cc"],
  ...["resent-date", "resent-from", "resent-sender", "resent-to", "resent-cc", "in-reply-to", "references"],
  ...["list-id", "list-help", "list-unsubscribe", "list-subscribe", "list-post", "list-owner", "list-archive"],
  "autocrypt",
];
const signed = [...oversigned, "content-type"];
const isSigned = new Set(signed);

/** Each stands in the signature's list, which has to stay below Postfix's header_size_limit. */
const mostSignedHeaders = 1000;

/**
 * The library's thread pool, so that other mails go on: an RSA signature takes most of a
 * millisecond (bench/dkim.ts).
 */
const signAside = promisify(sign);

export function createSigner({ keys, now }: SignerOptions): Signer {
  const ofDomain = Map.groupBy(keys, (each) => each.domain);
  return {
    signs: (domain) => ofDomain.has(domain.toLowerCase()),
    begin: () => new MessageSigning((domain) => ofDomain.get(domain) ?? [], now),
  };
}

/**
 * A private key in PEM or DER (PKCS#8, PKCS#1); throws a plain Error that says what is wrong and
 * nothing of the key.
 */
export function signingKey(given: { domain: string; selector: string; privateKey: string | Buffer }): SigningKey {
  const domain = domainName(given.domain);
  const selector = domainName(given.selector);
  if (!domain || !selector) throw new Error(`${given.selector}._domainkey.${given.domain} is no name of a key`);
  const key = readKey(given.privateKey);
  if (!key) throw new Error(`the DKIM key ${selector} of ${domain} can't be read`);
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type !== "rsa" && type !== "ed25519")
    throw new Error(`the DKIM key ${selector} of ${domain} is not RSA or Ed25519`);
  const bits = details?.modulusLength ?? 0;
  if (type === "rsa" && bits < 1024)
    throw new Error(`the DKIM key ${selector} of ${domain} has ${bits} bits, 1024 are the least`);
  return { domain, selector, key };
}

function readKey(text: string | Buffer): KeyObject | undefined {
  try {
    return createPrivateKey(text);
  } catch {
    return undefined;
  }
}

class MessageSigning implements Signing {
  readonly #keysOf: (domain: string) => readonly SigningKey[];
  readonly #now: () => number;
  readonly #headers = new HeaderBlock();
  readonly #body: BodyHasher = bodyHasher("simple");

  constructor(keysOf: (domain: string) => readonly SigningKey[], now: () => number) {
    this.#keysOf = keysOf;
    this.#now = now;
  }

  header(name: string, value: string): void {
    if (isSigned.has(nameKey(name))) this.#headers.add(name, value);
  }

  body(chunk: Uint8Array): void {
    this.#body.write(chunk);
  }

  async end(domain: string): Promise<SignatureHeader[]> {
    const keys = this.#keysOf(domain.toLowerCase());
    if (keys.length === 0) return [];
    const bodyHash = this.#body.finish().hash.toString("base64");
    const names = signed.flatMap((name) => {
      const count = this.#headers.all(name).length + (oversigned.includes(name) ? 1 : 0);
      return new Array<string>(count).fill(name);
    });
    if (this.#headers.tooLarge || names.length > mostSignedHeaders) throw new HeadersTooLarge("headers are too large");
    const text = this.#headers.signedText(names, "relaxed");
    const seconds = Math.floor(this.#now() / 1000);
    return Promise.all(keys.map((each) => signOnce(each, { names, text, bodyHash, seconds })));
  }
}

interface Content {
  names: readonly string[];
  /** The canonical headers of those names. */
  text: string;
  bodyHash: string;
  seconds: number;
}

async function signOnce(given: SigningKey, content: Content): Promise<SignatureHeader> {
  const { domain, selector, key } = given;
  const rsa = key.asymmetricKeyType === "rsa";
  const algorithm: Algorithm = rsa ? "rsa-sha256" : "ed25519-sha256";
  const empty = [
    ` v=1; a=${algorithm}; c=relaxed/simple;`,
    `d=${domain}; s=${selector}; t=${content.seconds};`,
    `bh=${content.bodyHash};`,
    `h=${foldedList(content.names)};`,
    "b=",
  ].join("\n\t");
  const own = canonicalHeader("relaxed", "DKIM-Signature", empty.replaceAll("\n", "\r\n")).slice(0, -2);
  const data = Buffer.from(content.text + own, "latin1");
  const signature = rsa
    ? await signAside("sha256", data, key)
    : await signAside(null, createHash("sha256").update(data).digest(), key);
  return { name: "DKIM-Signature", value: empty + foldedBase64(signature) };
}

/**
 * Lines of 78 columns at most where names allow, as RFC 5322 would have it; a tab counts as one.
 */
function foldedList(names: readonly string[]): string {
  const lines: string[] = [];
  let line = "";
  for (const name of names) {
    if (line.length + name.length > 70) {
      lines.push(`${line}:`);
      line = name;
    } else line += line === "" ? name : `:${name}`;
  }
  return [...lines, line].join("\n\t ");
}

function foldedBase64(octets: Buffer): string {
  return (octets.toString("base64").match(/.{1,72}/g) ?? []).join("\n\t ");
}
