/** `spec`: the values that the operator goes by. */
import { CliError } from "../exit.ts";
import { readLayers } from "../layers.ts";
import { readServer } from "../objects.ts";
import { serverWord, type Verb } from "../verb.ts";
import { specRows, specTable } from "../views/spec.ts";

export const spec: Verb = {
  rights: [
    "get `chatmailservers`, `chatmailfleets`",
    "for the operator's values: get `leases`, and list `deployments` in its namespace",
  ],
  add(program, action) {
    program
      .command("spec")
      .summary("each value that the operator goes by, and where it comes from")
      .description(
        "Shows the spec of a server with the values of what it leaves out: of its fleet, of the operator's configuration, or built in. The last two need the right to get leases and to list deployments in the operator's namespace; without it a line on standard error says what is not known. Built-in values are those of this version of the plugin.",
      )
      .argument(...serverWord)
      .option("--set", "leave out what is built in")
      .action(
        action<[string], { set?: boolean }>(async (session, [name], { set }) => {
          const server = await readServer(session, name);
          const { layers, unknown } = await readLayers(session, server);
          if (unknown) session.note(`values of the operator's configuration are not known: ${unknown}`);
          const found = specRows(layers);
          if ("problem" in found) throw new CliError("failed", `the spec is invalid: ${found.problem}`);
          const rows = set ? found.rows.filter(({ from }) => from !== "built in") : found.rows;
          session.show({ fields: rows }, () => specTable(rows, session.paint));
          return "done";
        }),
      );
  },
};
