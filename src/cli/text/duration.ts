/** Times as kubectl shows them. Pure. */

const units = [
  { letter: "d", seconds: 86_400 },
  { letter: "h", seconds: 3_600 },
  { letter: "m", seconds: 60 },
  { letter: "s", seconds: 1 },
] as const;

/** "5d", "3h", "90m", "12s": in the largest unit of which there are two at least. */
export function durationText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const unit = units.find((each) => seconds >= 2 * each.seconds) ?? units[3];
  return `${Math.floor(seconds / unit.seconds)}${unit.letter}`;
}

/** How long ago; "" where there is no such time. */
export function ageText(since: string | undefined, now: Date): string {
  const ms = since === undefined ? Number.NaN : Date.parse(since);
  return Number.isNaN(ms) ? "" : durationText(now.getTime() - ms);
}

/** "30s", "10m", "2h", "1d" or a number of seconds; undefined where it is none of them. */
export function secondsIn(text: string): number | undefined {
  const [, count, letter = "s"] = /^([0-9]{1,9})([smhd]?)$/.exec(text) ?? [];
  const unit = units.find((each) => each.letter === (letter || "s"));
  return count === undefined || !unit ? undefined : Number(count) * unit.seconds;
}
