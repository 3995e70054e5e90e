/** `users`: accounts: count, find, disable, enable, delete. */
import { programs } from "../../pod/layout.ts";
import type { Count, User } from "../../relay/users/users.ts";
import { CliError } from "../exit.ts";
import { runInPod } from "../in-pod.ts";
import { readServer } from "../objects.ts";
import { serverWord, type Verb } from "../verb.ts";
import { countTable, userTable } from "../views/users.ts";

interface UsersOptions {
  find?: string;
  disable?: string;
  enable?: string;
  delete?: string;
  yes?: boolean;
  most: string;
}

const acts = { disable: "disabled", enable: "enabled", delete: "deleted" } as const;

export const users: Verb = {
  rights: [
    "get `chatmailservers`, `pods`",
    "get and create `pods/exec`, which is the right to read all mail of the relay",
  ],
  add(program, action) {
    program
      .command("users")
      .summary("accounts: count, find, disable, enable, delete")
      .description(
        "Counts accounts, or does one thing with one of them. A disabled account neither sends nor receives, and keeps its mail. A deleted one loses all mail; if registration is Open, whoever logs in with its address next gets that address.",
      )
      .argument(...serverWord)
      .option("--find <text>", "show accounts with this text in their address")
      .option("--most <number>", "show at most so many", "50")
      .option("--disable <address>", "let the account neither send nor receive")
      .option("--enable <address>", "let it do so again")
      .option("--delete <address>", "delete the account and all of its mail. Needs --yes")
      .option("--yes", "delete indeed")
      .action(
        action<[string], UsersOptions>(async (session, [name], options) => {
          const { find, most, yes } = options;
          const chosen = (["disable", "enable", "delete"] as const).filter((act) => options[act] !== undefined);
          if (chosen.length + (find === undefined ? 0 : 1) > 1)
            throw new CliError("usage", "--find, --disable, --enable and --delete: choose one of them");
          if (!/^[1-9][0-9]{0,5}$/.test(most)) throw new CliError("usage", `--most ${most}: not a number of accounts`);
          const server = await readServer(session, name);
          const ask = async <T>(...words: string[]): Promise<T> => {
            const command = [programs.node, programs.users, ...words];
            return JSON.parse(await runInPod(session, server, "relay", command).catch(understood)) as T;
          };
          const [act] = chosen;
          const address = act && options[act];
          if (act && address !== undefined) {
            if (act === "delete" && !yes)
              throw new CliError("usage", `${address} and all of its mail would be lost: add --yes to delete it`);
            await ask(act, address);
            session.print(`${address} is ${acts[act]}\n`);
          } else if (find !== undefined) {
            const found = await ask<User[]>("find", find, most);
            session.show({ users: found }, () => userTable(found, session.paint));
          } else {
            const counts = await ask<Count[]>("count");
            session.show({ counts }, () => countTable(counts));
          }
          return "done";
        }),
      );
  },
};

/** What the program says, by the exit code that it means. */
function understood(thrown: unknown): never {
  if (thrown instanceof CliError && thrown.message.includes("there is no account"))
    throw new CliError("missing", thrown.message.replace(/^.*(?=there is no account)/s, ""), { cause: thrown });
  if (thrown instanceof CliError && thrown.message.includes("Cannot find module"))
    throw new CliError("failed", "the relay's image is older than this verb: update the server", { cause: thrown });
  throw thrown;
}
