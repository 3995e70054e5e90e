/**
 * Of a certificate's extensions, what Node does not show (RFC 5280 §4.2.1.3, §4.2.1.9). Pure; the
 * certificate has been read by OpenSSL before.
 */
import type { X509Certificate } from "node:crypto";

/** undefined: the certificate does not restrict what its key is for. */
export function keyUsageOf(certificate: X509Certificate): { digitalSignature: boolean } | undefined {
  const value = extensionOf(certificate, "0603551d0f");
  if (!value) return undefined;
  return { digitalSignature: ((value[3] ?? 0) & 0x80) !== 0 };
}

/** How many intermediate certificates may come below this one; undefined: any number. */
export function pathLengthOf(certificate: X509Certificate): number | undefined {
  const value = extensionOf(certificate, "0603551d13");
  // SEQUENCE { BOOLEAN TRUE, INTEGER }
  return value && value[1] === 6 && value[2] === 1 && value[5] === 2 && value[6] === 1 ? value[7] : undefined;
}

/**
 * The octets inside the OCTET STRING of the extension with this object identifier (DER,
 * hexadecimal). Both extensions are short.
 */
function extensionOf({ raw }: X509Certificate, identifier: string): Buffer | undefined {
  const id = Buffer.from(identifier, "hex");
  let at = raw.indexOf(id);
  if (at < 0) return undefined;
  at += id.length;
  if (raw[at] === 1) at += 3; // critical
  const length = raw[at + 1] ?? 0;
  return raw[at] === 4 && length < 128 ? raw.subarray(at + 2, at + 2 + length) : undefined;
}
