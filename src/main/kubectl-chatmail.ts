/** `kubectl chatmail`: the plugin for administrators. */
import { writeFile } from "node:fs/promises";
import { complete } from "../cli/complete.ts";
import { run } from "../cli/program.ts";
import type { Output, Surroundings } from "../cli/surroundings.ts";

const stopping = new AbortController();
for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => stopping.abort(new Error(name)));

const outputOf = (stream: NodeJS.WriteStream): Output => ({
  write: (text) => {
    stream.write(text);
  },
  isTerminal: stream.isTTY === true,
  columns: stream.isTTY ? stream.columns : undefined,
});

let writesBytes = false;

// whoever reads only the first lines closes the pipe
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  // of bytes, all are needed: `writeBytes` throws
  if (!writesBytes) process.exit(0);
});

const around: Surroundings = {
  environment: process.env,
  out: outputOf(process.stdout),
  err: outputOf(process.stderr),
  writeBytes: (bytes) => {
    writesBytes = true;
    return new Promise((resolve, reject) => {
      process.stdout.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  },
  writeFile: (path, bytes) => writeFile(path, bytes),
  now: () => new Date(),
  signal: stopping.signal,
};
const words = process.argv.slice(2);
if (words[0] === "__complete") await complete(words.slice(1), around);
else process.exitCode = await run(words, around);
