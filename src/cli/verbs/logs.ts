/** `logs`: all containers of a relay in one stream. */
import { Option } from "commander";
import { isApiError, type LogSelection } from "../../kube/client.ts";
import type { Pod } from "../../kube/kinds.ts";
import { CliError } from "../exit.ts";
import { readServer } from "../objects.ts";
import { allPods, theRelayPod } from "../pods.ts";
import type { Session } from "../session.ts";
import { secondsIn } from "../text/duration.ts";
import { harmless } from "../text/paint.ts";
import { repeated, serverWord, type Verb } from "../verb.ts";
import { inOrderOfTime, type LogLine, logLine } from "../views/logs.ts";

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
  rights: ["get `chatmailservers`", "get `pods`, `pods/log`; with `--jobs`: list `pods`"],
  add(program, action) {
    program
      .command("logs")
      .summary("what all containers of a relay write, in one stream")
      .description(
        "Shows the logs of all containers of the relay pod in the order in which the lines were written, each after the name of its container. Logs hold no addresses of users and no passwords.",
      )
      .argument(...serverWord)
      .option("-f, --follow", "go on with what is written from now on, also in pods that come later")
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
          const pods = options.jobs ? await allPods(session, server) : [await theRelayPod(session, server)];
          const sources = sourcesIn(pods, options.container);
          if (sources.length === 0) {
            const known = [...new Set(sourcesIn(pods, undefined).map(({ container }) => container))];
            throw new CliError("missing", `there is no such container; there are ${known.join(", ")}`);
          }
          await printLogs(session, sources, select, options);
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
  await Promise.all(sources.map((source) => followOne(session, source, shown, print)));
}

/** From the last line that was shown, until the container ends. */
async function followOne(
  session: Session,
  { pod, container, label }: Source,
  shown: readonly LogLine[],
  print: (line: LogLine) => void,
): Promise<void> {
  const client = await session.client();
  const last = shown.findLast(({ source }) => source === label)?.time ?? "";
  const age = last === "" ? 1 : Math.ceil((session.around.now().getTime() - Date.parse(last)) / 1_000) + 1;
  const options = { container, follow: true, timestamps: true, sinceSeconds: Math.max(1, age) };
  for await (const text of client.logs(pod, options, session.signal)) {
    const line = logLine(label, text);
    if (line.time > last) print(line);
  }
  session.note(`${label} has ended`);
}
