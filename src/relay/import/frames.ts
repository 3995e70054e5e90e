/**
 * What `kubectl chatmail import` and the program in the relay container say to each other: a line
 * of JSON each, and behind a `mail` exactly so many bytes. Both sides check what they get.
 *
 *     begin                  → ready
 *     account, for each one  → account
 *     mails, for each one    → mails: which of them are wanted
 *     mail …, done           → done
 *     end                    → end
 *
 * Answers to `account` may come in another order than they were asked for.
 */
import * as z from "zod";
import { firstIssue } from "../../lib/issues.ts";
import { LineTooLong } from "../../lib/lines.ts";

export const formatVersion = 1;

const address = z.string().min(3).max(320);
const path = z.string().min(1).max(600);
const count = z.int().min(0);

const OwnFile = z.object({ path, base64: z.string(), modifiedMs: z.number() });
/** One of an account's own files. */
export type OwnFile = z.infer<typeof OwnFile>;

const Request = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("begin"), format: z.int(), domain: z.string(), dryRun: z.boolean() }),
  z.object({ kind: z.literal("account"), address, files: z.array(OwnFile).max(1000) }),
  /** Paths of all mails of an account there, such as "cur/NAME" or ".Folder/new/NAME". */
  z.object({ kind: z.literal("mails"), address, mails: z.array(path) }),
  z.object({ kind: z.literal("mail"), address, path, bytes: count, modifiedMs: z.number() }),
  z.object({ kind: z.literal("done"), address }),
  z.object({ kind: z.literal("end") }),
]);
export type Request = z.infer<typeof Request>;

/** "kept": somebody has changed its password here since it was imported. */
export const accountStates = ["new", "changed", "same", "kept"] as const;

const Answer = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("ready"), freeBytes: count }),
  z.object({ kind: z.literal("account"), address, state: z.enum(accountStates) }),
  /** Numbers of those that are wanted, from 0; how many get or would get other flags. */
  z.object({ kind: z.literal("mails"), address, wanted: z.array(count), moved: count }),
  z.object({ kind: z.literal("done"), address, mails: count }),
  z.object({ kind: z.literal("end") }),
]);
export type Answer = z.infer<typeof Answer>;
export type AccountState = (typeof accountStates)[number];

/** The paths of a mailbox with a hundred thousand mails fit. */
const mostLineBytes = 16 * 2 ** 20;

export const lineOf = (frame: Request | Answer): Buffer => Buffer.from(`${JSON.stringify(frame)}\n`);

export const readRequest = (from: Incoming) => readFrame(from, Request);
export const readAnswer = (from: Incoming) => readFrame(from, Answer);

/** Undefined where nothing comes any more. Throws where it is not valid. */
async function readFrame<T>(from: Incoming, schema: z.ZodType<T>): Promise<T | undefined> {
  const line = await from.line();
  if (line === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new Error(`not understood: ${line.slice(0, 200)}`, { cause });
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new Error(`not understood: ${firstIssue(parsed.error)}`);
  return parsed.data;
}

/** Lines and runs of bytes out of one stream. */
export class Incoming {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Without its LF; undefined at the end, and where the last line is cut off. */
  async line(): Promise<string | undefined> {
    const pieces: Buffer[] = [];
    let bytes = 0;
    for (;;) {
      const end = this.#rest.indexOf(10);
      const piece = this.#rest.subarray(0, end < 0 ? this.#rest.length : end);
      pieces.push(piece);
      bytes += piece.length;
      if (bytes > mostLineBytes) throw new LineTooLong(`a line of more than ${mostLineBytes} bytes`);
      if (end >= 0) {
        this.#rest = this.#rest.subarray(end + 1);
        return Buffer.concat(pieces, bytes).toString("utf8");
      }
      if (!(await this.#more())) return undefined;
    }
  }

  /** Exactly so many. Throws where fewer come. */
  async *body(size: number): AsyncGenerator<Buffer> {
    for (let left = size; left > 0; ) {
      if (this.#rest.length === 0 && !(await this.#more())) throw new Error("the connection ended within a mail");
      const piece = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(piece.length);
      left -= piece.length;
      yield piece;
    }
  }

  async #more(): Promise<boolean> {
    const next = await this.#chunks.next();
    this.#rest = next.done ? Buffer.alloc(0) : Buffer.from(next.value.buffer, next.value.byteOffset, next.value.length);
    return !next.done;
  }
}
