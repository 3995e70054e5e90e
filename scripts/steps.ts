/**
 * Progress for a person: a line when a step begins, rewritten with its result and time when it is
 * over.
 */

export interface Steps {
  /**
   * Runs one step; `result` makes its closing words from what the work gave. Returns what the work
   * gave.
   */
  step: <T>(what: string, work: () => Promise<T>, result?: (value: T) => string) => Promise<T>;
}

export const seconds = (ms: number): string =>
  ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;

/**
 * On a terminal the line of a running step is replaced; into a file only finished steps are
 * written.
 */
export function printedSteps(out: NodeJS.WriteStream = process.stdout): Steps {
  return {
    async step(what, work, result) {
      if (out.isTTY) out.write(`  …  ${what}`);
      const start = performance.now();
      const finish = (mark: string, text: string) => {
        if (out.isTTY) out.write("\r\x1b[2K");
        out.write(`  ${mark}  ${text.padEnd(64)} ${seconds(performance.now() - start).padStart(7)}\n`);
      };
      try {
        const value = await work();
        finish("✓", result?.(value) ?? what);
        return value;
      } catch (thrown) {
        finish("✗", what);
        throw thrown;
      }
    },
  };
}
