/** Counters, gauges and histograms in Prometheus' text form. Where they mean the same they have the names of controller-runtime and client-go. */

type Labels = Record<string, string>;

const labelText = (labels: Labels) =>
  Object.entries(labels)
    .map(([name, value]) => `${name}="${value.replace(/[\\"\n]/g, (c) => (c === "\n" ? "\\n" : `\\${c}`))}"`)
    .join(",");

const line = (name: string, labels: string, value: number) => `${name}${labels && `{${labels}}`} ${value}\n`;

export class Counter {
  readonly #values = new Map<string, { labels: Labels; value: number }>();

  add(labels: Labels = {}, by = 1): void {
    const key = labelText(labels);
    const entry = this.#values.get(key);
    if (entry) entry.value += by;
    else this.#values.set(key, { labels, value: by });
  }

  entries(): { labels: Labels; value: number }[] {
    return [...this.#values.values()].map((entry) => ({ ...entry }));
  }

  /** The sum of all entries that have these labels. */
  total(labels: Labels = {}): number {
    const has = (entry: { labels: Labels }) =>
      Object.entries(labels).every(([name, value]) => entry.labels[name] === value);
    return [...this.#values.values()].filter(has).reduce((sum, { value }) => sum + value, 0);
  }

  text(name: string): string {
    return [...this.#values].map(([labels, { value }]) => line(name, labels, value)).join("");
  }
}

const bucketsSeconds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export class Histogram {
  readonly #values = new Map<string, { counts: number[]; count: number; sum: number }>();

  observe(value: number, labels: Labels = {}): void {
    const key = labelText(labels);
    const entry = this.#values.get(key) ?? { counts: bucketsSeconds.map(() => 0), count: 0, sum: 0 };
    this.#values.set(key, entry);
    const at = bucketsSeconds.findIndex((most) => value <= most);
    if (at >= 0) entry.counts[at] = (entry.counts[at] ?? 0) + 1;
    entry.count++;
    entry.sum += value;
  }

  text(name: string): string {
    return [...this.#values]
      .map(([labels, { counts, count, sum }]) => {
        const and = labels && `${labels},`;
        let below = 0;
        const buckets = bucketsSeconds.map((most, at) => {
          below += counts[at] ?? 0;
          return line(`${name}_bucket`, `${and}le="${most}"`, below);
        });
        const all = line(`${name}_bucket`, `${and}le="+Inf"`, count);
        return [...buckets, all, line(`${name}_sum`, labels, sum), line(`${name}_count`, labels, count)].join("");
      })
      .join("");
  }
}

type Gauge = () => number | { labels: Labels; value: number }[];

/** All that a process counts. Asking twice for a name gives the same counter. */
export class Metrics {
  readonly #counters = new Map<string, Counter>();
  readonly #histograms = new Map<string, Histogram>();
  readonly #gauges = new Map<string, Set<Gauge>>();

  counter(name: string): Counter {
    return made(this.#counters, name, () => new Counter());
  }

  histogram(name: string): Histogram {
    return made(this.#histograms, name, () => new Histogram());
  }

  /** Asked for each time the text is made. Several may share a name, each with labels of its own. Returns what ends it. */
  gauge(name: string, read: Gauge): () => void {
    const readers = made(this.#gauges, name, () => new Set<Gauge>());
    readers.add(read);
    return () => void readers.delete(read);
  }

  /** A counter that was made elsewhere, such as a client's. */
  include(name: string, counter: Counter): void {
    this.#counters.set(name, counter);
  }

  text(): string {
    const parts: string[] = [];
    for (const [name, counter] of this.#counters) parts.push(`# TYPE ${name} counter\n`, counter.text(name));
    for (const [name, histogram] of this.#histograms) parts.push(`# TYPE ${name} histogram\n`, histogram.text(name));
    for (const [name, readers] of this.#gauges) {
      const values = new Map<string, number>();
      for (const read of readers) {
        const now = read();
        const entries = typeof now === "number" ? [{ labels: {}, value: now }] : now;
        for (const { labels, value } of entries) values.set(labelText(labels), value);
      }
      parts.push(`# TYPE ${name} gauge\n`, ...[...values].map(([labels, value]) => line(name, labels, value)));
    }
    return parts.join("");
  }
}

function made<V>(map: Map<string, V>, name: string, make: () => V): V {
  const known = map.get(name);
  if (known !== undefined) return known;
  const value = make();
  map.set(name, value);
  return value;
}

/** What a work queue reports. */
export interface QueueMetrics {
  added(): void;
  retried(): void;
  taken(waitedSeconds: number): void;
  worked(seconds: number): void;
}

export function queueMetrics(metrics: Metrics, name: string): QueueMetrics {
  const labels = { name, controller: name };
  const adds = metrics.counter("workqueue_adds_total");
  const retries = metrics.counter("workqueue_retries_total");
  const waited = metrics.histogram("workqueue_queue_duration_seconds");
  const worked = metrics.histogram("workqueue_work_duration_seconds");
  return {
    added: () => adds.add(labels),
    retried: () => retries.add(labels),
    taken: (seconds) => waited.observe(seconds, labels),
    worked: (seconds) => worked.observe(seconds, labels),
  };
}
