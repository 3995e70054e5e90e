/**
 * Blocks of a PEM text (RFC 7468). Text around them is skipped, and line ends may be of any kind.
 * Pure.
 */

export interface PemBlock {
  label: string;
  /** The base64, with white space, and with headers where an old kind of key has them. */
  body: string;
}

/** In their order, or undefined where a block has a beginning and no end. */
export function pemBlocks(text: string): PemBlock[] | undefined {
  const blocks = [...text.matchAll(/-----BEGIN ([A-Z0-9 #]+)-----([^-]*(?:-(?!----)[^-]*)*)-----END \1-----/g)].map(
    ([, label = "", body = ""]) => ({ label, body }),
  );
  return text.split("-----BEGIN ").length - 1 === blocks.length ? blocks : undefined;
}
