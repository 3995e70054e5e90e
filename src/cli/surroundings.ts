/** What the plugin meets of the world: its terminal, its environment, the time, an interruption. */

export interface Output {
  write(text: string): void;
  isTerminal: boolean;
  /** Characters of a line; undefined where it is no terminal. */
  columns: number | undefined;
}

export interface Surroundings {
  environment: Readonly<Record<string, string | undefined>>;
  /** Answers. */
  out: Output;
  /**
   * Bytes of an answer that is no text. Resolves when they are on their way; throws where nobody
   * takes them.
   */
  writeBytes(bytes: Uint8Array): Promise<void>;
  /** Errors, hints and progress. */
  err: Output;
  /** Bytes, such as those of a picture or of a bundle, go into files. */
  writeFile(path: string, bytes: Uint8Array): Promise<void>;
  now(): Date;
  /** Ends when the user interrupts. */
  signal: AbortSignal;
}
