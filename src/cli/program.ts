/** The command line: all verbs, the options that they share, and how a call ends. */
import { Command, CommanderError, Option } from "commander";
import { type Exit, exitCodes, exitOf } from "./exit.ts";
import { pluginVersion } from "./plugin-version.ts";
import { type GlobalOptions, Session } from "./session.ts";
import type { Surroundings } from "./surroundings.ts";
import { harmless, paintFor } from "./text/paint.ts";
import { type Action, repeated, type Verb } from "./verb.ts";
import { backup } from "./verbs/backup.ts";
import { completion } from "./verbs/completion.ts";
import { dns } from "./verbs/dns.ts";
import { doctor } from "./verbs/doctor.ts";
import { expire } from "./verbs/expire.ts";
import { import_ } from "./verbs/import.ts";
import { invite } from "./verbs/invite.ts";
import { logs } from "./verbs/logs.ts";
import { moveVolume } from "./verbs/move-volume.ts";
import { pause } from "./verbs/pause.ts";
import { queue } from "./verbs/queue.ts";
import { report } from "./verbs/report.ts";
import { restart } from "./verbs/restart.ts";
import { restore } from "./verbs/restore.ts";
import { resume } from "./verbs/resume.ts";
import { rollout } from "./verbs/rollout.ts";
import { rotateDkim } from "./verbs/rotate-dkim.ts";
import { spec } from "./verbs/spec.ts";
import { status } from "./verbs/status.ts";
import { update } from "./verbs/update.ts";
import { users } from "./verbs/users.ts";

/** In the order of the help. */
export const verbs: readonly Verb[] = [
  status,
  doctor,
  spec,
  dns,
  invite,
  logs,
  queue,
  users,
  import_,
  expire,
  backup,
  restore,
  moveVolume,
  pause,
  resume,
  restart,
  update,
  rollout,
  rotateDkim,
  report,
  completion,
];

/** `action` runs what a verb does; without it the program only says what there is. */
export function programOf(action: Action = () => async () => undefined): Command {
  const program = new Command("kubectl-chatmail")
    .usage("<verb> [options]")
    .description(
      "Looks after chatmail relays (ChatmailServer resources), with the rights that your kubeconfig gives you.",
    )
    .version(pluginVersion)
    .addOption(new Option("-n, --namespace <namespace>", "namespace; by default that of the context"))
    .addOption(new Option("-A, --all-namespaces", "all namespaces, with verbs that list"))
    .addOption(
      new Option(
        "-o, --output <format>",
        "wide: more columns. json, yaml: for programs; fields are only added",
      ).choices(["wide", "json", "yaml"]),
    )
    .addOption(new Option("--kubeconfig <file>", "instead of the files in KUBECONFIG, or ~/.kube/config"))
    .addOption(new Option("--context <name>", "context of the kubeconfig instead of the current one"))
    .addOption(new Option("--as <user>", "user to impersonate"))
    .addOption(new Option("--as-group <group>", "group to impersonate; may be repeated").argParser(repeated))
    .configureHelp({ showGlobalOptions: true })
    .helpCommand("help [verb]", "show the help of a verb")
    .showSuggestionAfterError();
  for (const verb of verbs) verb.add(program, action);
  return program;
}

/** One call. Never throws. */
export async function run(words: readonly string[], around: Surroundings): Promise<number> {
  let exit: Exit = "done";
  const action: Action =
    (act) =>
    async (...given) => {
      const command = given.pop() as Command;
      const options = given.pop();
      const session = new Session(around, command.optsWithGlobals<GlobalOptions>());
      try {
        exit = (await act(session, given as never, options as never)) ?? "done";
      } finally {
        session.close();
      }
    };
  const program = programOf(action);
  for (const command of [program, ...program.commands])
    command.exitOverride().configureOutput({
      writeOut: (text) => around.out.write(text),
      writeErr: (text) => around.err.write(text),
      getOutHelpWidth: () => around.out.columns ?? 100,
      getErrHelpWidth: () => around.err.columns ?? 100,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
  try {
    await program.parseAsync([...words], { from: "user" });
    return exitCodes[exit].code;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return exitCodes[thrown.exitCode === 0 ? "done" : "usage"].code;
    if (around.signal.aborted) return exitCodes.interrupted.code;
    const { exit: how, message } = exitOf(thrown);
    const paint = paintFor(around.err, around.environment);
    around.err.write(`${paint("bad", "error:")} ${harmless(message)}\n`);
    return exitCodes[how].code;
  }
}
