/** What the fuzzer knows of a thing that takes bytes from outside. */
import type { Random } from "../unit/relay/random.ts";

/**
 * Of an input; a refusal is what the peer is told, or a value that says no. Anything thrown is a
 * crasher.
 */
export type Outcome = "accepted" | "refused";

export interface Target {
  /** Inputs to begin with. */
  seeds(): readonly Buffer[];
  /** Pieces that mean something in this format. */
  words: readonly string[];
  /** Made up from the grammar. */
  make?(random: Random): Buffer;
  /** Built to be slow, of about so many bytes: what is not linear in its size shows here. */
  heavy?: Readonly<Record<string, (bytes: number) => Buffer>>;
  /** Of heavy inputs. */
  heavyBytes?: number;
  /** CPU that is allowed for each KiB; default 1. */
  msPerKib?: number;
  open: () => Promise<Subject>;
}

export interface Subject {
  /** Throws where a property does not hold. */
  check(input: Buffer, random: Random): Outcome | Promise<Outcome>;
  /** Counts of what is worth knowing at the end, such as refusals that are intended, by name. */
  notes?(): ReadonlyMap<string, number>;
  close: () => Promise<void>;
}

/** A property that does not hold. */
export class Broken extends Error {
  override readonly name = "Broken";
}

/** The plain rules are slow; longer inputs are there for time and memory. */
export const plainRulesUpTo = 8192;

/** `text` again and again, up to about so many bytes. */
export const repeated = (text: string, bytes: number) => text.repeat(Math.ceil(bytes / text.length));

export const latin1 = (text: string) => Buffer.from(text, "latin1");

/** Pieces of 1 to `most` bytes. */
export function split(bytes: Buffer, most: number, random: Random): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + random.below(most);
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

export function same(what: string, one: unknown, other: unknown): void {
  const [a, b] = [JSON.stringify(one), JSON.stringify(other)];
  if (a !== b) throw new Broken(`${what}: ${a} and ${b}`);
}
