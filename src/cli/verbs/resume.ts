/** `resume` */
import { annotations } from "../../api/names.ts";
import { annotate, readServer, servers } from "../objects.ts";
import type { Verb } from "../verb.ts";

export const resume: Verb = {
  rights: ["get, patch `chatmailservers`"],
  add(program, action) {
    program
      .command("resume")
      .summary("end a pause")
      .description(
        "Takes the annotation chatmail.dev/pause away. What was edited meanwhile takes effect. Safe to repeat.",
      )
      .argument("<name...>", "names of ChatmailServers")
      .action(
        action<[string[]], unknown>(async (session, [names]) => {
          for (const name of names) {
            const server = await readServer(session, name);
            await annotate(session, servers, server, { [annotations.pause]: null });
            session.print(`${name} is no longer paused by the annotation\n`);
            const { management } = server.spec;
            if (management !== undefined && management !== "Managed")
              session.note(`its spec has management: ${management}, which this does not change`);
          }
          return "done";
        }),
      );
  },
};
