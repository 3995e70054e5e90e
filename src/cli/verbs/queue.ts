/** `queue`: mail that waits, by destination. */
import { folders } from "../../pod/layout.ts";
import { CliError } from "../exit.ts";
import { runInPod } from "../in-pod.ts";
import { readServer } from "../objects.ts";
import { serverWord, type Verb } from "../verb.ts";
import { destinationsOf, isQueueId, queuedMail, queueTable } from "../views/queue.ts";

interface QueueOptions {
  flush?: boolean;
  delete?: string;
  yes?: boolean;
}

/**
 * What `postqueue -f` tells the queue manager (qmgr_user.h): forget which destinations are down,
 * scan all, deferred mail too. The program itself fails afterwards, for the relay has no pickup
 * service. The queue manager may close before the end of what postkick writes, which does no harm.
 */
const flushScript = 'trap "" PIPE; exec postkick -c "$0" public qmgr FAD';

/** Words of a command, of which there may not be too many. */
const idsAtOnce = 200;

export const queue: Verb = {
  rights: [
    "get `chatmailservers`, `pods`",
    "get and create `pods/exec`, which is the right to read all mail of the relay",
  ],
  add(program, action) {
    program
      .command("queue")
      .summary("mail that waits, by destination; flush, delete")
      .description(
        "Shows for which domains mail waits, how much, since when and why. Addresses are not shown. Deferred mail is tried again on its own, and goes back to its sender after some days.",
      )
      .argument(...serverWord)
      .option("--flush", "try all mail that waits now")
      .option("--delete <domain>", "delete mail that waits for this domain; its senders are not told. Needs --yes")
      .option("--yes", "delete indeed")
      .action(
        action<[string], QueueOptions>(async (session, [name], { flush, delete: domain, yes }) => {
          const server = await readServer(session, name);
          const postfix = (program: string, ...words: string[]) =>
            runInPod(session, server, "postfix", [program, "-c", folders.postfixConfig, ...words]);
          if (flush && domain !== undefined) throw new CliError("usage", "--flush and --delete: choose one of the two");
          if (flush) {
            await runInPod(session, server, "postfix", ["sh", "-c", flushScript, folders.postfixConfig]);
            session.print("all mail that waits is tried now\n");
            return "done";
          }
          const destinations = destinationsOf(queuedMail(await postfix("postqueue", "-j")));
          if (domain === undefined) {
            const { paint, around } = session;
            session.show({ destinations }, () => queueTable(destinations, { paint, now: around.now() }));
            return "done";
          }
          const found = destinations.find((each) => each.domain === domain.toLowerCase());
          if (!found) throw new CliError("missing", `no mail waits for ${domain}`);
          const ids = found.ids.filter(isQueueId);
          if (!yes)
            throw new CliError("usage", `${ids.length} messages to ${domain} would be lost: add --yes to delete them`);
          for (let at = 0; at < ids.length; at += idsAtOnce) {
            const some = ids.slice(at, at + idsAtOnce).flatMap((id) => ["-d", id]);
            session.progress.at(`${Math.min(at + idsAtOnce, ids.length)} of ${ids.length}`);
            await postfix("postsuper", ...some);
          }
          session.progress.end();
          session.print(`deleted ${ids.length} messages to ${domain}\n`);
          return "done";
        }),
      );
  },
};
