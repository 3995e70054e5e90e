/** Counters, gauges and histograms in Prometheus' text form (exposition format 0.0.4). */

export type Labels = Record<string, string>;

/** A help text has no quotes around it, so it keeps its own. */
const escaped = (text: string) => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");

const labelText = (labels: Labels) =>
  Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(value).replaceAll('"', '\\"')}"`)
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

  /** 0 before anything was counted, so that a rate can be taken of the first event. */
  text(name: string): string {
    if (this.#values.size === 0) return line(name, "", 0);
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

/**
 * All that a process counts. Asking twice for a name gives the same counter. `Name` are the names
 * that `count` takes.
 */
export class Metrics<Name extends string = string> {
  readonly #help: Readonly<Record<string, string>>;
  readonly #counters = new Map<string, Counter>();
  readonly #histograms = new Map<string, Histogram>();
  readonly #gauges = new Map<string, Set<Gauge>>();
  readonly #readings = new Map<string, () => number>();

  /** `help`: by name, what an administrator reads beside it. */
  constructor(help: Readonly<Record<string, string>> = {}) {
    this.#help = help;
  }

  count(name: Name, labels: Labels = {}, by = 1): void {
    this.counter(name).add(labels, by);
  }

  counter(name: string): Counter {
    return made(this.#counters, name, () => new Counter());
  }

  histogram(name: string): Histogram {
    return made(this.#histograms, name, () => new Histogram());
  }

  /**
   * Asked for each time the text is made. Several may share a name, each with labels of its own.
   * Returns what ends it.
   */
  gauge(name: string, read: Gauge): () => void {
    const readers = made(this.#gauges, name, () => new Set<Gauge>());
    readers.add(read);
    return () => void readers.delete(read);
  }

  /** A counter that something else keeps, asked for each time the text is made. */
  reading(name: string, read: () => number): void {
    this.#readings.set(name, read);
  }

  /** A counter that was made elsewhere, such as a client's. */
  include(name: string, counter: Counter): void {
    this.#counters.set(name, counter);
  }

  text(): string {
    const parts: string[] = [];
    for (const [name, counter] of this.#counters) parts.push(this.#head(name, "counter"), counter.text(name));
    for (const [name, read] of this.#readings) parts.push(this.#head(name, "counter"), line(name, "", read()));
    for (const [name, each] of this.#histograms) parts.push(this.#head(name, "histogram"), each.text(name));
    for (const [name, readers] of this.#gauges) {
      const values = new Map<string, number>();
      for (const read of readers) {
        const now = read();
        const entries = typeof now === "number" ? [{ labels: {}, value: now }] : now;
        for (const { labels, value } of entries) values.set(labelText(labels), value);
      }
      parts.push(this.#head(name, "gauge"), ...[...values].map(([labels, value]) => line(name, labels, value)));
    }
    return parts.join("");
  }

  #head(name: string, type: "counter" | "gauge" | "histogram"): string {
    const help = this.#help[name];
    return `${help === undefined ? "" : `# HELP ${name} ${escaped(help)}\n`}# TYPE ${name} ${type}\n`;
  }
}

function made<V>(map: Map<string, V>, name: string, make: () => V): V {
  const known = map.get(name);
  if (known !== undefined) return known;
  const value = make();
  map.set(name, value);
  return value;
}
