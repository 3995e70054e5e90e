/** `pause` */
import { annotations } from "../../api/names.ts";
import { annotate, readServer, servers } from "../objects.ts";
import type { Verb } from "../verb.ts";

export const pause: Verb = {
  rights: ["get, patch `chatmailservers`"],
  add(program, action) {
    program
      .command("pause")
      .summary("leave pod, volume and Service as they are")
      .description(
        "Sets the annotation chatmail.dev/pause, which GitOps tools leave alone. Keys, certificates, DNS and invites are still looked after, and health is reported. Safe to repeat.",
      )
      .argument("<name...>", "names of ChatmailServers")
      .action(
        action<[string[]], unknown>(async (session, [names]) => {
          for (const name of names) {
            const server = await readServer(session, name);
            await annotate(session, servers, server, { [annotations.pause]: "true" });
            session.print(`${name} is paused\n`);
          }
          return "done";
        }),
      );
  },
};
