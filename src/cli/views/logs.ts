/** Lines of several containers in the order in which they were written. Pure. */

export interface LogLine {
  source: string;
  /** As the API server writes it before a line; "" where it does not. */
  time: string;
  text: string;
}

/** A line as the API server gives it with timestamps. */
export function logLine(source: string, line: string): LogLine {
  const [, time = "", text = line] = /^(\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)) (.*)$/s.exec(line) ?? [];
  return { source, time, text };
}

/** Lines of one container keep their order, whatever their times are. */
export function inOrderOfTime(containers: readonly (readonly LogLine[])[]): LogLine[] {
  const rest = containers.map((lines) => [...lines].reverse());
  const merged: LogLine[] = [];
  for (;;) {
    const next = rest.filter((lines) => lines.length > 0).sort((one, other) => compare(one, other))[0];
    const line = next?.pop();
    if (!line) return merged;
    merged.push(line);
  }
}

/** With as many digits as they have: nanoseconds are more than a Date holds. */
const compare = (one: LogLine[], other: LogLine[]) => {
  const [a = "", b = ""] = [one.at(-1)?.time, other.at(-1)?.time].map((time) => time?.replace(/Z$/, ""));
  return a < b ? -1 : a > b ? 1 : 0;
};
