/**
 * A message with the form of Delta Chat's: PGP/MIME with one packet for a session key and one with
 * integrity protection (RFC 9580 §5.1, §5.13). What is in them is random, so nobody can read it,
 * and the filter judges it as it judges a user's.
 */
import { randomBytes } from "node:crypto";

export interface ProbeMessage {
  from: string;
  to: string;
  /** Without angle brackets. */
  messageId: string;
  date: Date;
}

const versionOfKeyPacket = 3;
const versionOfDataPacket = 1;

export function probeMessage({ from, to, messageId, date }: ProbeMessage): string {
  const boundary = randomBytes(12).toString("hex");
  const packets = Buffer.concat([packet(1, versionOfKeyPacket, 96), packet(18, versionOfDataPacket, 600)]);
  const armored = packets.toString("base64").match(/.{1,64}/g) ?? [];
  const lines = [
    `From: <${from}>`,
    `To: <${to}>`,
    "Subject: [...]",
    `Message-ID: <${messageId}>`,
    `Date: ${date.toUTCString().replace("GMT", "+0000")}`,
    "MIME-Version: 1.0",
    "Chat-Version: 1.0",
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
    "-----BEGIN PGP MESSAGE-----",
    "",
    ...armored,
    "-----END PGP MESSAGE-----",
    "",
    `--${boundary}--`,
  ];
  return lines.map((line) => `${line}\r\n`).join("");
}

/** With a header of the current format and a length of four octets (RFC 9580 §4.2). */
function packet(type: number, version: number, randomOctets: number): Buffer {
  const header = Buffer.from([0xc0 | type, 0xff, 0, 0, 0, 0, version]);
  header.writeUInt32BE(1 + randomOctets, 2);
  return Buffer.concat([header, randomBytes(randomOctets)]);
}
