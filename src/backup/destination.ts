/** Where backups are kept: a folder of a volume, or a bucket of an S3-compatible store. */

/** A file that was written, as it is to be found again. */
export interface Written {
  bytes: number;
  sha256: string;
}

export interface Destination {
  /** In words, for messages: never a secret. */
  readonly where: string;
  /** Under its name only when all of it is there; an error leaves nothing under that name. */
  write(name: string, stream: ReadableStream<Uint8Array>, signal?: AbortSignal): Promise<void>;
  /** Throws BackupProblem where there is none of the name. */
  read(name: string): Promise<ReadableStream<Uint8Array>>;
  list(): Promise<string[]>;
  delete(name: string): Promise<void>;
}
