/** `rollout`: the update of a fleet: how it goes, stopping it, going on, going back. */

import type { WrittenFleet } from "../../api/chatmail-fleet.ts";
import type { WrittenServer } from "../../api/chatmail-server.ts";
import type { KubeObject } from "../../kube/object.ts";
import { CliError } from "../exit.ts";
import { fleets, listAll, readFleet, servers } from "../objects.ts";
import type { Session } from "../session.ts";
import type { Verb } from "../verb.ts";
import { isStopped, rolloutPage, versionBefore } from "../views/rollout.ts";
import { watchOne } from "../watch-one.ts";

interface RolloutOptions {
  stop?: boolean;
  resume?: boolean;
  to?: string;
  return?: boolean;
  watch?: boolean;
}

export const rollout: Verb = {
  rights: [
    "get `chatmailfleets`; with `--watch`: list, watch",
    "to change it: patch `chatmailfleets`",
    "with `--return`: list `chatmailservers`",
  ],
  add(program, action) {
    program
      .command("rollout")
      .summary("the update of a fleet: waves, stop, resume, another version, return")
      .description(
        "Shows how the update of a fleet goes. The other forms write spec.rollout of the fleet: where it comes from Git, change it there. Servers that are being updated go on to the end. Ends with 3 if the update has stopped.",
      )
      .argument("<fleet>", "name of the ChatmailFleet")
      .option("--stop", "give no more turns (paused: true)")
      .option("--resume", "go on (paused: false)")
      .option("--to <version>", "update to this version, in waves")
      .option(
        "--return",
        "go back, in the same waves, to the version that most of the servers that are not updated have",
      )
      .option("-w, --watch", "show it again whenever it changes, until nobody waits or it has stopped")
      .action(
        action<[string], RolloutOptions>(async (session, [name], options) => {
          const { stop, resume, to, return: back, watch } = options;
          if ([stop, resume, to, back].filter((each) => each !== undefined).length > 1)
            throw new CliError("usage", "--stop, --resume, --to and --return: choose one of them");
          const fleet = await readFleet(session, name);
          if (stop || resume)
            await change(session, fleet, { paused: stop === true }, stop ? "gives no more turns" : "goes on");
          if (to !== undefined) await change(session, fleet, { version: to }, `is updated to ${to}`);
          if (back) {
            const version = await before(session, fleet);
            await change(session, fleet, { version, paused: false }, `goes back to ${version}`);
          }
          if (watch) return watchRollout(session, fleet);
          if (stop || resume || to !== undefined || back) return "done";
          show(session, fleet);
          return isStopped(fleet) ? "wrong" : "done";
        }),
      );
  },
};

const show = (session: Session, fleet: WrittenFleet) =>
  session.show({ spec: fleet.spec.rollout ?? {}, status: fleet.status ?? {} }, () => rolloutPage(fleet, session.paint));

async function change(session: Session, { metadata }: WrittenFleet, rolloutSpec: object, says: string): Promise<void> {
  const client = await session.client();
  const { namespace = "", name } = metadata;
  await client.merge(fleets, { namespace, name }, { spec: { rollout: rolloutSpec } }, session.signal);
  session.print(`${name} ${says}\n`);
}

async function before(
  session: Session,
  { metadata: { namespace, name }, spec, status }: WrittenFleet,
): Promise<string> {
  const client = await session.client();
  const fieldSelector = `spec.fleetRef.name=${name}`;
  const members = await listAll<KubeObject & WrittenServer>(
    client,
    servers,
    { namespace, fieldSelector },
    session.signal,
  );
  const now = spec.rollout?.version ?? status?.rollout?.target?.replace(/^.*:/, "");
  const version = versionBefore(
    members.map((each) => each.status?.relay?.version),
    now,
  );
  if (version !== undefined) return version;
  throw new CliError(
    "failed",
    `all servers of ${name} have ${now ?? "the same version"}: say which one with --to VERSION`,
  );
}

async function watchRollout(session: Session, { metadata: { namespace = "", name } }: WrittenFleet) {
  const client = await session.client();
  let last = "";
  for await (const fleet of watchOne<KubeObject & WrittenFleet>(client, fleets, { namespace, name }, session.signal)) {
    if (!fleet) throw new CliError("missing", `ChatmailFleet ${name} was deleted`);
    // the operator has not seen the last edit
    if (fleet.status?.observedGeneration !== fleet.metadata.generation) continue;
    const text = JSON.stringify([fleet.spec.rollout, fleet.status?.rollout, fleet.status?.servers]);
    if (text !== last) show(session, fleet);
    last = text;
    if (isStopped(fleet)) return "wrong" as const;
    if ((fleet.status?.servers?.waiting ?? 0) === 0 && fleet.status?.rollout?.wave === undefined)
      return "done" as const;
  }
  return "done" as const;
}
