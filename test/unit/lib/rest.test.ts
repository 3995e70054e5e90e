import { expect, test } from "vitest";
import { Rest } from "../../../src/lib/rest.ts";

/** Looks at an event loop that was active for so many of 15,000 ms before each. */
function lookAfter(activeMs: readonly number[]): number[] {
  const total = { active: 0, idle: 0, utilization: 0 };
  const given: number[] = [];
  let look = 0;
  const rest = new Rest({ giveBack: () => given.push(look), utilization: () => ({ ...total }) });
  for (const active of activeMs) {
    look++;
    total.active += active;
    total.idle += 15_000 - active;
    rest.look();
  }
  return given;
}

test.each([
  { when: "there was a burst, and then little for two looks", activeMs: [9000, 100, 100, 100], given: [3] },
  { when: "it goes on", activeMs: [900, 900, 900, 900], given: [] },
  { when: "it stops only for one look", activeMs: [9000, 100, 9000, 100, 9000], given: [] },
  { when: "there is one burst and then another", activeMs: [2000, 0, 0, 2000, 0, 0], given: [3, 6] },
  { when: "there was no work worth it but the start", activeMs: [50, 50, 50, 50, 50], given: [2] },
  { when: "much little work has been done", activeMs: Array.from({ length: 12 }, () => 200), given: [2, 7, 12] },
])("memory is given back after $given looks when $when", ({ activeMs, given }) => {
  expect(lookAfter(activeMs)).toEqual(given);
});
