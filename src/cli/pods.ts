/** The pods of a server. */
import { childNames, labels } from "../api/names.ts";
import { type Pod, resources } from "../kube/kinds.ts";
import { CliError } from "./exit.ts";
import { listAll } from "./objects.ts";
import type { Session } from "./session.ts";

interface Of {
  metadata: { namespace?: string; name: string };
}

/** The relay pod; undefined while there is none. */
async function relayPod(session: Session, { metadata: { namespace = "", name } }: Of): Promise<Pod | undefined> {
  const client = await session.client();
  return client.get<Pod>(resources.pod, { namespace, name: childNames(name).pod }, session.signal);
}

/** Throws where there is none. */
export async function theRelayPod(session: Session, server: Of): Promise<Pod> {
  const pod = await relayPod(session, server);
  if (pod) return pod;
  throw new CliError("missing", `there is no relay pod: kubectl chatmail status ${server.metadata.name} says why`);
}

/** The relay pod, and those of the daily clean-up and of checks. */
export async function allPods(session: Session, { metadata: { namespace, name } }: Of): Promise<Pod[]> {
  const labelSelector = `${labels.server}=${name}`;
  return listAll<Pod>(await session.client(), resources.pod, { namespace, labelSelector }, session.signal);
}

export const isReady = ({ metadata, status }: Pod): boolean =>
  metadata.deletionTimestamp === undefined &&
  (status?.conditions ?? []).some(({ type, status: is }) => type === "Ready" && is === "True");
