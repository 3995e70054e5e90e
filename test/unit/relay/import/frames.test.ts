import { expect, test } from "vitest";
import { Incoming } from "../../../../src/relay/import/frames.ts";

test("lines and bytes, however they are cut", async () => {
  const whole = Buffer.from("one\nBODY\n\ntwo\nthree");
  for (let size = 1; size <= whole.length; size++) {
    async function* chunks() {
      for (let at = 0; at < whole.length; at += size) yield whole.subarray(at, at + size);
    }
    const incoming = new Incoming(chunks());
    expect(await incoming.line()).toBe("one");
    expect(Buffer.concat(await Array.fromAsync(incoming.body(6))).toString()).toBe("BODY\n\n");
    expect(await Array.fromAsync(incoming.body(0))).toEqual([]);
    expect(await incoming.line()).toBe("two");
    expect(await incoming.line()).toBeUndefined();
  }
});

test("a line without an end is not kept for ever", async () => {
  async function* chunks() {
    for (;;) yield Buffer.alloc(2 ** 20, "x");
  }
  await expect(new Incoming(chunks()).line()).rejects.toThrow(/a line of more than/);
});
