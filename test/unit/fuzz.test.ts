/**
 * What once went wrong stays right, and a short run of each target; `npm run fuzz` has the long
 * ones.
 */
import { describe, expect, test } from "vitest";
import { crashersOf } from "../fuzz/corpus.ts";
import { fuzz, replay } from "../fuzz/engine.ts";
import { targets } from "../fuzz/targets.ts";
import { seed } from "./relay/random.ts";

const rounds = 60;

describe.each(Object.entries(targets))("%s", (name, target) => {
  test.each(crashersOf(name))("$name", async ({ input }) => {
    expect(await replay(target, input, seed)).toBeUndefined();
  });

  test(`mutated and made-up input, seed ${seed}`, { timeout: 60_000 }, async () => {
    const { crashers } = await fuzz({ ...target, heavyBytes: 65_536 }, { seed, rounds });
    expect(crashers.map(({ error, input }) => `${error.message} ${input.toString("base64").slice(0, 500)}`)).toEqual(
      [],
    );
  });
});
