/** When upgrades of a server may begin. Pure. */
import { type UpdateWindow, weekdays } from "../../api/spec/update-policy.ts";

const minuteMs = 60_000;
const dayMs = 86_400_000;

/** Undefined while it is open, else when it opens next. Throws RangeError for no time zone. */
export function opensAt(window: UpdateWindow, now: Date): Date | undefined {
  const openings = openingsAround(window, now);
  const isOpen = openings.some((at) => at <= now && now.getTime() < at.getTime() + window.durationMinutes * minuteMs);
  return isOpen ? undefined : openings.find((at) => at > now);
}

export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** From the day before to a week and a day after: each weekday is among them. */
function openingsAround({ start, days, timeZone }: UpdateWindow, now: Date): Date[] {
  const offset = offsetOf(timeZone);
  const today = new Date(now.getTime() + offset(now));
  return Array.from({ length: 10 }, (_, nth) => {
    const midnight = Date.UTC(today.getUTCFullYear(), today.getUTCMonth(), today.getUTCDate()) + (nth - 1) * dayMs;
    const [hour = 0, minute = 0] = start.split(":").map(Number);
    const day = weekdays[(new Date(midnight).getUTCDay() + 6) % 7];
    return { day, local: midnight + (hour * 60 + minute) * minuteMs };
  })
    .filter(({ day }) => day !== undefined && (days?.includes(day) ?? true))
    .map(({ local }) => {
      // the offset of the moment itself, which that of a moment nearby may not be
      const guess = new Date(local - offset(new Date(local)));
      return new Date(local - offset(guess));
    });
}

/** How far the clocks of a zone are ahead of UTC at a moment, in milliseconds. */
function offsetOf(timeZone: string): (at: Date) => number {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  return (at) => {
    const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
    const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = [
      "year",
      "month",
      "day",
      "hour",
      "minute",
      "second",
    ].map((type) => parts.get(type as Intl.DateTimeFormatPartTypes));
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(at.getTime() / 1_000) * 1_000;
  };
}
