/**
 * What is inside a backup once it is decrypted: a tar archive, compressed with gzip. Its first
 * entry is `manifest.json`, its last one `end.json`; a file without the last one was cut off.
 *
 *     manifest.json
 *     identity/KIND/DOMAIN/FILE      keys, as the pod mounts them: certificates, DKIM, invites
 *     mail/DOMAIN/ADDRESS/FILE       an account's own files and, with contents All, its mail
 *     end.json
 *
 * Keys come first, so that they can be read without the mail behind them.
 */
import { createTarDecoder, createTarPacker, type ParsedTarEntry } from "modern-tar";
import * as z from "zod";
import { issueTexts } from "../lib/issues.ts";
import { messageOf } from "../lib/text.ts";
import { BackupProblem } from "./problem.ts";

/** What this version writes, and the newest that it reads. */
const formatVersion = 1;

export const Manifest = z.object({
  format: z.literal(formatVersion),
  contents: z.enum(["Identity", "All"]),
  /** The server's name, and the domains that its pod serves. */
  server: z.string(),
  domains: z.array(z.string()).min(1),
  /** When it was begun (ISO 8601, UTC). */
  time: z.iso.datetime(),
});
export type Manifest = z.infer<typeof Manifest>;

/** What was written, so that it can be compared with what is read. */
export const End = z.object({ entries: z.int(), bytes: z.int() });
export type End = z.infer<typeof End>;

/** One file: of exactly `size` bytes. */
export interface ArchiveEntry {
  name: string;
  size: number;
  /** To the second. */
  modified: Date;
  body: ReadableStream<Uint8Array>;
}

const manifestName = "manifest.json";
const endName = "end.json";
/** A manifest that is larger is none of ours. */
const mostManifestBytes = 1024 * 1024;

/** The archive, written as it is read. `onEnd` is told what it holds when all of it was packed. */
export function packArchive(
  manifest: Manifest,
  entries: AsyncIterable<ArchiveEntry>,
  onEnd: (end: End) => void = () => undefined,
): ReadableStream<Uint8Array> {
  const { readable, controller } = createTarPacker();
  const addText = async (name: string, value: object) => {
    const bytes = new TextEncoder().encode(`${JSON.stringify(value)}\n`);
    const writer = controller.add({ name, size: bytes.length, mode: 0o600 }).getWriter();
    await writer.write(bytes);
    await writer.close();
  };
  const writeAll = async () => {
    const end: End = { entries: 0, bytes: 0 };
    await addText(manifestName, manifest);
    for await (const { name, size, modified, body } of entries) {
      await body.pipeTo(controller.add({ name, size, mtime: modified, mode: 0o600 }));
      end.entries++;
      end.bytes += size;
    }
    await addText(endName, end);
    controller.finalize();
    onEnd(end);
  };
  writeAll().catch((thrown: unknown) => controller.error(thrown));
  return readable.pipeThrough(new CompressionStream("gzip"));
}

/** An archive that is being read. */
export interface OpenArchive {
  manifest: Manifest;
  /**
   * To be read to its end: only then it is known that nothing is missing. Each body has to be read
   * or cancelled before the next entry. Throws BackupProblem.
   */
  entries: AsyncIterable<ArchiveEntry>;
}

/**
 * Throws BackupProblem where it is not one of ours, of a newer format, or of other domains than the
 * one that is given.
 */
export async function openArchive(stream: ReadableStream<Uint8Array>, domain?: string): Promise<OpenArchive> {
  const unpacked = stream
    .pipeThrough(new DecompressionStream("gzip") as ReadableWritablePair<Uint8Array, Uint8Array>)
    .pipeThrough(createTarDecoder());
  const iterator = named(unpacked)[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done || first.value.name !== manifestName || first.value.size > mostManifestBytes)
    throw new BackupProblem(`this is not a backup of a chatmail relay: it does not begin with ${manifestName}`);
  const manifest = manifestIn(await jsonIn(first.value));
  if (domain !== undefined && !manifest.domains.includes(domain))
    throw new BackupProblem(`this is a backup of ${manifest.domains.join(", ")}, and not of ${domain}`);
  return { manifest, entries: untilEnd(iterator) };
}

function manifestIn(value: unknown): Manifest {
  const { format } = z.object({ format: z.int().optional() }).catch({}).parse(value);
  if (format !== undefined && format > formatVersion)
    throw new BackupProblem(
      `this backup has format ${format}, and this version reads formats up to ${formatVersion}: use the version that wrote it, or a newer one`,
    );
  const parsed = Manifest.safeParse(value);
  if (!parsed.success)
    throw new BackupProblem(`${manifestName} of this backup is not valid: ${issueTexts(parsed.error)}`);
  return parsed.data;
}

const cutOff = "this backup is not complete: its end is missing. Use another one";

async function* untilEnd(iterator: AsyncIterator<ArchiveEntry>): AsyncGenerator<ArchiveEntry> {
  const seen: End = { entries: 0, bytes: 0 };
  for (;;) {
    const next = await iterator.next();
    if (next.done) throw new BackupProblem(cutOff);
    const { name, size } = next.value;
    if (name === endName) {
      const end = End.safeParse(await jsonIn(next.value));
      if (!end.success || end.data.entries !== seen.entries || end.data.bytes !== seen.bytes)
        throw new BackupProblem("this backup does not hold what its end says: it is damaged. Use another one");
      // what follows is padding; errors of the layers below show only when it has been read
      if (!(await iterator.next()).done) throw new BackupProblem("this backup goes on after its end: it is damaged");
      return;
    }
    yield next.value;
    seen.entries++;
    seen.bytes += size;
  }
}

/** With errors of the layers below in words, and with names that lead nowhere else. */
async function* named(unpacked: AsyncIterable<ParsedTarEntry>): AsyncGenerator<ArchiveEntry> {
  try {
    for await (const { header, body } of unpacked) {
      const { name, size, mtime = new Date(0), type = "file" } = header;
      if (type !== "file" || !isPlainPath(name))
        throw new BackupProblem(
          `this backup holds ${JSON.stringify(name)} (${type}), as no backup does: it is damaged`,
        );
      yield { name, size, modified: mtime, body: toldBody(body) };
    }
  } catch (thrown) {
    throw unreadable(thrown);
  }
}

const unreadable = (thrown: unknown): BackupProblem =>
  thrown instanceof BackupProblem
    ? thrown
    : new BackupProblem(`this backup can't be read: ${messageOf(thrown)}`, { cause: thrown });

/** The same bytes; what the layers below say is said in words. */
function toldBody(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (done) controller.close();
          else controller.enqueue(value);
        } catch (thrown) {
          controller.error(unreadable(thrown));
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

const isPlainPath = (name: string) =>
  name.split("/").every((part) => part !== "" && part !== "." && part !== "..") && !name.includes("\0");

async function jsonIn({ name, body }: ArchiveEntry): Promise<unknown> {
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(part);
  const text = Buffer.concat(parts).toString("utf8");
  try {
    return JSON.parse(text);
  } catch (thrown) {
    throw new BackupProblem(`${name} of this backup is not JSON: ${messageOf(thrown)}`);
  }
}
