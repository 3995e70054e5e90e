import { open } from "node:fs/promises";

/** A file, or the names in a folder: survives a power cut when this resolves. */
export async function syncToDisk(path: string | Buffer): Promise<void> {
  const opened = await open(path, "r");
  try {
    await opened.sync();
  } finally {
    await opened.close();
  }
}
