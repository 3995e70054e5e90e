/** What every process tells of itself, under the names that client libraries of Prometheus use. */
import type { Metrics } from "./metrics.ts";

export function addProcessMetrics(metrics: Metrics): void {
  const startedSeconds = Date.now() / 1000 - process.uptime();
  metrics.gauge("process_start_time_seconds", () => startedSeconds);
  metrics.gauge("process_resident_memory_bytes", () => process.memoryUsage.rss());
  metrics.reading("process_cpu_seconds_total", () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000_000;
  });
}
