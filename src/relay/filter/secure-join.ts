/**
 * The one step of a Secure-Join handshake that travels in the clear (chatmail protocol §5): a
 * header that names it, and a text of one line that does too.
 */
import { ExactText } from "../mime/exact-text.ts";
import type { Sink } from "../mime/sink.ts";
import { undoTransferEncoding } from "../mime/transfer.ts";

const steps = ["vc-request", "vg-request"];

/** Whether a Secure-Join header has this value. */
export const isFirstStep = (value: string) => steps.includes(value);

/** For the text, its transfer encoding undone. */
export const firstStepLine = () =>
  new ExactText(
    steps.map((step) => `secure-join: ${step}`),
    { anyCase: true },
  );

/** A whole body that is the line. */
export class FirstStepText {
  readonly #text: Sink;
  #right = true;

  private constructor(text: Sink) {
    this.#text = text;
  }

  static of(encoding: string): FirstStepText | undefined {
    const text = undoTransferEncoding(encoding, firstStepLine());
    return text && new FirstStepText(text);
  }

  get right(): boolean {
    return this.#right;
  }

  write(chunk: Buffer): void {
    this.#right = this.#right && this.#text.write(chunk, 0, chunk.length);
  }

  end(): boolean {
    return this.#right && this.#text.end();
  }
}
