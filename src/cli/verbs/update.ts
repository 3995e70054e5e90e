/** `update`: one server to its target now, without a turn. */
import type { WrittenServer } from "../../api/chatmail-server.ts";
import type { KubeObject } from "../../kube/object.ts";
import { CliError } from "../exit.ts";
import { annotate, readServer, servers } from "../objects.ts";
import { serverWord, type Verb } from "../verb.ts";
import { updateProgress, updateStep } from "../views/update.ts";
import { watchOne } from "../watch-one.ts";

export const update: Verb = {
  rights: ["get, patch `chatmailservers`; with `--wait`: list, watch"],
  add(program, action) {
    program
      .command("update")
      .summary("update one server now, whatever the others do")
      .description(
        "Sets the annotation chatmail.dev/update, by which the server takes the revision that its status calls target, without waiting for its turn, its window or a person. Does nothing if it has that revision already.",
      )
      .argument(...serverWord)
      .option("--retry", "try a revision again that has failed")
      .option("--wait", "wait until the new pod is ready or has failed")
      .action(
        action<[string], { retry?: boolean; wait?: boolean }>(async (session, [name], { retry = false, wait }) => {
          const server = await readServer(session, name);
          const step = updateStep(server, { retry, now: session.around.now() });
          if (step.is === "refused") throw new CliError("failed", step.why);
          if (step.is === "current") {
            session.print(`${name} has what it is to have\n`);
            return "done";
          }
          const before = server.status?.relay?.failedRevision;
          await annotate(session, servers, server, step.annotations);
          session.print(`${name} is updated to ${step.image ?? `revision ${step.revision}`}\n`);
          if (!wait) return "done";
          const { namespace = "" } = server.metadata;
          const client = await session.client();
          let tried = before === undefined;
          for await (const seen of watchOne<KubeObject & WrittenServer>(
            client,
            servers,
            { namespace, name },
            session.signal,
          )) {
            if (!seen) throw new CliError("missing", `ChatmailServer ${name} was deleted`);
            // until the operator has seen that it is tried again, the status is of the last time
            tried ||= seen.status?.relay?.failedRevision === undefined;
            const progress = updateProgress(seen, step.revision);
            if (!tried) continue;
            if (progress.is === "failed") throw new CliError("failed", progress.why);
            if (progress.is === "done") break;
            session.progress.at(`${name}: ${progress.message}`);
          }
          session.progress.end();
          session.print(`${name} serves with it\n`);
          return "done";
        }),
      );
  },
};
