/** `status`: one server or all, what is wrong first. */
import { listServers, readServer } from "../objects.ts";
import type { Verb } from "../verb.ts";
import { isWrong, statusPage, statusTable, summaryOf, worstFirst } from "../views/status.ts";

export const status: Verb = {
  rights: ["get, list `chatmailservers`"],
  add(program, action) {
    program
      .command("status")
      .summary("what is wrong first, of one server or of all")
      .description(
        "Shows how servers are: those first for which a person has to act. With one name, everything that is wrong with that server, and what there is of it. Ends with 3 if a server is not ready.",
      )
      .argument("[name...]", "names of ChatmailServers; all, where none is given")
      .action(
        action<[string[]], unknown>(async (session, [names]) => {
          const all =
            names.length > 0
              ? await Promise.all(names.map((name) => readServer(session, name)))
              : await listServers(session);
          const summaries = worstFirst(all.map(summaryOf));
          const { paint, isWide: wide, around } = session;
          const now = around.now();
          const [only] = all;
          session.show({ servers: summaries }, () => {
            if (!only) return "";
            if (names.length === 1) return statusPage(only, { paint, now, columns: around.out.columns ?? 100 });
            return statusTable(summaries, { paint, now, wide, allNamespaces: session.options.allNamespaces ?? false });
          });
          if (!only) {
            const scope = await session.scope();
            session.note(scope === undefined ? "there are no servers" : `there are no servers in namespace ${scope}`);
          }
          return summaries.some(isWrong) ? "wrong" : "done";
        }),
      );
  },
};
