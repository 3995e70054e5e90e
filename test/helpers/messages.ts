/**
 * Messages as Delta Chat sends them: PGP/MIME whose packets are well-formed and whose contents are
 * random.
 */
import { randomBytes, randomInt } from "node:crypto";

export interface MessageOptions {
  from: string;
  to: readonly string[];
  subject?: string;
  headers?: Readonly<Record<string, string>>;
  /** Bytes inside the encrypted packet. */
  size?: number;
}

/** Letters and digits: a user name or a password that nobody has had before. */
export function randomName(length: number): string {
  const letters = "abcdefghijklmnopqrstuvwxyz0123456789";
  return Array.from({ length }, () => letters[randomInt(letters.length)]).join("");
}

export function encryptedMessage(options: MessageOptions): string {
  const boundary = `part-${randomName(12)}`;
  const packets = Buffer.concat([
    packet(1, Buffer.concat([Buffer.from([3]), randomBytes(96)])), // session key for one reader
    packet(18, Buffer.concat([Buffer.from([1]), randomBytes(options.size ?? 1200)])),
  ]);
  return lines(
    ...headers({ ...options, subject: options.subject ?? "[...]" }),
    `Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="${boundary}"`,
    "",
    `--${boundary}`,
    "Content-Type: application/pgp-encrypted",
    "",
    "Version: 1",
    "",
    `--${boundary}`,
    'Content-Type: application/octet-stream; name="encrypted.asc"',
    "",
    ...armor(packets),
    "",
    `--${boundary}--`,
  );
}

export function clearMessage(options: MessageOptions): string {
  return lines(...headers(options), "Content-Type: text/plain; charset=utf-8", "", "anyone can read this");
}

/** One packet with a new-format header and a four-octet length (RFC 9580 §4.2). */
function packet(type: number, body: Buffer): Buffer {
  const header = Buffer.alloc(6);
  header.writeUInt8(0xc0 | type, 0);
  header.writeUInt8(0xff, 1);
  header.writeUInt32BE(body.length, 2);
  return Buffer.concat([header, body]);
}

function armor(bytes: Buffer): string[] {
  const base64 = bytes.toString("base64").match(/.{1,64}/g) ?? [];
  return ["-----BEGIN PGP MESSAGE-----", "", ...base64, `=${crc24(bytes)}`, "-----END PGP MESSAGE-----"];
}

/** RFC 9580 §6.1.1. */
function crc24(bytes: Buffer): string {
  let crc = 0xb704ce;
  for (const byte of bytes) {
    crc ^= byte << 16;
    for (let bit = 0; bit < 8; bit++) {
      crc <<= 1;
      if (crc & 0x1000000) crc ^= 0x1864cfb;
    }
  }
  return Buffer.from([crc >> 16, crc >> 8, crc].map((octet) => octet & 0xff)).toString("base64");
}

const headers = (options: MessageOptions): string[] => [
  `From: <${options.from}>`,
  `To: ${options.to.map((to) => `<${to}>`).join(", ")}`,
  `Subject: ${options.subject ?? "hello"}`,
  `Message-ID: <${randomName(20)}@localhost>`,
  `Date: ${new Date().toUTCString().replace("GMT", "+0000")}`,
  "MIME-Version: 1.0",
  ...Object.entries(options.headers ?? {}).map(([name, value]) => `${name}: ${value}`),
];

const lines = (...all: string[]) => all.map((line) => `${line}\r\n`).join("");
