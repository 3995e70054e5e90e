/** `move-volume`: mailboxes on another volume. The operator moves them; this asks and watches. */
import type { WrittenServer } from "../../api/chatmail-server.ts";
import { annotations, childNames, labels } from "../../api/names.ts";
import { type Pod, resources, type VolumeClaim } from "../../kube/kinds.ts";
import type { KubeObject } from "../../kube/object.ts";
import { CliError } from "../exit.ts";
import { listAll, readServer, servers } from "../objects.ts";
import type { Session } from "../session.ts";
import { serverWord, type Verb } from "../verb.ts";
import { copyProgress, moveState } from "../views/move.ts";
import { watchOne } from "../watch-one.ts";

interface MoveOptions {
  class?: string;
  size?: string;
  again?: true;
  back?: true;
  cancel?: true;
  confirm?: true;
  wait: boolean;
}

export const moveVolume: Verb = {
  rights: [
    "get, patch, list, watch `chatmailservers`; list `persistentvolumeclaims`",
    "to show how far it is: list `pods`, get `pods/log`",
    "--confirm: delete `persistentvolumeclaims`",
  ],
  add(program, action) {
    program
      .command("move-volume")
      .summary("move the mailboxes to another volume")
      .description(
        "Moves mailboxes and queue to a new volume of the class and size in the spec: of another class, or smaller. The operator copies the volume while the relay runs, stops the relay, copies what has changed, and starts it on the new one. The old volume is kept until --confirm. Interrupting the command stops nothing: run it again to watch.",
      )
      .argument(...serverWord)
      .option("--class <name>", "set storage.storageClassName in the spec first")
      .option("--size <size>", "set storage.size in the spec first")
      .option("--again", "go on with a move that has failed")
      .option("--cancel", "give up a move before the volumes are swapped; the relay stays on the old one")
      .option("--back", "use the old volume again; mail that came since the swap stays on the new one")
      .option("--confirm", "delete the claims that are not in use: the old volume, or a copy that was given up")
      .option("--no-wait", "don't wait for the end")
      .action(
        action<[string], MoveOptions>(async (session, [name], options) => {
          const given = [options.again, options.cancel, options.back, options.confirm].filter(Boolean);
          if (given.length > 1 || (given.length > 0 && (options.class ?? options.size) !== undefined))
            throw new CliError(
              "usage",
              "use one of --again, --cancel, --back and --confirm, without --class and --size",
            );
          const server = await readServer(session, name);
          const place = await placeOf(session, server);
          if (options.confirm) return confirm(session, place);
          if (options.cancel) return cancel(session, place);
          const to = await ask(session, place, options);
          if (!options.wait) {
            session.print(`${name} is moved to claim ${to}\n`);
            return "done";
          }
          await moved(session, place, to, options.again ?? false);
          const rest = options.back
            ? ""
            : `; the old volume is kept until kubectl chatmail move-volume ${name} --confirm`;
          session.print(`${name} is on claim ${to}${rest}\n`);
          return "done";
        }),
      );
  },
};

interface Place {
  server: WrittenServer;
  at: { namespace: string; name: string };
  /** Of the claim in use. */
  inUse: string;
  claims: readonly VolumeClaim[];
  /** Where the annotation says that the mailboxes go, unless they are there. */
  goesTo: string | undefined;
}

async function placeOf(session: Session, server: WrittenServer): Promise<Place> {
  const { namespace, name } = server.metadata;
  const labelSelector = `${labels.server}=${name}`;
  const client = await session.client();
  const claims = await listAll<VolumeClaim>(
    client,
    resources.volumeClaim,
    { namespace, labelSelector },
    session.signal,
  );
  const inUse = server.status?.storage?.claimName ?? childNames(name).volumeClaim;
  const wish = server.metadata.annotations?.[annotations.moveVolume]?.trim().split(/\s+/)[0];
  return { server, at: { namespace, name }, inUse, claims, goesTo: wish === inUse ? undefined : wish };
}

/** Not one that is about to be removed. */
const isKept = ({ metadata }: VolumeClaim) => metadata.deletionTimestamp === undefined;

/** Gives the claim that the mailboxes go to. */
async function ask(session: Session, place: Place, options: MoveOptions): Promise<string> {
  const { server, inUse, claims, goesTo } = place;
  const { name } = server.metadata;
  if (options.again) {
    if (goesTo === undefined) throw new CliError("failed", `no volume of ${name} is being moved`);
    await write(session, place, `${goesTo} ${session.around.now().getTime()}`);
    return goesTo;
  }
  if (goesTo !== undefined) {
    if (options.back || options.class !== undefined || options.size !== undefined)
      throw new CliError(
        "failed",
        `${name} is being moved to claim ${goesTo}: wait for its end, or give it up with --cancel`,
      );
    return goesTo;
  }
  if (options.back) {
    const current = claims.find(({ metadata }) => metadata.name === inUse);
    const uid = current?.metadata.annotations?.[annotations.copyOf];
    const before = claims.filter(isKept).find(({ metadata }) => metadata.uid === uid);
    if (!before) throw new CliError("missing", `the claim that ${name} was moved from no longer exists`);
    await write(session, place, before.metadata.name);
    return before.metadata.name;
  }
  const others = claims.filter(isKept).flatMap(({ metadata: { name: each } }) => (each === inUse ? [] : [each]));
  if (others.length > 0)
    throw new CliError(
      "failed",
      `claim ${others.join(", ")} is left from an earlier move: delete it first, with --confirm`,
    );
  const numbers = [inUse, ...claims.map(({ metadata }) => metadata.name)].map((each) =>
    Number(/-data-(\d+)$/.exec(each)?.[1] ?? 1),
  );
  const number = Math.max(...numbers) + 1;
  const to = `${childNames(name).volumeClaim}-${number}`;
  const storage = {
    ...(options.class !== undefined && { storageClassName: options.class }),
    ...(options.size !== undefined && { size: options.size }),
  };
  await write(session, place, to, Object.keys(storage).length > 0 ? { storage } : undefined);
  return to;
}

async function write(session: Session, { at }: Place, wish: string | null, spec?: object): Promise<void> {
  const client = await session.client();
  const patch = { metadata: { annotations: { [annotations.moveVolume]: wish } }, ...(spec && { spec }) };
  await client.merge(servers, at, patch, session.signal);
}

async function cancel(session: Session, place: Place) {
  const { goesTo, at, inUse } = place;
  if (goesTo === undefined)
    throw new CliError("failed", `no volume of ${at.name} is being moved; --back undoes a move`);
  await write(session, place, null);
  session.print(`${at.name} stays on claim ${inUse}; --confirm deletes the copy ${goesTo}\n`);
  return "done" as const;
}

/** Only what the operator says is not in use, and only while nothing is being moved. */
async function confirm(session: Session, place: Place) {
  const { server, at, inUse, claims, goesTo } = place;
  const current = claims.find(({ metadata }) => metadata.name === inUse);
  if (goesTo !== undefined)
    throw new CliError("failed", `${at.name} is being moved to claim ${goesTo}: nothing was deleted`);
  const isReady = server.status?.conditions?.some(({ type, status }) => type === "PodReady" && status === "True");
  if (!current || current.metadata.uid !== server.status?.storage?.claimUID || !isReady)
    throw new CliError("failed", `the relay does not run on claim ${inUse}: nothing was deleted`);
  await write(session, place, null);
  const client = await session.client();
  const others = claims.filter((claim) => claim.metadata.name !== inUse && isKept(claim));
  for (const claim of others) await client.remove(resources.volumeClaim, claim, session.signal);
  const names = others.map(({ metadata }) => metadata.name).join(", ");
  session.print(names ? `deleted claim ${names}; ${at.name} is on ${inUse}\n` : `${at.name} has no other claim\n`);
  return "done" as const;
}

/** Until the relay is ready on that claim. */
async function moved(session: Session, { at }: Place, to: string, again: boolean): Promise<void> {
  const client = await session.client();
  const stop = new AbortController();
  const signal = AbortSignal.any([session.signal, stop.signal]);
  let followed: Promise<void> | undefined;
  let isOld = again;
  try {
    for await (const server of watchOne<KubeObject & WrittenServer>(client, servers, at, signal)) {
      if (!server) throw new CliError("missing", `${at.name} was deleted`);
      const state = moveState(server, to);
      if (state.is === "done") return;
      if (state.is === "given up") throw new CliError("failed", `the move of ${at.name} was given up`);
      if (state.is === "failed" && !isOld) throw new CliError("failed", state.says);
      if (state.is === "failed") continue;
      isOld = false;
      session.progress.at(state.says);
      if (state.copies) followed ??= follow(session, at, state.says, signal).finally(() => (followed = undefined));
    }
  } finally {
    stop.abort();
    await followed;
    session.progress.end();
  }
}

/** What the newest copy reports. Without the right to read it, the rest is shown all the same. */
async function follow(session: Session, at: Place["at"], says: string, signal: AbortSignal): Promise<void> {
  try {
    const client = await session.client();
    const labelSelector = `${labels.server}=${at.name},${labels.component}=move`;
    const pods = await listAll<Pod>(client, resources.pod, { namespace: at.namespace, labelSelector }, signal);
    const pod = pods.find(({ status }) => status?.phase === "Running");
    if (!pod) return;
    const where = { namespace: at.namespace, name: pod.metadata.name };
    for await (const line of client.logs(where, { container: "move", follow: true, tailLines: 1 }, signal)) {
      const far = copyProgress(line);
      if (far !== undefined) session.progress.at(`${says}: ${far}`);
    }
  } catch {
    session.signal.throwIfAborted();
  }
}
