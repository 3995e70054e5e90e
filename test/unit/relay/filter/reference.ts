/**
 * "Is it encrypted?", "is it a Secure-Join request?" once more, slow and obvious: the whole message
 * in memory, the plain rules one after the other (chatmail protocol §4 to §5). The streaming filter
 * must never accept what this refuses.
 */
import { takenApart } from "./as-postfix.ts";

interface Part {
  headers: Map<string, string>;
  body: string;
}

export interface PlainVerdict {
  encrypted: boolean;
  secureJoinRequest: boolean;
  deliveryReport: boolean;
}

export function plainVerdict(message: Buffer): PlainVerdict {
  const { headers, body } = takenApart(message);
  const first = (name: string) =>
    (headers.find((each) => each.name.toLowerCase() === name)?.value ?? "").replaceAll("\n", "").trim();
  const [type, boundary] = typeAndBoundary(first("content-type"));
  const text = body.toString("latin1");
  const isClean = type.startsWith("multipart/") && boundary !== "" && isEmptyAround(text, boundary);
  const parts = isClean ? partsOf(text, boundary) : [];
  const asksToJoin = /^v[cg]-request$/.test(first("secure-join"));
  const whole = { headers: new Map([["content-transfer-encoding", first("content-transfer-encoding")]]), body: text };
  return {
    encrypted: type === "multipart/encrypted" && isEncrypted(parts),
    secureJoinRequest:
      asksToJoin && (type === "text/plain" || type === "" ? isSecureJoinLine(whole) : isSecureJoinRequest(parts)),
    deliveryReport:
      type === "multipart/report" &&
      /;\s*report-type\s*=\s*"?delivery-status"?\s*(?:;|$)/i.test(first("content-type")) &&
      text.length <= 1 << 20 &&
      isDeliveryReport(parts),
  };
}

/** One short line at most before the first delimiter, nothing behind the last. */
function isEmptyAround(body: string, boundary: string): boolean {
  const lines = body.split("\n").map((line) => line.replace(/\r$/, ""));
  const begins = lines.findIndex((line) => line.startsWith(`--${boundary}`));
  const ends = lines.findIndex((line) => line.startsWith(`--${boundary}--`));
  const preamble = lines.slice(0, begins < 0 ? lines.length : begins).filter((line) => !/^[ \t]{0,120}$/.test(line));
  const epilogue = ends < 0 ? [] : lines.slice(ends + 1).filter((line) => !/^[ \t]{0,120}$/.test(line));
  return preamble.length <= 1 && preamble.every((line) => /^[ -~]{1,120}$/.test(line)) && epilogue.length === 0;
}

function isDeliveryReport(parts: Part[]): boolean {
  const types = parts.map(typeOf);
  if (types[0] === "text/plain") types.shift();
  const [status, returned, ...more] = types;
  const at = parts.length - types.length;
  return (
    /^message\/(?:global-)?delivery-status$/.test(status ?? "") &&
    /^(?:message\/rfc822|text\/rfc822-headers|message\/global(?:-headers)?)?$/.test(returned ?? "") &&
    more.length === 0 &&
    hasStatusFields(decoded(parts[at] as Part))
  );
}

function hasStatusFields(text: string): boolean {
  const groups = text.split(/\n(?:\r?\n)+/).filter((group) => group.trim() !== "");
  const [message = "", ...recipients] = groups;
  const has = (group: string, field: RegExp) => field.test(`\n${group}`);
  return (
    has(message, /\nreporting-mta[ \t]*:/i) &&
    recipients.length > 0 &&
    recipients.every((each) =>
      [
        /\nfinal-recipient[ \t]*:[ \t]*[^;]+;./i,
        /\naction[ \t]*:[ \t]*(?:failed|delayed|delivered|relayed|expanded)/i,
        /\nstatus[ \t]*:[ \t]*[245]\./i,
      ].every((field) => has(each, field)),
    ) &&
    groups.every((each) => each.split("\n").every((line) => /^(?:[A-Za-z][A-Za-z0-9-]*[ \t]*:|[ \t]|\r?$)/.test(line)))
  );
}

function typeAndBoundary(value: string): [string, string] {
  const type = (value.split(";")[0] ?? "").trim().toLowerCase();
  // a parameter's name stands outside of quotes
  const outside = value.replace(/"(?:\\.|[^"\\])*"/gs, (quoted) => "_".repeat(quoted.length));
  const at = outside.search(/;\s*boundary\s*=/i);
  const match = /^;\s*boundary\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^;\s]+))/is.exec(at < 0 ? "" : value.slice(at));
  return [type, match?.[1]?.replace(/\\(.)/gs, "$1") ?? match?.[2] ?? ""];
}

/** What stands between two delimiter lines, up to the closing one. */
function partsOf(body: string, boundary: string): Part[] {
  const parts: Part[] = [];
  let current: string[] | undefined;
  const lines = body.split("\n");
  for (const [index, line] of lines.entries()) {
    const text = line.replace(/\r$/, "");
    const rest = text.startsWith(`--${boundary}`) ? text.slice(boundary.length + 2).replace(/[ \t]*$/, "") : undefined;
    if (rest === "" || rest === "--") {
      if (current) parts.push(partOf(current.join("\n").replace(/\r?\n?$/, "")));
      current = rest === "" ? [] : undefined;
      if (rest === "--") return parts;
    } else current?.push(index === lines.length - 1 ? text : line);
  }
  if (current) parts.push(partOf(current.join("\n")));
  return parts;
}

function partOf(text: string): Part {
  const headers = new Map<string, string>();
  const end = /(?:^|\n)\r?(?:\n|$)/.exec(text);
  const head = end ? text.slice(0, end.index) : text;
  for (const field of head.replace(/\r?\n[ \t]/g, " ").split("\n")) {
    const colon = field.indexOf(":");
    const name = field.slice(0, colon).trim().toLowerCase();
    if (!headers.has(name)) headers.set(name, field.slice(colon + 1).trim());
  }
  return { headers, body: end ? text.slice(end.index + end[0].length) : "" };
}

const typeOf = (part: Part) => typeAndBoundary(part.headers.get("content-type") ?? "text/plain")[0];

function decoded(part: Part): string {
  const encoding = (part.headers.get("content-transfer-encoding") ?? "").toLowerCase();
  if (encoding === "base64") return Buffer.from(part.body, "base64").toString("latin1");
  if (encoding !== "quoted-printable") return part.body;
  return part.body
    .replace(/[ \t]+(?=\r?\n|$)/g, "")
    .replace(/=\r?\n/g, "")
    .replace(/=$/, "")
    .replace(/=([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function isEncrypted(parts: Part[]): boolean {
  const [version, content] = parts;
  if (parts.length !== 2 || !version || !content) return false;
  return (
    typeOf(version) === "application/pgp-encrypted" &&
    decoded(version).trim() === "Version: 1" &&
    typeOf(content) === "application/octet-stream" &&
    isArmored(decoded(content))
  );
}

function isSecureJoinRequest(parts: Part[]): boolean {
  const [only] = parts;
  return parts.length === 1 && only !== undefined && typeOf(only) === "text/plain" && isSecureJoinLine(only);
}

const isSecureJoinLine = (part: Part) => /^secure-join: v[cg]-request$/.test(decoded(part).trim().toLowerCase());

const begin = "-----BEGIN PGP MESSAGE-----\r\n";
const end = "-----END PGP MESSAGE-----";

export function isArmored(text: string): boolean {
  const trimmed = text.replace(/(?:\r\n)+$/, "");
  if (!text.startsWith(begin) || !trimmed.endsWith(end) || trimmed.length < begin.length + end.length) return false;
  const content = trimmed.slice(begin.length, -end.length).replace(/^Version: [^\r\n]*\r\n/, "");
  const withoutChecksum = content.includes("=") ? content.slice(0, content.lastIndexOf("=")) : content;
  return [withoutChecksum, content].some((each) => {
    const base64 = each.replace(/[\r\n]/g, "");
    const bytes = Buffer.from(base64, "base64");
    // what is not strict does not come out again as it went in
    return bytes.toString("base64") === base64 && isEncryptedPackets(bytes);
  });
}

/** (PKESK | SKESK)* SEIPD, packet by packet. */
export function isEncryptedPackets(bytes: Buffer): boolean {
  let at = 0;
  while (at < bytes.length) {
    const packet = readPacket(bytes, at);
    if (!packet || packet.end > bytes.length) return false;
    if (packet.end === bytes.length) return packet.type === 18;
    if (packet.type !== 1 && packet.type !== 3) return false;
    at = packet.end;
  }
  return false;
}

function readPacket(bytes: Buffer, start: number): { type: number; end: number } | undefined {
  const first = bytes[start] ?? 0;
  if (first >> 6 === 2) {
    const octets = [1, 2, 4, 0][first & 3] ?? 0;
    if (octets === 0 || start + 1 + octets > bytes.length) return undefined;
    return { type: (first >> 2) & 15, end: start + 1 + octets + bytes.readUIntBE(start + 1, octets) };
  }
  if (first >> 6 !== 3) return undefined;
  let at = start + 1;
  for (;;) {
    const length = bytes[at];
    if (length === undefined) return undefined;
    if (length < 192) return { type: first & 63, end: at + 1 + length };
    if (length < 224) {
      const second = bytes[at + 1];
      return second === undefined ? undefined : { type: first & 63, end: at + 2 + (length - 192) * 256 + second + 192 };
    }
    if (length === 255) {
      return at + 5 > bytes.length ? undefined : { type: first & 63, end: at + 5 + bytes.readUInt32BE(at + 1) };
    }
    at += 1 + 2 ** (length & 31);
  }
}
