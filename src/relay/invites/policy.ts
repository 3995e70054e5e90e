/**
 * Who has an invite. /new hands out an address with a password that proves it: part of it is made
 * from invite and address. So nothing is kept until the first login, a restart forgets nothing, and
 * an invite that is taken back takes what was made with it and not yet used along. Pure.
 */
import { createHmac, timingSafeEqual } from "node:crypto";

/** 128 bits in base64url. */
const proofLength = 22;
/** Of letters and digits: 95 bits. */
const leastRandomLength = 16;

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** `below` gives a uniform random whole number from 0 up to and without its argument. */
export function provenPassword(options: {
  token: string;
  address: string;
  minLength: number;
  below: (max: number) => number;
}): string {
  const { token, address, minLength, below } = options;
  const length = Math.max(leastRandomLength, minLength - proofLength);
  const random = Array.from({ length }, () => letters[below(letters.length)] ?? "").join("");
  return random + proofOf({ token, address, random });
}

/** Whether /new has made this password for this address, with an invite that counts now. */
export function provesInvite(password: string, address: string, tokens: readonly string[]): boolean {
  const random = password.slice(0, -proofLength);
  const proof = password.slice(-proofLength);
  if (random.length < leastRandomLength) return false;
  return tokens.some((token) => sameText(proof, proofOf({ token, address, random })));
}

export function isInvite(given: string | undefined, tokens: readonly string[]): given is string {
  return given !== undefined && tokens.some((token) => sameText(given, token));
}

function proofOf({ token, address, random }: { token: string; address: string; random: string }): string {
  const text = `chatmail invite\n${address.toLowerCase()}\n${random}`;
  return createHmac("sha256", token).update(text).digest("base64url").slice(0, proofLength);
}

/** In a time that says nothing of where they differ. */
function sameText(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}
