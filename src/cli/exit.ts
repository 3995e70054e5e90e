/** With which code the plugin ends. */
import { isApiError } from "../kube/client.ts";
import { codeOf, messageOf } from "../lib/text.ts";

/** Part of the interface: scripts go by them. The reference page has this table. */
export const exitCodes = {
  done: { code: 0, meaning: "done; with `status`, `dns` and `doctor`: nothing is wrong" },
  failed: { code: 1, meaning: "it failed; the message says why" },
  usage: { code: 2, meaning: "the command is not understood" },
  wrong: { code: 3, meaning: "`status`, `dns`, `doctor`: something is wrong, and was shown" },
  missing: { code: 4, meaning: "there is no such server, fleet, key or account" },
  forbidden: { code: 5, meaning: "you don't have the right; the message names it" },
  unreachable: { code: 6, meaning: "the API server can't be reached, or the kubeconfig can't be used" },
  interrupted: { code: 130, meaning: "interrupted (Ctrl-C)" },
} as const satisfies Record<string, { code: number; meaning: string }>;

export type Exit = keyof typeof exitCodes;

/** An expected failure. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly exit: Exit;

  constructor(exit: Exit, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.exit = exit;
  }
}

const fileCodes: readonly unknown[] = [
  ...["EACCES", "EEXIST", "EISDIR", "ELOOP", "EMFILE", "ENAMETOOLONG", "ENOENT", "ENOSPC", "ENOTDIR", "EPERM", "EROFS"],
];

/** Of a file here; a program of the kubeconfig that is missing belongs to the API server. */
function isOfFiles(thrown: unknown): boolean {
  const { syscall = "" } = thrown as NodeJS.ErrnoException;
  return fileCodes.includes(codeOf(thrown)) && !/^(connect|spawn)/.test(syscall);
}

/** How whatever was thrown ends the plugin. */
export function exitOf(thrown: unknown): { exit: Exit; message: string } {
  if (thrown instanceof CliError) return { exit: thrown.exit, message: thrown.message };
  if (isApiError(thrown, 401))
    return { exit: "unreachable", message: `the API server does not know you: ${thrown.message}` };
  if (isApiError(thrown, 403)) return { exit: "forbidden", message: thrown.message };
  if (isApiError(thrown, 404)) return { exit: "missing", message: thrown.message };
  const isOfNetwork = (thrown instanceof Error && thrown.name === "DeadlineError") || codeOf(thrown) !== undefined;
  if (isOfNetwork && !isApiError(thrown) && !isOfFiles(thrown))
    return { exit: "unreachable", message: `the API server can't be reached: ${messageOf(thrown)}` };
  return { exit: "failed", message: messageOf(thrown) };
}
