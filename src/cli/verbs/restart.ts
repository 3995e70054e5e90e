/** `restart`: another pod in place of the one that runs. */
import { chatmailServer } from "../../api/names.ts";
import { type Pod, resources } from "../../kube/kinds.ts";
import { CliError } from "../exit.ts";
import { readServer } from "../objects.ts";
import { isReady, theRelayPod } from "../pods.ts";
import type { Session } from "../session.ts";
import { serverWord, type Verb } from "../verb.ts";
import { watchOne } from "../watch-one.ts";

export const restart: Verb = {
  rights: ["get `chatmailservers`", "get, delete `pods`; while it waits: list, watch"],
  add(program, action) {
    program
      .command("restart")
      .summary("replace the relay pod by another one, and wait until it is ready")
      .description(
        "Deletes the relay pod, which Kubernetes creates again. Sessions end and clients come back by themselves; mail that was accepted is on the volume. The relay is away for some seconds.",
      )
      .argument(...serverWord)
      .option("--no-wait", "don't wait for the new pod")
      .action(
        action<[string], { wait: boolean }>(async (session, [name], { wait }) => {
          const server = await readServer(session, name);
          const pod = await theRelayPod(session, server);
          const client = await session.client();
          await client.remove(resources.pod, pod, session.signal);
          if (!wait) {
            session.print(`${name} restarts\n`);
            return "done";
          }
          session.progress.at(`${name}: the pod ends`);
          await anotherIsReady(session, pod);
          session.progress.end();
          session.print(`${name} has restarted\n`);
          return "done";
        }),
      );
  },
};

/** Until the user interrupts: how long it takes is for the cluster to say. */
async function anotherIsReady(session: Session, before: Pod): Promise<void> {
  const { namespace = "", name, uid } = before.metadata;
  const client = await session.client();
  for await (const pod of watchOne<Pod>(client, resources.pod, { namespace, name }, session.signal)) {
    if (!pod) session.progress.at(`${name} is gone, Kubernetes creates another`);
    else if (pod.metadata.uid === uid) session.progress.at(`${name} ends`);
    else if (isReady(pod)) return;
    else session.progress.at(`${name} starts (${pod.status?.phase ?? "Pending"})`);
  }
  throw new CliError("failed", `pod ${name} is not ready: see the ${chatmailServer.kind}`);
}
