/** When a certificate is renewed. Pure. */
import { createHash, X509Certificate } from "node:crypto";

/** From when to when the authority wants it to be renewed (RFC 9773 §4.2). */
export interface RenewalWindow {
  start: Date;
  end: Date;
}

/** What is asked of a certificate here. */
export type RenewedCertificate = Pick<X509Certificate, "raw" | "validFrom" | "validTo">;

/**
 * A moment within the window that the authority suggests, else about two thirds into the life of
 * the certificate: days of a certificate of six days, weeks of one of ninety. It is another moment
 * for each certificate and always the same for one, so a thousand that were issued on one day are
 * not renewed at one time, and an operator that starts again changes nothing.
 */
export function renewalTime(certificate: RenewedCertificate, window: RenewalWindow | undefined): Date {
  const share = shareOf(certificate);
  if (window) return between(window.start, window.end, share);
  const begins = Date.parse(certificate.validFrom);
  const life = Date.parse(certificate.validTo) - begins;
  return between(new Date(begins + life * 0.6), new Date(begins + life * (2 / 3)), share);
}

const between = (start: Date, end: Date, share: number) =>
  new Date(start.getTime() + (end.getTime() - start.getTime()) * share);

/** From 0 up to 1, by the certificate. */
const shareOf = ({ raw }: RenewedCertificate) => createHash("sha256").update(raw).digest().readUInt32BE(0) / 2 ** 32;

/**
 * By which the authority knows a certificate (RFC 9773 §4.1); undefined where it does not say who
 * signed it.
 */
export function certificateId(certificate: X509Certificate): string | undefined {
  const authority = authorityKeyOf(certificate.raw);
  if (!authority) return undefined;
  const hex = certificate.serialNumber.length % 2 === 0 ? certificate.serialNumber : `0${certificate.serialNumber}`;
  const serial = Buffer.from(hex, "hex");
  // as DER has it: a positive number does not begin with a set bit
  const bytes = ((serial[0] ?? 0) & 0x80) === 0 ? serial : Buffer.concat([Buffer.of(0), serial]);
  return `${authority.toString("base64url")}.${bytes.toString("base64url")}`;
}

/** The key identifier in the extension authorityKeyIdentifier (RFC 5280 §4.2.1.1). */
function authorityKeyOf(raw: Buffer): Buffer | undefined {
  const id = Buffer.from("0603551d23", "hex");
  const at = raw.indexOf(id);
  if (at < 0) return undefined;
  // OCTET STRING { SEQUENCE { [0] keyIdentifier … } }; the extension is never critical and short
  const [octets, , sequence, , keyId, length = 0] = raw.subarray(at + id.length, at + id.length + 6);
  if (octets !== 0x04 || sequence !== 0x30 || keyId !== 0x80 || length === 0 || length > 64) return undefined;
  const from = at + id.length + 6;
  return raw.subarray(from, from + length);
}

/** The first of a chain in PEM format. */
export function firstCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}
