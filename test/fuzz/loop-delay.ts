/**
 * Loaded before a program (`--import`): measures how long its event loop stands still, and tells
 * who started it when it is asked.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";

export interface LoopDelay {
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
  cpuSeconds: number;
}

const resolutionMs = 2;
const delays = monitorEventLoopDelay({ resolution: resolutionMs });
delays.enable();
let cpu = process.cpuUsage();

/** Of the time since the last question. */
process.on("message", () => {
  const { user, system } = process.cpuUsage(cpu);
  const ms = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - resolutionMs);
  const told: LoopDelay = {
    p50Ms: ms(delays.percentile(50)),
    p99Ms: ms(delays.percentile(99)),
    maxMs: ms(delays.max),
    cpuSeconds: (user + system) / 1e6,
  };
  delays.reset();
  cpu = process.cpuUsage();
  process.send?.(told);
});
