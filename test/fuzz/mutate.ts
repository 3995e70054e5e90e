/** One input from others: cut, doubled, spliced, flipped, spiced with words of the format. */
import type { Random } from "../unit/relay/random.ts";

const boundaryBytes = [0, 1, 9, 10, 13, 32, 45, 61, 127, 128, 192, 223, 224, 254, 255];
const boundaryWords = [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff];
/** Larger inputs are the heavy ones' business. */
const mostBytes = 64 * 1024;

export function mutated(inputs: readonly Buffer[], words: readonly string[], random: Random): Buffer {
  let input = random.pick(inputs);
  for (let rounds = random.pick([1, 1, 1, 2, 3, 6]); rounds > 0; rounds--) input = once(input, inputs, words, random);
  return input.subarray(0, mostBytes);
}

function once(input: Buffer, inputs: readonly Buffer[], words: readonly string[], random: Random): Buffer {
  const at = random.below(input.length + 1);
  const to = Math.min(input.length, at + 1 + random.below(random.pick([2, 20, 200, 2000])));
  const [before, middle, after] = [input.subarray(0, at), input.subarray(at, to), input.subarray(to)];
  const word = Buffer.from(words.length > 0 ? random.pick(words) : "", "latin1");
  switch (random.below(10)) {
    case 0:
      return Buffer.concat([before, after]);
    case 1:
      return Buffer.concat([before, middle, middle, after]);
    case 2:
    case 3:
      return Buffer.concat([before, word, middle, after]);
    case 4:
      return Buffer.concat([before, word, after]);
    case 5:
      return Buffer.concat([before, ...Array<Buffer>(1 + random.below(40)).fill(word), middle, after]);
    case 6: {
      const other = random.pick(inputs);
      return Buffer.concat([before, other.subarray(random.below(other.length + 1))]);
    }
    case 7:
      return flipped(input, at, random);
    case 8:
      return withWord(input, at, random);
    default:
      return Buffer.concat([before, random.bytes(random.below(4)), after]);
  }
}

function flipped(input: Buffer, at: number, random: Random): Buffer {
  const copy = Buffer.from(input);
  if (at < copy.length) {
    const octet = copy[at] as number;
    copy[at] = random.pick([octet ^ (1 << random.below(8)), random.pick(boundaryBytes), octet ^ 0x20]);
  }
  return copy;
}

/** Where a length may stand. */
function withWord(input: Buffer, at: number, random: Random): Buffer {
  const copy = Buffer.from(input);
  if (at + 4 <= copy.length) copy.writeUInt32BE(random.pick(boundaryWords), at);
  return copy;
}
