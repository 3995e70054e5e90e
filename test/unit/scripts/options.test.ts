/**
 * A measurement takes minutes to prepare: a number that is none is told before that, as `npm run
 * bench` looks at options first.
 */
import { execFile } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "../../..");
const numbers = globSync("bench/*.ts", { cwd: root }).flatMap((file) => {
  const [usage = ""] = /^const usage =[\s\S]*?;$/m.exec(readFileSync(join(root, file), "utf8")) ?? [];
  return [...usage.matchAll(/\[--([a-z-]+) (?:\d[\d.,]*|N)\]/g)].map(([, option]) => ({ file, option }));
});

const refused = (file: string, ...args: string[]) =>
  new Promise<{ code: unknown; stderr: string }>((resolve) => {
    execFile(process.execPath, [join(root, file), ...args], (error, _, stderr) =>
      resolve({ code: error?.code, stderr }),
    );
  });

test.concurrent.each(numbers)("$file --$option: no number is refused", async ({ file, option }) => {
  const { code, stderr } = await refused(file, `--${option}`, "many", "--help");
  expect(stderr).toMatch(new RegExp(`^--${option} must be a .*number.*, and is "many"\\n`));
  expect(stderr).toContain(`npm run bench -- ${basename(file, ".ts")} `);
  expect(code).toBe(2);
});

test("there are such options", () => {
  expect(numbers.length).toBeGreaterThan(15);
});

const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: Record<string, string> };
const ours = Object.entries(scripts).flatMap(([name, command]) => {
  const [, file] = /^node (scripts\/\S+)$/.exec(command) ?? [];
  return file === undefined ? [] : [{ name, file }];
});

test.concurrent.each(ours)(
  "npm run $name: an option that it does not have is refused before anything is done",
  async ({ name, file }) => {
    const { code, stderr } = await refused(file, "--nonsense");
    expect(stderr).toContain("--nonsense");
    expect(stderr).toMatch(new RegExp(`^npm (run )?${name}\\b`, "m"));
    expect(code).toBe(2);
  },
);
