import { expect, test } from "vitest";
import { Metrics } from "../../../src/lib/metrics.ts";

test("help, type and values, as Prometheus reads them", () => {
  const metrics = new Metrics({ mails_total: 'Mails, by C:\\path\nand "kind"', wait_seconds: "How long" });
  metrics.count("mails_total", { kind: 'a "b"\\\n' });
  metrics.count("mails_total", { kind: "c" }, 3);
  metrics.histogram("wait_seconds").observe(0.02, { of: "x" });
  metrics.histogram("wait_seconds").observe(100, { of: "x" });
  metrics.gauge("open", () => [{ labels: { service: "x" }, value: 2 }]);
  const lines = metrics.text().split("\n");
  expect(lines.slice(0, 6)).toEqual([
    '# HELP mails_total Mails, by C:\\\\path\\nand "kind"',
    "# TYPE mails_total counter",
    'mails_total{kind="a \\"b\\"\\\\\\n"} 1',
    'mails_total{kind="c"} 3',
    "# HELP wait_seconds How long",
    "# TYPE wait_seconds histogram",
  ]);
  expect(lines).toContain('wait_seconds_bucket{of="x",le="0.01"} 0');
  expect(lines).toContain('wait_seconds_bucket{of="x",le="0.025"} 1');
  expect(lines).toContain('wait_seconds_bucket{of="x",le="60"} 1');
  expect(lines).toContain('wait_seconds_bucket{of="x",le="+Inf"} 2');
  expect(lines).toContain('wait_seconds_sum{of="x"} 100.02');
  expect(lines.slice(-3)).toEqual(["# TYPE open gauge", 'open{service="x"} 2', ""]);
});

test("a counter that has counted nothing is 0", () => {
  const metrics = new Metrics();
  metrics.counter("x_total");
  expect(metrics.text()).toBe("# TYPE x_total counter\nx_total 0\n");
});

const linesOf = (metrics: Metrics, name: string) =>
  metrics
    .text()
    .split("\n")
    .filter((line) => line.startsWith(name));

test("a gauge that is named twice with the same labels is the later one", () => {
  const metrics = new Metrics();
  metrics.gauge("x", () => 1);
  const end = metrics.gauge("x", () => 2);
  expect(linesOf(metrics, "x")).toEqual(["x 2"]);
  end();
  expect(linesOf(metrics, "x")).toEqual(["x 1"]);
});
