/**
 * Loaded first by every Node program of the measured pod: notes when its phases begin, and prints
 * them as one line to standard error. Plain JavaScript: it runs in the image, and types to strip
 * would be part of the measured time.
 */
import diagnostics from "node:diagnostics_channel";
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import net from "node:net";
import { isMainThread } from "node:worker_threads";

const healthPort = 9090;
const now = () => performance.timeOrigin + performance.now();
const marks = { process: performance.timeOrigin, loaded: now() };

function print() {
  const { user, system } = process.cpuUsage();
  fs.writeSync(2, `start-phases ${JSON.stringify({ ...marks, cpuMs: (user + system) / 1000 })}\n`);
}

function markChecks() {
  const writeFileSync = fs.writeFileSync;
  fs.writeFileSync = (...args) => {
    writeFileSync(...args);
    if (marks.checking === undefined) marks.written = now();
  };
  syncBuiltinESMExports();
  diagnostics.subscribe("child_process", ({ process: checker }) => {
    marks.checking ??= now();
    checker.on("exit", () => {
      marks.checked = now();
    });
  });
  process.on("exit", () => {
    marks.ended = now();
    print();
  });
}

function markListeners() {
  const { listen } = net.Server.prototype;
  net.Server.prototype.listen = function (...args) {
    marks.listening ??= now();
    if (args[0] === healthPort) {
      this.once("listening", () => {
        marks.serving = now();
        print();
      });
    }
    return listen.apply(this, args);
  };
}

if (isMainThread) {
  if (process.argv[1]?.endsWith("render.js")) markChecks();
  else markListeners();
}
