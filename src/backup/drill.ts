/** Proves that a backup can be read: all of it is decrypted and compared with what its end says. */
import { type Manifest, openArchive } from "./archive.ts";

export interface Drilled {
  manifest: Manifest;
  accounts: number;
  /** Files of keys, of accounts and of mail. */
  entries: number;
  bytes: number;
}

/** Writes nothing. `stream`: decrypted. Throws BackupProblem where it could not be restored. */
export async function drill(stream: ReadableStream<Uint8Array>, domain: string): Promise<Drilled> {
  const { manifest, entries } = await openArchive(stream, domain);
  const accounts = new Set<string>();
  const counts = { entries: 0, bytes: 0 };
  for await (const { name, size, body } of entries) {
    for await (const _ of body) {
      // errors of the layers below show when it is read
    }
    const [kind, , address] = name.split("/");
    if (kind === "mail" && address !== undefined) accounts.add(address);
    counts.entries++;
    counts.bytes += size;
  }
  return { manifest, accounts: accounts.size, ...counts };
}
