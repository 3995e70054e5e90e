import { expect, test } from "vitest";
import { BoundedMap } from "../../../src/lib/bounded-map.ts";

test.each<{ what: string; act: (map: BoundedMap<string, number>) => unknown; left: string[] }>([
  { what: "of more, the oldest is removed", act: (map) => map.set("d", 4), left: ["b", "c", "d"] },
  { what: "what is set again is young", act: (map) => map.set("a", 5).set("d", 4), left: ["c", "a", "d"] },
  { what: "what is used is young", act: (map) => [map.use("a"), map.set("d", 4)], left: ["c", "a", "d"] },
  {
    what: "what is looked at is as old as before",
    act: (map) => [map.get("a"), map.set("d", 4)],
    left: ["b", "c", "d"],
  },
  { what: "what is not there is not made by use", act: (map) => map.use("x"), left: ["a", "b", "c"] },
  { what: "what is deleted makes room", act: (map) => [map.delete("b"), map.set("d", 4)], left: ["a", "c", "d"] },
])("$what", ({ act, left }) => {
  const map = new BoundedMap<string, number>(3);
  for (const key of ["a", "b", "c"]) map.set(key, 1);
  act(map);
  expect([...map.keys()]).toEqual(left);
});
