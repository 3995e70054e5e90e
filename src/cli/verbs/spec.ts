/** `spec`: the values that the operator goes by. */
import type { Layer } from "../../api/resolve.ts";
import { layersOf } from "../../operator/server/spec.ts";
import { CliError } from "../exit.ts";
import { readFleet, readServer } from "../objects.ts";
import { readOperator } from "../operator-side.ts";
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
          const { namespace = "" } = server.metadata;
          const fleetName = server.spec.fleetRef?.name;
          const fleet = fleetName === undefined ? undefined : await readFleet(session, fleetName);
          const operator = await readOperator(session, namespace);
          if (operator.unknown)
            session.note(`values of the operator's configuration are not known: ${operator.unknown}`);
          const layers: Layer[] = layersOf(
            server.spec,
            operator.defaults ?? {},
            fleet && { name: fleet.metadata.name, defaults: fleet.spec.defaults ?? {} },
          );
          const found = specRows(layers);
          if ("problem" in found) throw new CliError("failed", `the spec is invalid: ${found.problem}`);
          const rows = set ? found.rows.filter(({ from }) => from !== "built in") : found.rows;
          session.show({ fields: rows }, () => specTable(rows, session.paint));
          return "done";
        }),
      );
  },
};
