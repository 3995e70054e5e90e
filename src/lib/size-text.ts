/** Sizes for people. */

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** "512 B", "1.5 GiB": with two digits at least. */
export function sizeText(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${value < 10 && power > 0 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}
