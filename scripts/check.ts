/**
 * `npm run check`: types, lint and format, unused exports, generated files fresh. Runs all of them,
 * names each that failed.
 */
import { spawnSync } from "node:child_process";
import { readOptions } from "./options.ts";

readOptions("npm run check", {});

const checks = [
  { what: "types", command: ["tsc"] },
  { what: "lint and format", command: ["biome", "check", "--error-on-warnings", "."] },
  // what only the types show: lost promises, promises where nobody waits, objects as text
  { what: "lint by types", command: ["oxlint"] },
  { what: "unused files, exports and dependencies", command: ["knip"] },
  { what: "generated files", command: ["node", "scripts/generate.ts", "--check"] },
];

const failed = checks.filter(({ what, command: [program = "", ...args] }) => {
  const run = spawnSync(program, args, { stdio: "inherit" });
  const passed = run.status === 0;
  console.log(`${passed ? "ok    " : "FAILED"}  ${what}`);
  return !passed;
});
process.exitCode = failed.length === 0 ? 0 : 1;
