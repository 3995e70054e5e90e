/** The second half of a restore: accounts and mail go into a pod that waits for them. */
import * as z from "zod";
import type { WrittenServer } from "../../api/chatmail-server.ts";
import { childNames } from "../../api/names.ts";
import { openArchive } from "../../backup/archive.ts";
import { inPieces } from "../../backup/pieces.ts";
import { type Pod, resources } from "../../kube/kinds.ts";
import { sizeText } from "../../lib/size-text.ts";
import { messageOf } from "../../lib/text.ts";
import { programs } from "../../pod/layout.ts";
import { CliError } from "../exit.ts";
import { streamInPod } from "../in-pod.ts";
import type { Session } from "../session.ts";
import { watchOne } from "../watch-one.ts";
import { type Source, withBackup } from "./source.ts";

const some = z.int().min(0);
const Received = z.object({ accounts: some, files: some, time: z.string() });

/**
 * The secret key of age stays here: the pod gets what is decrypted, through the API server's TLS.
 */
export async function restoreAccounts(session: Session, server: WrittenServer, source: Source) {
  const { name } = server.metadata;
  const { domain, bootstrap } = server.spec;
  // what the file is, before anything is asked of the pod
  const { manifest } = await withBackup(source, (stream) => openArchive(stream, domain));
  if (bootstrap?.restore?.upload !== true)
    throw new CliError(
      "failed",
      `nothing is restored: ChatmailServer ${name} exists, and takes no backup from here, since it has no bootstrap.restore.upload. To restore its keys, too, delete it first`,
    );
  await podWaits(session, server);
  const command = [programs.node, programs.backup, "receive", "--domain", domain];
  const running = await streamInPod(session, server, "restore", command);
  const said: Buffer[] = [];
  const listening = (async () => {
    for await (const chunk of running.output) said.push(chunk);
  })().catch(() => undefined);
  let bytes = 0;
  let isLost = false;
  try {
    await withBackup(source, async (stream) => {
      for await (const piece of inPieces(stream)) {
        await running.write(piece).catch((cause: unknown) => {
          isLost = true;
          throw new CliError("failed", `nothing is restored: the connection broke: ${messageOf(cause)}`, { cause });
        });
        bytes += piece.length;
        session.progress.at(`${sizeText(bytes)} sent`);
      }
    });
  } catch (thrown) {
    session.signal.throwIfAborted();
    if (!isLost) running.stop();
    // what the program says explains more than that it has gone
    const ended = await running.ended.catch(() => undefined);
    if (ended && ended.code !== 0) throw failed(ended.stderr, ended.code);
    throw thrown;
  }
  const { code, stderr } = await running.ended.catch((cause: unknown) => {
    session.signal.throwIfAborted();
    throw new CliError("failed", `whether all was restored is not known: ${messageOf(cause)}. Run this again`, {
      cause,
    });
  });
  await listening;
  if (code !== 0) throw failed(stderr, code);
  const received = receivedIn(Buffer.concat(said).toString("utf8"));
  session.show({ domains: manifest.domains, time: manifest.time, ...received }, () =>
    [
      `accounts of ${domain} of ${manifest.time}: ${received?.accounts ?? "?"}, with ${received?.files ?? "?"} files`,
      `the relay starts now: kubectl chatmail status ${name}\n`,
    ].join("\n"),
  );
  return "done" as const;
}

function failed(stderr: string, code: number): CliError {
  return new CliError(
    "failed",
    `nothing is restored: ${stderr.trim().replace(/^backup: /, "") || `exit code ${code}`}`,
  );
}

function receivedIn(text: string): z.infer<typeof Received> | undefined {
  try {
    return Received.parse(JSON.parse(text.trim().split("\n").at(-1) ?? ""));
  } catch {
    return undefined;
  }
}

/**
 * Until the container runs that takes the backup. Throws where it has ended well: nothing is to be
 * filled.
 */
async function podWaits(session: Session, { metadata: { namespace, name } }: WrittenServer): Promise<void> {
  const client = await session.client();
  const at = { namespace, name: childNames(name).pod };
  session.progress.at(`until pod ${at.name} waits for the backup`);
  for await (const pod of watchOne<Pod>(client, resources.pod, at, session.signal)) {
    const found = pod?.status?.initContainerStatuses?.find((each) => each.name === "restore");
    if (found?.state?.running) return;
    if (found?.state?.terminated?.exitCode === 0)
      throw new CliError("failed", `nothing is restored: the volume of ${name} has accounts already`);
  }
}
