/**
 * Messages for DKIM tests: cut into headers and body, signed and verified as the milter does it,
 * and made up at random.
 */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { createKeyCache, type TxtAnswer } from "../../../src/dkim/keys.ts";
import { createSigner, type SigningKey } from "../../../src/dkim/sign.ts";
import { createVerifier, type Verification } from "../../../src/dkim/verify.ts";

export interface Message {
  headers: readonly (readonly [name: string, value: string])[];
  /** Latin1, CRLF line ends. */
  body: string;
}

/**
 * Cuts as Postfix does before a milter sees it: the value keeps its leading space, folds become LF.
 */
export function parseMessage(bytes: Buffer): Message {
  const text = bytes.toString("latin1");
  const end = text.indexOf("\r\n\r\n");
  const head = end < 0 ? text : text.slice(0, end + 2);
  const lines = head.match(/[^\r\n][\s\S]*?\r\n(?![ \t])/g) ?? [];
  const headers = lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1, -2).replaceAll("\r\n", "\n")] as const;
  });
  return { headers, body: end < 0 ? "" : text.slice(end + 4) };
}

export function messageBytes({ headers, body }: Message): Buffer {
  const lines = headers.map(([name, value]) => `${name}:${value.replace(/\r?\n/g, "\r\n")}\r\n`);
  return Buffer.from(`${lines.join("")}\r\n${body}`, "latin1");
}

/** `value` of the first header of this name replaced by what `change` makes of it. */
export function withHeader(message: Message, name: string, change: (value: string) => string): Message {
  const at = message.headers.findIndex(([each]) => each.toLowerCase() === name.toLowerCase());
  return {
    ...message,
    headers: message.headers.map((each, index) => (index === at ? [each[0], change(each[1])] : each)),
  };
}

export const onTop = (message: Message, name: string, value: string): Message => ({
  ...message,
  headers: [[name, value], ...message.headers],
});

/** 2026-11-23, on which all test messages are signed and checked. */
export const today = Date.UTC(2026, 10, 23, 12);

const keyPair = (type: "rsa" | "ed25519") =>
  type === "rsa" ? generateKeyPairSync("rsa", { modulusLength: 2048 }) : generateKeyPairSync("ed25519");

export interface TestKey extends SigningKey {
  keyName: string;
  /** The TXT record. */
  record: string;
}

export function testKey(domain: string, selector: string, type: "rsa" | "ed25519" = "rsa"): TestKey {
  const { privateKey, publicKey } = keyPair(type);
  const keyName = `${selector}._domainkey.${domain}`;
  return { domain, selector, key: privateKey, keyName, record: keyRecord(publicKey) };
}

export function keyRecord(key: KeyObject): string {
  const der = key.export({ type: "spki", format: "der" });
  if (key.asymmetricKeyType === "rsa") return `v=DKIM1;k=rsa;p=${der.toString("base64")};s=email;t=s`;
  return `v=DKIM1;k=ed25519;p=${der.subarray(-32).toString("base64")};s=email;t=s`;
}

export async function signed(
  message: Message,
  keys: readonly SigningKey[],
  options: { cut?: () => number; now?: number } = {},
) {
  const signing = createSigner({ keys, now: () => options.now ?? today }).begin();
  for (const [name, value] of message.headers) signing.header(name, value);
  for (const chunk of chunks(message.body, options.cut)) signing.body(chunk);
  const added = await signing.end(keys[0]?.domain ?? "");
  return { ...message, headers: [...added.map(({ name, value }) => [name, value] as const), ...message.headers] };
}

/** A resolver with these TXT records, by name; an undefined one fails. */
export function resolverOf(
  records: Readonly<Record<string, string | undefined>>,
): (name: string) => Promise<TxtAnswer> {
  return async (name) => {
    if (!Object.hasOwn(records, name)) return { kind: "none", ttlSeconds: 60 };
    const text = records[name];
    return text === undefined
      ? { kind: "failed", why: "no answer" }
      : { kind: "found", records: [text], ttlSeconds: 3600 };
  };
}

export async function verified(
  message: Message,
  records: Readonly<Record<string, string | undefined>>,
  options: { onlyDomain?: string; now?: number; cut?: () => number } = {},
): Promise<Verification> {
  const now = () => options.now ?? today;
  const verifying = createVerifier({ keys: createKeyCache({ lookup: resolverOf(records), now }), now }).begin();
  for (const [name, value] of message.headers) verifying.header(name, value);
  verifying.endOfHeaders(options.onlyDomain);
  for (const chunk of chunks(message.body, options.cut)) verifying.body(chunk);
  return verifying.end();
}

export function chunks(body: string, cut: () => number = () => 65_535): Buffer[] {
  const bytes = Buffer.from(body, "latin1");
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Math.max(1, cut());
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

/**
 * A message that is legal and as odd as can be: folds, 8-bit octets, long lines, white space and
 * empty lines in strange places.
 */
export function oddMessage(random: () => number, from: string): Message {
  const under = (most: number) => Math.floor(random() * most);
  const one = <T>(items: readonly T[]): T => items[under(items.length)] as T;
  const some = (count: number, make: () => string) => Array.from({ length: count }, make).join("");
  const letters = "abcXYZ019.,;:=_-+/()<>@\"'!?#%\xe9\xfc\x80\xff\xa0";
  const word = () => some(1 + under(12), () => one(letters.split("")));
  const gap = () => one([" ", " ", "  ", "\t", " \t ", "\n ", "\n\t", " \n  ", "\n \t"]);
  const text = (words: number) => some(words, () => gap() + word());

  const names = [
    "To",
    "Cc",
    "Date",
    "Message-ID",
    "Reply-To",
    "References",
    "In-Reply-To",
    "X-Odd",
    "Received",
    "Chat-Version",
  ];
  const more = [
    "Subject",
    "Content-Type",
    "Autocrypt",
    "List-Id",
    "Resent-From",
    "MIME-Version",
    "Comments",
    "subject",
    "TO",
  ];
  const headers: [string, string][] = [
    ["From", one([` <${from}>`, ` "A b" <${from}>`, `\n <${from}>`, `  ${from}  `, `${from}`])],
  ];
  for (let left = under(9); left > 0; left--) {
    const value = one([
      () => text(1 + under(8)),
      () => ` ${word()}`,
      () => word(),
      () => "",
      () => ` ${word()} \t `,
      () => text(60),
    ])();
    headers.splice(under(headers.length + 1), 0, [one([...names, ...more]), value]);
  }

  const line = () =>
    one([
      () => some(under(9), () => word() + one([" ", "  ", "\t", ""])),
      () => "",
      () => one([" ", "\t", "  \t "]),
      () => `.${word()}`,
      () => `${word()}${some(under(5), () => one([" ", "\t"]))}`,
      () => some(76, () => one("ABCDEFab0+/".split(""))),
      () => some(900 + under(98), () => one(letters.split(""))),
      () => `-- `,
    ])();
  const lines = some(one([0, 0, 1, 2, 5, 20]), () => `${line()}\r\n`);
  const emptyEnd = some(one([0, 0, 1, 3]), () => "\r\n");
  return { headers, body: lines + emptyEnd };
}
