/** What long work is at, on standard error: one line that changes, or a line for each step. */
import type { Output } from "../surroundings.ts";
import type { Paint } from "./paint.ts";

export interface Progress {
  /** Each text once. */
  at(text: string): void;
  /** Takes the line away. */
  end(): void;
}

export function progressOn(err: Output, paint: Paint): Progress {
  let shown = "";
  const erase = "\r\u001b[2K";
  return {
    at(text) {
      if (text === shown) return;
      shown = text;
      if (!err.isTerminal) return err.write(`${text}\n`);
      const fitting = [...text].slice(0, Math.max(10, (err.columns ?? 80) - 1)).join("");
      err.write(`${erase}${paint("quiet", fitting)}`);
    },
    end() {
      if (err.isTerminal && shown !== "") err.write(erase);
      shown = "";
    },
  };
}
