/**
 * How large one message may be: as the domains of its sender and its recipients allow. Postfix goes
 * by the largest size that any domain allows.
 */
import type { DomainLimits } from "../../pod/relay-config.ts";

/** As Postfix says it. */
export const tooLarge = "552 5.3.4 Message size exceeds fixed limit";

export class Size {
  /** As the peer has declared it. */
  readonly #declared: number;
  #most = Number.POSITIVE_INFINITY;
  #bytes = 0;

  constructor(declared = 0) {
    this.#declared = declared;
  }

  /**
   * A sender or recipient of this domain takes part. False where the declared size is too large for
   * it; then it does not.
   */
  fits({ maxMessageBytes }: DomainLimits): boolean {
    if (this.#declared > maxMessageBytes) return false;
    this.#most = Math.min(this.#most, maxMessageBytes);
    return true;
  }

  /** As Postfix counts: a line with its CRLF. */
  header(name: string, value: string): void {
    this.#bytes += name.length + value.length + ":\r\n".length;
  }

  body(chunk: Buffer): void {
    this.#bytes += chunk.length;
  }

  isTooLarge(): boolean {
    return this.#bytes > this.#most;
  }
}
