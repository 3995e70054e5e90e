/**
 * Bytes of messages that have begun and not ended, which Postfix keeps on the disk: bounded for
 * each client and for all.
 */

export interface UnfinishedLimits {
  each: number;
  total: number;
}

/** A message that is coming in. */
export interface Unfinished {
  /** More of it has come. */
  add(bytes: number): void;
  /** It is whole, or given up. */
  end(): void;
}

interface Part {
  client: string;
  bytes: number;
  drop(): void;
}

export class UnfinishedMessages {
  readonly #limits: () => UnfinishedLimits;
  readonly #parts = new Set<Part>();

  constructor(limits: () => UnfinishedLimits) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#of(() => true);
  }

  /**
   * `drop` is called at most once, when this message has to make room: the largest of the client
   * that has the most.
   */
  begin(client: string, drop: () => void): Unfinished {
    const part: Part = { client, bytes: 0, drop };
    this.#parts.add(part);
    return {
      add: (bytes) => {
        if (!this.#parts.has(part)) return;
        part.bytes += bytes;
        this.#makeRoom(client);
      },
      end: () => void this.#parts.delete(part),
    };
  }

  #makeRoom(client: string): void {
    const { each, total } = this.#limits();
    while (this.#of((part) => part.client === client) > each) this.#dropLargest(client);
    while (this.bytes > total) this.#dropLargest(this.#greediest());
  }

  #of(counts: (part: Part) => boolean): number {
    let bytes = 0;
    for (const part of this.#parts) if (counts(part)) bytes += part.bytes;
    return bytes;
  }

  #greediest(): string {
    const byClient = new Map<string, number>();
    for (const { client, bytes } of this.#parts) byClient.set(client, (byClient.get(client) ?? 0) + bytes);
    return [...byClient].sort(([, a], [, b]) => b - a)[0]?.[0] ?? "";
  }

  #dropLargest(client: string): void {
    const largest = [...this.#parts].filter((part) => part.client === client).sort((a, b) => b.bytes - a.bytes)[0];
    if (!largest) return;
    this.#parts.delete(largest);
    largest.drop();
  }
}
