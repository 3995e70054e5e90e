/**
 * A stream through a connection that can't say where it ends, as not every API server can: pieces
 * with their length before them (32 bits, big-endian), and an empty one at the end.
 */
import { BackupProblem } from "./problem.ts";

const lengthBytes = 4;

export async function* inPieces(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of stream)
    if (piece.length > 0) {
      yield lengthOf(piece.length);
      yield piece;
    }
  yield lengthOf(0);
}

/** Reads up to the empty piece, and no further. Throws BackupProblem where it is missing. */
export async function* fromPieces(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let length = Buffer.alloc(0);
  let left = 0;
  for await (const chunk of input) {
    let at = 0;
    while (at < chunk.length) {
      if (left === 0) {
        const taken = chunk.subarray(at, at + lengthBytes - length.length);
        length = Buffer.concat([length, taken]);
        at += taken.length;
        if (length.length < lengthBytes) continue;
        left = length.readUInt32BE();
        length = Buffer.alloc(0);
        if (left === 0) return;
      } else {
        const piece = chunk.subarray(at, at + left);
        at += piece.length;
        left -= piece.length;
        yield piece;
      }
    }
  }
  throw new BackupProblem("the connection ended before all of the backup had come: nothing is restored");
}

function lengthOf(bytes: number): Buffer {
  const length = Buffer.alloc(lengthBytes);
  length.writeUInt32BE(bytes);
  return length;
}
