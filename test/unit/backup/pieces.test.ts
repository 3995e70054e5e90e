import { expect, test } from "vitest";
import { fromPieces, inPieces } from "../../../src/backup/pieces.ts";

async function* chunks(bytes: Buffer, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
async function whole(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}
const bytes = Buffer.from("what was sent, in more than one piece");

test.each([1, 3, 4, 5, 1000])("all of it comes, in chunks of %i bytes, and what follows is not read", async (size) => {
  const sent = await whole(inPieces(chunks(bytes, 10)));
  expect(await whole(fromPieces(chunks(Buffer.concat([sent, Buffer.from("more")]), size)))).toEqual(bytes);
});

test("where it is cut off is told, wherever that is", async () => {
  const sent = await whole(inPieces(chunks(bytes, 10)));
  for (let length = 0; length < sent.length; length++)
    await expect(whole(fromPieces(chunks(sent.subarray(0, length), 7)))).rejects.toThrow(/nothing is restored/);
});
