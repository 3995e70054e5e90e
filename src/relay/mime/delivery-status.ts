/**
 * The fields of a delivery status notification (RFC 3464 §2): a group about the message, then one
 * for each recipient, with empty lines between. Right when the fields that must be there are, and
 * nothing stands there that is no field.
 */
import type { Sink } from "./sink.ts";

const maxLine = 1000;
const field = /^([A-Za-z][A-Za-z0-9-]*)[ \t]*:[ \t]*(.*)$/s;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
const control = /[\x00-\x08\x0b-\x1f\x7f]/;

const required: Readonly<Record<string, RegExp>> = {
  "final-recipient": /^[^;]+;./,
  action: /^(?:failed|delayed|delivered|relayed|expanded)\b/i,
  status: /^[245]\.\d{1,3}\.\d{1,3}\b/,
};

export class DeliveryStatus implements Sink {
  #line = "";
  #group = new Set<string>();
  #groups = 0;
  #right = true;

  write(bytes: Uint8Array, start: number, end: number): boolean {
    for (let at = start; at < end && this.#right; at++) {
      const octet = bytes[at] as number;
      if (octet !== 10) {
        this.#line += String.fromCharCode(octet);
        if (this.#line.length > maxLine) this.#right = false;
      } else {
        this.#take(this.#line.replace(/\r$/, ""));
        this.#line = "";
      }
    }
    return this.#right;
  }

  end(): boolean {
    if (this.#line !== "") this.#take(this.#line);
    this.#endOfGroup();
    return this.#right && this.#groups >= 2;
  }

  #take(line: string): void {
    if (line === "") {
      this.#endOfGroup();
      return;
    }
    if (control.test(line)) this.#right = false;
    // a fold goes on with the field above
    if (/^[ \t]/.test(line) && this.#group.size > 0) return;
    const [, name = "", value = ""] = field.exec(line) ?? [];
    const key = name.toLowerCase();
    const wanted = Object.hasOwn(required, key) ? required[key] : undefined;
    if (key === "" || (wanted && (this.#groups === 0 || !wanted.test(value)))) this.#right = false;
    this.#group.add(key);
  }

  #endOfGroup(): void {
    if (this.#group.size === 0) return;
    const names = this.#groups === 0 ? ["reporting-mta"] : Object.keys(required);
    if (!names.every((name) => this.#group.has(name))) this.#right = false;
    this.#group = new Set();
    this.#groups++;
  }
}
