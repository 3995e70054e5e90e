import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { parseMessage, verified } from "./messages.ts";

const fixtures = resolve(import.meta.dirname, "../../../fixtures/dkim");
const fixture = (folder: string) => ({
  message: parseMessage(readFileSync(join(fixtures, folder, "message.eml"))),
  keys: JSON.parse(readFileSync(join(fixtures, folder, "keys.json"), "utf8")) as Record<string, string>,
});
test.each(["rfc6376-a", "rfc8463-a"])("the example %s is valid", async (folder) => {
  const { message, keys } = fixture(folder);
  const { results } = await verified(message, keys);
  expect(results.map((each) => each.why)).toEqual(results.map(() => "valid"));
});
