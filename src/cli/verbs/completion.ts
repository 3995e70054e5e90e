/** `completion`: scripts for shells. */
import { Argument } from "commander";
import type { Verb } from "../verb.ts";

const scripts = {
  kubectl: `#!/bin/sh
# kubectl runs this to complete "kubectl chatmail …": save it as kubectl_complete-chatmail, executable,
# in a folder of PATH.
exec kubectl-chatmail __complete "$@"
`,
  bash: `# completes "kubectl-chatmail …": source it, or save it in /etc/bash_completion.d
_kubectl_chatmail() {
  local IFS=$'\\n'
  COMPREPLY=($(kubectl-chatmail __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | sed '/^:[0-9]*$/d;s/\\t.*//'))
}
complete -o default -F _kubectl_chatmail kubectl-chatmail
`,
} as const;

export const completion: Verb = {
  rights: [],
  add(program, action) {
    program
      .command("completion")
      .summary("a script that completes verbs, options and names")
      .description(
        "Prints a script. kubectl: for kubectl 1.26 or newer, which then completes this plugin in every shell in which it completes itself. bash: for calls of kubectl-chatmail.",
      )
      .addArgument(new Argument("<for>", "for what").choices(Object.keys(scripts)))
      .action(
        action<[keyof typeof scripts], unknown>(async (session, [name]) => {
          session.print(scripts[name]);
          return "done";
        }),
      );
  },
};
