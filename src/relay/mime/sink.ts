/** Where content goes that is checked while it passes by; nothing of it is kept. */
export interface Sink {
  /**
   * Takes bytes[start..end). False once the content can't be right any more; what follows need not
   * be written.
   */
  write(bytes: Uint8Array, start: number, end: number): boolean;
  /** Whether the content, now that it is complete, is right. */
  end(): boolean;
}
