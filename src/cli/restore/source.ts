/** A backup in a file of this machine, and the key that opens it. */
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { decrypted } from "../../backup/encryption.ts";
import { codeOf, messageOf } from "../../lib/text.ts";
import { CliError } from "../exit.ts";

/** A file that can be read from its beginning more than once. */
export interface Source {
  file: string;
  /** Of the file with secret keys of age. */
  identities: string;
}

const fileTroubles: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EISDIR: "it is a directory",
};

/** `what`: the argument that names the file. */
export async function reading<T>(what: string, read: Promise<T>): Promise<T> {
  try {
    return await read;
  } catch (cause) {
    throw new CliError("usage", `${what}: ${fileTroubles[String(codeOf(cause))] ?? messageOf(cause)}`, { cause });
  }
}

/** Gives it decrypted, and closes the file however little of it was read. */
export async function withBackup<T>(
  { file, identities }: Source,
  use: (stream: ReadableStream<Uint8Array>) => Promise<T>,
): Promise<T> {
  const opened = createReadStream(file);
  try {
    await reading(file, once(opened, "readable"));
    return await use(await decrypted(Readable.toWeb(opened) as ReadableStream<Uint8Array>, identities));
  } finally {
    opened.destroy();
  }
}
