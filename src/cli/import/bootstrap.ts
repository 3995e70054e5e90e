/**
 * A new volume is filled from the files of another relay, before the pod serves. Safe to repeat
 * after a crash at any line: it goes on where it was, and acts once.
 */
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { hasAccounts } from "../../backup/restore.ts";
import { sizeText } from "../../lib/size-text.ts";
import { syncToDisk } from "../../lib/sync-to-disk.ts";
import { readIfThere, replaceFile } from "../../relay/files.ts";
import { type ReceiverOptions, receiveImport } from "../../relay/import/receiver.ts";
import { ImportProblem } from "./problem.ts";
import { type Counts, sendTree } from "./send.ts";
import { findTree, type Tree } from "./tree.ts";

export interface BootstrapOptions extends Pick<ReceiverOptions, "config" | "freeBytes" | "now"> {
  domain: string;
  /** The folder with the other relay's files. */
  from: string;
}

/** In the mail folder, where names with a dot are no domains. */
const marks = { begun: ".importing", done: ".imported" } as const;

/** Figures, without addresses. Throws ImportProblem. */
export async function bootstrapImport(options: BootstrapOptions): Promise<object> {
  const { config, domain, from } = options;
  const at = (name: string) => join(config.mailFolder, name);
  const begun = (await readIfThere(at(marks.begun))) !== undefined;
  if ((await readIfThere(at(marks.done))) !== undefined) return { imported: false, why: "this was done before" };
  if (!begun && (await hasAccounts(config.mailFolder))) return { imported: false, why: "the volume has accounts" };
  const tree = await findTree(from);
  if (tree.domain !== domain)
    throw new ImportProblem(`the volume has the files of ${tree.domain}, and this relay is ${domain}`);
  const plan = await pass(options, tree, true);
  if (plan.mails.bytes > plan.freeBytes)
    throw new ImportProblem(
      `${sizeText(plan.mails.bytes)} are to be copied, and ${sizeText(plan.freeBytes)} are free: set storage.size to a larger size`,
    );
  await replaceFile(at(marks.begun), "");
  const { accounts, mails } = await pass(options, tree, false);
  await rename(at(marks.begun), at(marks.done));
  await syncToDisk(config.mailFolder);
  return { imported: true, accounts: accounts.total, strange: accounts.strange, messages: mails.total };
}

/** Both sides are in this process, and talk as they do elsewhere. */
async function pass(options: BootstrapOptions, tree: Tree, dryRun: boolean): Promise<Counts> {
  const [requests, answers] = [new PassThrough(), new PassThrough()];
  const receiving = receiveImport({
    ...options,
    requests,
    write: async (bytes) => void answers.write(bytes),
  }).finally(() => answers.end());
  const write = (bytes: Uint8Array) =>
    new Promise<void>((resolve, reject) => {
      requests.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  const link = { write, answers };
  const sending = sendTree({ tree, link, dryRun, progress: () => undefined }).finally(() => requests.end());
  // what the receiver says explains more than that it has ended
  const [received, sent] = await Promise.allSettled([receiving, sending]);
  if (sent.status === "rejected" && sent.reason instanceof ImportProblem) throw sent.reason;
  if (received.status === "rejected") throw received.reason;
  if (sent.status === "rejected") throw sent.reason;
  return sent.value;
}
