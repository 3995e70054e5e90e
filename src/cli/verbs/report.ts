/** `report`: a file for those who help, without secrets and addresses. */
import { stringify } from "yaml";
import { childNames, labels } from "../../api/names.ts";
import { type CoreEvent, resources } from "../../kube/kinds.ts";
import type { KubeObject, Resource } from "../../kube/object.ts";
import { messageOf } from "../../lib/text.ts";
import { findingsOf } from "../doctor/findings.ts";
import { lookAt } from "../doctor/look.ts";
import { listAll, readFleet, readServer } from "../objects.ts";
import { readOperator } from "../operator-side.ts";
import { pluginVersion } from "../plugin-version.ts";
import { allPods } from "../pods.ts";
import { Redactor } from "../report/redact.ts";
import type { Session } from "../session.ts";
import { serverWord, type Verb } from "../verb.ts";

interface ReportOptions {
  file?: string;
  tail: string;
  network: boolean;
}

export const report: Verb = {
  rights: [
    "get `chatmailservers`; what of the following you may not read is left out, and said: `chatmailfleets`, `pods`, `pods/log`, `events`, `statefulsets`, `services`, `persistentvolumeclaims`, `configmaps`, `cronjobs`, `jobs`, `networkpolicies`, and what `doctor` needs. Secrets are not read",
  ],
  add(program, action) {
    program
      .command("report")
      .summary("a file for those who help you, without secrets and addresses")
      .description(
        "Writes what helps to find a fault into one YAML file: the server, what the operator made of it, events, logs and what the doctor finds. Secrets are not read. Local parts of mail addresses, IP addresses, invites, tokens, passwords and keys are replaced by marks, the same one for the same text. Domains stay. Look at the file before you pass it on.",
      )
      .argument(...serverWord)
      .option("--file <file>", "write into this file; by default NAME-report.yaml, and - is standard output")
      .option("--tail <lines>", "at most so many of the last lines of each container", "500")
      .option("--no-network", "don't try the ports of the relay from this computer")
      .action(
        action<[string], ReportOptions>(async (session, [name], { file = `${name}-report.yaml`, tail, network }) => {
          const gathered = await gather(session, name, { tailLines: Number(tail) || 500, network });
          const text = stringify(new Redactor().value(gathered), { lineWidth: 0, aliasDuplicateObjects: false });
          session.progress.end();
          if (file === "-") session.print(text);
          else {
            await session.around.writeFile(file, Buffer.from(text));
            session.print(`wrote ${file}: look at it before you pass it on\n`);
          }
          return "done";
        }),
      );
  },
};

/** What a server owns, but for Secrets. */
const owned: readonly Resource[] = [
  resources.statefulSet,
  resources.service,
  resources.volumeClaim,
  resources.configMap,
  resources.cronJob,
  resources.job,
  resources.networkPolicy,
  resources.pod,
];

async function gather(session: Session, name: string, options: { tailLines: number; network: boolean }) {
  const server = await readServer(session, name);
  const { namespace = "" } = server.metadata;
  const client = await session.client();
  const at = (what: string) => session.progress.at(`reading ${what}`);
  const of = async <T>(what: string, read: () => Promise<T>): Promise<T | { notRead: string }> => {
    at(what);
    try {
      return await read();
    } catch (thrown) {
      session.signal.throwIfAborted();
      return { notRead: messageOf(thrown) };
    }
  };
  const listOwned = (resource: Resource) => {
    const labelSelector = `${labels.server}=${name}`;
    return listAll<KubeObject>(client, resource, { namespace, labelSelector }, session.signal);
  };
  const objects: Record<string, unknown> = {};
  for (const resource of owned) {
    const found = await of(resource.plural, () => listOwned(resource));
    objects[resource.plural] = Array.isArray(found) ? found.map(bare) : found;
  }
  const fleetName = server.spec.fleetRef?.name;
  const names = [name, ...Object.values(childNames(name))];
  const doctor = { mailHost: "gmail-smtp-in.l.google.com", fromHere: options.network };
  return {
    plugin: pluginVersion,
    time: session.around.now().toISOString(),
    server: bare(server),
    ...(fleetName !== undefined && {
      fleet: await of("the fleet", async () => bare(await readFleet(session, fleetName))),
    }),
    operator: await of("the operator", async () => {
      const { owner, deployment, unknown } = await readOperator(session, namespace);
      return { owner, unknown, deployment: deployment && bare(deployment) };
    }),
    doctor: await of("what the doctor finds", async () => findingsOf(await lookAt(session, server, doctor))),
    objects,
    events: await of("events", async () => {
      const all = await listAll<CoreEvent>(client, resources.event, { namespace }, session.signal);
      const about = all.filter(
        ({ involvedObject: { name: whose = "" } }) => names.includes(whose) || whose.startsWith(`${name}-`),
      );
      return about.map(({ type, reason, message, count, lastTimestamp, eventTime, involvedObject }) => ({
        time: lastTimestamp ?? eventTime,
        about: `${involvedObject.kind}/${involvedObject.name}`,
        type,
        reason,
        message,
        count,
      }));
    }),
    logs: await of("logs", () => logsOf(session, server, options.tailLines)),
  };
}

/** Without what says who wrote which field. */
function bare<T extends { metadata: object }>(object: T): T {
  const { managedFields, ...metadata } = object.metadata as { managedFields?: unknown };
  return { ...object, metadata };
}

async function logsOf(session: Session, server: Parameters<typeof allPods>[1], tailLines: number) {
  const client = await session.client();
  const logs: Record<string, unknown> = {};
  for (const { metadata, spec } of await allPods(session, server))
    for (const { name: container } of spec?.containers ?? []) {
      const at = { namespace: metadata.namespace ?? "", name: metadata.name };
      const lines: string[] = [];
      session.progress.at(`reading the log of ${at.name}/${container}`);
      try {
        const options = { container, tailLines, timestamps: true };
        for await (const line of client.logs(at, options, session.signal)) lines.push(line);
        logs[`${at.name}/${container}`] = lines;
      } catch (thrown) {
        session.signal.throwIfAborted();
        logs[`${at.name}/${container}`] = [...lines, `not read: ${messageOf(thrown)}`];
      }
    }
  return logs;
}
