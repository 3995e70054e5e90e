/** `rotate-dkim`: new keys to sign with. */
import { annotations } from "../../api/names.ts";
import { CliError } from "../exit.ts";
import { annotate, readServer, servers } from "../objects.ts";
import { repeated, serverWord, type Verb } from "../verb.ts";

export const rotateDkim: Verb = {
  rights: ["get, patch `chatmailservers`"],
  add(program, action) {
    program
      .command("rotate-dkim")
      .summary("replace the DKIM keys")
      .description(
        "Sets the annotation chatmail.dev/rotate-dkim to the present time, upon which the operator makes new keys, waits until their records are published, and signs with them. With --compromised they sign as soon as their records are there. If a person publishes the records, kubectl chatmail dns shows the new ones.",
      )
      .argument(...serverWord)
      .option(
        "--compromised <selector>",
        "a key that is known to others and is no longer to be used; may be repeated",
        repeated,
      )
      .action(
        action<[string], { compromised?: string[] }>(async (session, [name], { compromised }) => {
          const server = await readServer(session, name);
          const known = (server.status?.dkim?.keys ?? []).map(({ selector }) => selector);
          const unknown = compromised?.find((selector) => !known.includes(selector));
          if (unknown !== undefined)
            throw new CliError("missing", `there is no key ${unknown}; there are ${known.join(", ") || "none"}`);
          const wanted = compromised
            ? { [annotations.dkimCompromised]: compromised.join(",") }
            : { [annotations.rotateDkim]: session.around.now().toISOString() };
          await annotate(session, servers, server, wanted);
          session.print(
            `the operator replaces the keys of ${name}: kubectl chatmail dns ${name} shows their records\n`,
          );
          return "done";
        }),
      );
  },
};
