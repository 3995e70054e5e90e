/** A backup that comes out of the relay pod, encrypted there: whole, or an error. */
import { createHash } from "node:crypto";
import * as z from "zod";
import { sizeText } from "../lib/size-text.ts";
import { messageOf } from "../lib/text.ts";
import { programs } from "../pod/layout.ts";
import { CliError } from "./exit.ts";
import { streamInPod } from "./in-pod.ts";
import type { Session } from "./session.ts";

export interface Wanted {
  contents: "Identity" | "All";
  /** age keys (age1…). */
  recipients: readonly string[];
}

const some = z.int().min(0);
const Report = z.object({
  name: z.string(),
  size: some,
  sha256: z.string(),
  accounts: some,
  messages: some,
});
export type Report = z.infer<typeof Report>;

/** Yields the file, then returns what is in it. Throws CliError where a part of it is missing. */
export async function* backupStream(
  session: Session,
  server: { metadata: { namespace?: string; name: string } },
  { contents, recipients }: Wanted,
): AsyncGenerator<Uint8Array, Report> {
  const { name } = server.metadata;
  const command = [programs.node, programs.backup, "stream", "--server", name, "--contents", contents];
  const recipientWords = recipients.flatMap((recipient) => ["--recipient", recipient]);
  const running = await streamInPod(session, server, "relay", [...command, ...recipientWords], { paced: true });
  const hash = createHash("sha256");
  let bytes = 0;
  let isDone = false;
  try {
    for await (const chunk of running.output) {
      hash.update(chunk);
      bytes += chunk.length;
      session.progress.at(`${sizeText(bytes)} received`);
      yield chunk;
    }
    const { code, stderr } = await running.ended;
    if (code !== 0) throw new CliError("failed", whyNot(stderr, code));
    const report = reportIn(stderr);
    if (!report || report.size !== bytes || report.sha256 !== hash.digest("hex"))
      throw new CliError("failed", `what has come is not what was sent (${bytes} bytes of ${report?.size ?? "?"})`);
    isDone = true;
    return report;
  } catch (cause) {
    session.signal.throwIfAborted();
    if (cause instanceof CliError) throw cause;
    throw new CliError("failed", `the backup was cut off after ${bytes} bytes: ${messageOf(cause)}`, { cause });
  } finally {
    if (!isDone) running.stop();
  }
}

function whyNot(stderr: string, code: number): string {
  if (stderr.includes("not stream")) return "the relay's image is older than this verb: update the server";
  return `no backup was made: ${stderr.trim().replace(/^backup: /, "") || `exit code ${code}`}`;
}

function reportIn(stderr: string): Report | undefined {
  const last = stderr.trim().split("\n").at(-1) ?? "";
  try {
    return Report.parse(JSON.parse(last));
  } catch {
    return undefined;
  }
}
