import { seededRandom } from "../../helpers/seeded-random.ts";

/** Random numbers that can be had again: the seed stands in the name of the test. */
export interface Random {
  /** A whole number from 0 up to and without `max`. */
  below(max: number): number;
  pick<T>(items: readonly T[]): T;
  bytes: (length: number) => Buffer;
}

export function randomFrom(seed: number): Random {
  const next = seededRandom(seed);
  const below = (max: number) => Math.floor(next() * max);
  return {
    below,
    pick: (items) => items[below(items.length)] as (typeof items)[number],
    bytes: (length) => Buffer.from(Array.from({ length }, () => below(256))),
  };
}

/** FUZZ_SEED, or another one each day: what fails today can be had again by its printed number. */
export const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Date.now() / 86_400_000));
