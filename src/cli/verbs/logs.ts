/** `logs`: all containers of a relay in one stream. */
import { Option } from "commander";
import { isApiError, type LogSelection } from "../../kube/client.ts";
import { type Pod, resources } from "../../kube/kinds.ts";
import { CliError } from "../exit.ts";
import { readServer } from "../objects.ts";
import { allPods, theRelayPod } from "../pods.ts";
import type { Session } from "../session.ts";
import { secondsIn } from "../text/duration.ts";
import { harmless } from "../text/paint.ts";
import { repeated, serverWord, type Verb } from "../verb.ts";
import { inOrderOfTime, type LogLine, logLine } from "../views/logs.ts";
import { watchOne } from "../watch-one.ts";

interface LogOptions {
  follow?: boolean;
  tail: string;
  since?: string;
  container?: string[];
  previous?: boolean;
  timestamps?: boolean;
  jobs?: boolean;
}

interface Source {
  pod: { namespace: string; name: string };
  container: string;
  label: string;
}

export const logs: Verb = {
  rights: [
    "get `chatmailservers`",
    "get `pods`, `pods/log`; with `--jobs`: list `pods`; with `--follow`: list, watch `pods`",
  ],
  add(program, action) {
    program
      .command("logs")
      .summary("what all containers of a relay write, in one stream")
      .description(
        "Shows the logs of all containers of the relay pod in the order in which the lines were written, each after the name of its container. Logs hold no addresses of users and no passwords.",
      )
      .argument(...serverWord)
      .option("-f, --follow", "go on with what is written from now on, also by the pod after a restart, until Ctrl-C")
      .option("--tail <lines>", "at most so many of the last lines of each container", "100")
      .option("--since <time>", "only lines that are younger, such as 30s, 10m, 2h or 1d")
      .addOption(
        new Option("-c, --container <name>", "only this container, such as postfix; may be repeated").argParser(
          repeated,
        ),
      )
      .option("--previous", "of the containers before those that run")
      .option("--timestamps", "with the time of each line")
      .option("--jobs", "also of the pods of the daily clean-up and of image checks")
      .action(
        action<[string], LogOptions>(async (session, [name], options) => {
          const select = selectionOf(options);
          const server = await readServer(session, name);
          const relay = await theRelayPod(session, server);
          const pods = options.jobs ? await allPods(session, server) : [relay];
          const sources = sourcesIn(pods, options.container);
          if (sources.length === 0) {
            const known = [...new Set(sourcesIn(pods, undefined).map(({ container }) => container))];
            throw new CliError("missing", `there is no such container; there are ${known.join(", ")}`);
          }
          await printLogs(session, relay, sources, select, options);
          return "done";
        }),
      );
  },
};

function selectionOf({ tail, since, follow, previous }: LogOptions): Omit<LogSelection, "container"> {
  if (!/^[0-9]{1,9}$/.test(tail)) throw new CliError("usage", `--tail ${tail}: not a number of lines`);
  const sinceSeconds = since === undefined ? undefined : secondsIn(since);
  if (since !== undefined && !sinceSeconds) throw new CliError("usage", `--since ${since}: not a time such as 10m`);
  if (follow && previous) throw new CliError("usage", "--follow and --previous: what has ended writes no more");
  return { tailLines: Number(tail), sinceSeconds, previous, timestamps: true };
}

function sourcesIn(pods: readonly Pod[], only: readonly string[] | undefined): Source[] {
  return pods.flatMap(({ metadata: { namespace = "", name }, spec }) =>
    (spec?.containers ?? [])
      .filter((container) => only?.includes(container.name) ?? true)
      .map((container) => ({
        pod: { namespace, name },
        container: container.name,
        label: pods.length > 1 ? `${name}/${container.name}` : container.name,
      })),
  );
}

async function printLogs(
  session: Session,
  relay: Pod,
  sources: readonly Source[],
  select: Omit<LogSelection, "container">,
  { follow, timestamps }: LogOptions,
): Promise<void> {
  const client = await session.client();
  const width = Math.max(...sources.map(({ label }) => label.length));
  const print = ({ source, time, text }: LogLine) =>
    session.print(`${session.paint("quiet", source.padEnd(width))} ${timestamps ? `${time} ` : ""}${harmless(text)}\n`);
  const past = sources.map(async ({ pod, container, label }) => {
    const lines: LogLine[] = [];
    try {
      for await (const line of client.logs(pod, { ...select, container }, session.signal))
        lines.push(logLine(label, line));
    } catch (thrown) {
      // a container that has not started has none
      if (!isApiError(thrown, 400, 404)) throw thrown;
      session.note(`${label}: ${thrown.message}`);
    }
    return lines;
  });
  const shown = inOrderOfTime(await Promise.all(past));
  for (const line of shown) print(line);
  if (!follow) return;
  const jobs = sources.filter(({ pod }) => pod.name !== relay.metadata.name);
  const ofRelay = sources.filter(({ pod }) => pod.name === relay.metadata.name);
  const followed = (source: Source, isFirst: boolean, signal: AbortSignal) =>
    followOne(session, source, isFirst ? lastTime(shown, source) : "", print, signal);
  await together(session.signal, (start, signal) => {
    for (const source of jobs) start(followed(source, true, signal));
    start(followRelay(session, relay, ofRelay, followed, start, signal));
  });
}

/**
 * Ends with the first failure, and by the interruption of the user; what it started has ended then.
 */
async function together(
  signal: AbortSignal,
  work: (start: (part: Promise<void>) => void, signal: AbortSignal) => void,
): Promise<void> {
  const ending = new AbortController();
  const parts: Promise<void>[] = [];
  work(
    (part) => parts.push(part.catch((thrown: unknown) => ending.abort(thrown))),
    AbortSignal.any([signal, ending.signal]),
  );
  // parts start others
  for (const part of parts) await part;
  signal.throwIfAborted();
  ending.signal.throwIfAborted();
}

type Follow = (source: Source, isFirst: boolean, signal: AbortSignal) => Promise<void>;

/** Each container of the relay pod, and those that come after it, once each. */
async function followRelay(
  session: Session,
  { metadata: { namespace = "", name } }: Pod,
  sources: readonly Source[],
  follow: Follow,
  start: (part: Promise<void>) => void,
  signal: AbortSignal,
): Promise<void> {
  const client = await session.client();
  const begun = new Map<string, Set<string>>();
  for await (const pod of watchOne<Pod>(client, resources.pod, { namespace, name }, signal))
    for (const source of sources) {
      const id = pod?.status?.containerStatuses?.find((each) => each.name === source.container)?.containerID;
      const of = begun.get(source.label) ?? new Set();
      if (id === undefined || of.has(id)) continue;
      begun.set(source.label, of.add(id));
      start(follow(source, of.size === 1, signal));
    }
}

const lastTime = (shown: readonly LogLine[], { label }: Source) =>
  shown.findLast(({ source }) => source === label)?.time ?? "";

/** From the line after the one of this time, or from the first, until the container ends. */
async function followOne(
  session: Session,
  { pod, container, label }: Source,
  last: string,
  print: (line: LogLine) => void,
  signal: AbortSignal,
): Promise<void> {
  const client = await session.client();
  const age = Math.ceil((session.around.now().getTime() - Date.parse(last)) / 1_000) + 1;
  const options = { container, follow: true, timestamps: true, ...(last !== "" && { sinceSeconds: Math.max(1, age) }) };
  try {
    for await (const text of client.logs(pod, options, signal)) {
      const line = logLine(label, text);
      if (line.time > last) print(line);
    }
  } catch (thrown) {
    // it has ended and is removed, before anything of it was read
    if (!isApiError(thrown, 400, 404)) throw thrown;
  }
  session.note(`${label} has ended`);
}
