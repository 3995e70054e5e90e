/**
 * Each process starts under the Node that runs it: types stripped, all imports found. vitest would
 * not notice what Node can't strip.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const entryPoints = readdirSync(join(root, "src/main")).filter((file) => file.endsWith(".ts"));

/**
 * Without any settings a process says what it lacks and ends; this is far enough to have read and
 * stripped all its files.
 */
async function start(file: string): Promise<{ code: number | null; text: string }> {
  const env = { PATH: process.env.PATH ?? "", HOME: "/nonexistent" };
  const child = spawn(process.execPath, [join(root, "src/main", file)], { env, stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  child.stdout.on("data", (chunk) => {
    text += chunk;
  });
  child.stderr.on("data", (chunk) => {
    text += chunk;
  });
  const [code] = await once(child, "exit");
  return { code, text };
}

const starts = new Map<string, ReturnType<typeof start>>();
/** Each is started once. */
function started(file: string) {
  const under = starts.get(file) ?? start(file);
  starts.set(file, under);
  return under;
}

test("there are processes", () => {
  expect(entryPoints).toContain("operator.ts");
});

test.each(entryPoints)("%s starts as far as its settings", async (file) => {
  const { code, text } = await started(file);
  expect(code).not.toBe(0);
  expect(text).not.toMatch(/ERR_MODULE_NOT_FOUND|ERR_UNSUPPORTED|SyntaxError|does not provide an export/);
});

test("the operator names the setting that is missing, in one line of its log", async () => {
  const { code, text } = await started("operator.ts");
  expect(JSON.parse(text)).toMatchObject({
    level: 60,
    name: "operator",
    msg: expect.stringMatching(/^environment: RELAY_IMAGE: is missing$/) as string,
  });
  expect(code).toBe(1);
});
