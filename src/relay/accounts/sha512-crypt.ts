/**
 * SHA512-crypt, the `$6$` of crypt(3), from its public specification ("Unix crypt using SHA-256 and
 * SHA-512", U. Drepper, 2008). In the image libxcrypt does the same in a quarter of the time
 * (hashing.ts); where it is not there, this runs in a worker (hash-pool.ts).
 */
import { hash, timingSafeEqual } from "node:crypto";

const defaultRounds = 5000;
const minRounds = 1000;
/**
 * The specification allows 999,999,999; a stored hash that asks for more than this is not worked
 * on.
 */
const maxRounds = 1_000_000;

const letters = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

interface Setting {
  salt: string;
  rounds: number;
  /** "" where the setting does not name its rounds. */
  prefix: string;
}

/** Reads `$6$[rounds=N$]salt[$hash]`; undefined for anything else. */
function parseSetting(setting: string): Setting | undefined {
  const match = /^\$6\$(?:rounds=([0-9]{1,9})\$)?([^$:\n]{0,16})[^$:\n]*(?:\$|$)/.exec(setting);
  if (!match) return undefined;
  const asked = match[1] === undefined ? defaultRounds : Number(match[1]);
  const rounds = Math.min(Math.max(asked, minRounds), 999_999_999);
  if (rounds > maxRounds) return undefined;
  return { salt: match[2] ?? "", rounds, prefix: match[1] === undefined ? "" : `rounds=${rounds}$` };
}

/**
 * The setting alone of a setting or a stored hash, with its rounds in bounds; undefined where it is
 * none of SHA512-crypt.
 */
export function settingOf(text: string): string | undefined {
  const parsed = parseSetting(text);
  return parsed && `$6$${parsed.prefix}${parsed.salt}$`;
}

/**
 * The whole text that crypt(3) gives for a password and a setting; undefined where the setting is
 * none of SHA512-crypt.
 */
export function sha512Crypt(password: string, setting: string): string | undefined {
  const parsed = parseSetting(setting);
  if (!parsed) return undefined;
  const { salt, rounds, prefix } = parsed;
  return `$6$${prefix}${salt}$${encode(digest(Buffer.from(password), Buffer.from(salt), rounds))}`;
}

/** Whether `stored` (`$6$…`) is the hash of this password. */
export function sha512CryptMatches(password: string, stored: string): boolean {
  return isSameHash(sha512Crypt(password, stored) ?? "", stored);
}

/** Takes as long wherever two hashes differ. An empty text is no hash. */
export function isSameHash(computed: string, stored: string): boolean {
  const [one, other] = [Buffer.from(computed), Buffer.from(stored)];
  return one.length > 0 && one.length === other.length && timingSafeEqual(one, other);
}

/** A setting with a salt of 16 letters from `random`, 12 random bytes. */
export function newSetting(random: Uint8Array): string {
  let salt = "";
  for (let at = 0; at + 2 < random.length; at += 3) {
    const bits = ((random[at] ?? 0) << 16) | ((random[at + 1] ?? 0) << 8) | (random[at + 2] ?? 0);
    for (let shift = 0; shift < 24; shift += 6) salt += letters[(bits >> shift) & 0x3f];
  }
  return `$6$${salt}$`;
}

const sha512 = (...parts: readonly Buffer[]): Buffer =>
  hash("sha512", parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts), "buffer");

/** `length` bytes of `block`, over and over. */
function repeated(block: Buffer, length: number): Buffer {
  return Buffer.alloc(length, block);
}

function digest(key: Buffer, salt: Buffer, rounds: number): Buffer {
  const b = sha512(key, salt, key);
  const mixed: Buffer[] = [key, salt, repeated(b, key.length)];
  for (let bits = key.length; bits > 0; bits >>= 1) mixed.push(bits & 1 ? b : key);
  let c = sha512(...mixed);

  const p = repeated(sha512(...Array<Buffer>(key.length).fill(key)), key.length);
  const s = repeated(sha512(...Array<Buffer>(16 + (c[0] ?? 0)).fill(salt)), salt.length);

  // what goes into a round depends on its number modulo 2, 3 and 7: the eight texts are laid out
  // once, with a gap for the last digest
  const texts = [0, 1, 2, 3, 4, 5, 6, 7].map((which) => {
    const odd = (which & 1) !== 0;
    const parts = [odd ? p : c, which & 2 ? s : none, which & 4 ? p : none, odd ? c : p];
    const gapAt = odd ? (parts[0] ?? none).length + (parts[1] ?? none).length + (parts[2] ?? none).length : 0;
    return { bytes: Buffer.concat(parts), gapAt };
  });
  for (let round = 0; round < rounds; round++) {
    const text = texts[(round & 1) | (round % 3 ? 2 : 0) | (round % 7 ? 4 : 0)] as { bytes: Buffer; gapAt: number };
    text.bytes.set(c, text.gapAt);
    c = hash("sha512", text.bytes, "buffer");
  }
  return c;
}

const none = Buffer.alloc(0);

/**
 * The order in which crypt(3) writes the 64 bytes, three by three, each step one place on in each
 * column.
 */
function encode(bytes: Buffer): string {
  let text = "";
  const write = (value: number, count: number) => {
    for (let at = 0; at < count; at++) text += letters[(value >> (6 * at)) & 0x3f];
  };
  const at = (index: number) => bytes[index] ?? 0;
  for (let step = 0; step < 21; step++) {
    const columns = [step, step + 21, step + 42];
    const turn = step % 3;
    const [high, middle, low] = [columns[turn], columns[(turn + 1) % 3], columns[(turn + 2) % 3]];
    write((at(high ?? 0) << 16) | (at(middle ?? 0) << 8) | at(low ?? 0), 4);
  }
  write(at(63), 2);
  return text;
}
