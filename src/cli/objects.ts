/** The objects that verbs speak of. */
import type { WrittenFleet } from "../api/chatmail-fleet.ts";
import type { WrittenServer } from "../api/chatmail-server.ts";
import { chatmailFleet, chatmailServer, group, version } from "../api/names.ts";
import { type Client, isApiError } from "../kube/client.ts";
import type { KubeObject, Resource } from "../kube/object.ts";
import { CliError } from "./exit.ts";
import type { Session } from "./session.ts";

export const servers: Resource = { ...chatmailServer, group, version };
export const fleets: Resource = { ...chatmailFleet, group, version };

/** So many at once: a fleet of thousands comes in pieces. */
const pageSize = 500;

export async function listAll<T extends KubeObject>(
  client: Client,
  resource: Resource,
  selection: { namespace?: string | undefined; labelSelector?: string; fieldSelector?: string },
  signal: AbortSignal,
): Promise<T[]> {
  const items: KubeObject[] = [];
  let next: string | undefined;
  do {
    const page = await client.listPage(resource, { ...selection, limit: pageSize, next }, signal);
    items.push(...page.items);
    next = page.next;
  } while (next !== undefined);
  return items as T[];
}

/** All servers of the namespace, or of all. Says where the CRD is missing. */
export async function listServers(session: Session): Promise<WrittenServer[]> {
  const client = await session.client();
  const namespace = await session.scope();
  return named(chatmailServer.kind, () =>
    listAll<KubeObject & WrittenServer>(client, servers, { namespace }, session.signal),
  );
}

export async function readServer(session: Session, name: string): Promise<WrittenServer> {
  return (await readOne(session, servers, name)) as unknown as WrittenServer;
}

export async function readFleet(session: Session, name: string): Promise<WrittenFleet> {
  return (await readOne(session, fleets, name)) as unknown as WrittenFleet;
}

async function readOne(session: Session, resource: Resource, name: string): Promise<KubeObject> {
  const client = await session.client();
  const namespace = await session.namespace();
  if (session.options.allNamespaces)
    throw new CliError("usage", `${resource.kind} ${name} is in one namespace: use -n instead of -A`);
  const found = await named(resource.kind, () => client.get(resource, { namespace, name }, session.signal));
  if (found) return found;
  // a kind that is not served is answered as an object that is not there
  await named(resource.kind, () => client.listPage(resource, { namespace, limit: 1 }, session.signal));
  throw new CliError("missing", `there is no ${resource.kind} ${name} in namespace ${namespace}`);
}

async function named<T>(kind: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    if (!isApiError(cause, 404)) throw cause;
    throw new CliError("missing", `the cluster has no kind ${kind}: the operator's CRDs are not installed`, { cause });
  }
}

/** Sets annotations, or takes them away (null). Returns the object as it is then. */
export async function annotate(
  session: Session,
  resource: Resource,
  { metadata: { namespace, name } }: { metadata: { namespace?: string; name: string } },
  annotations: Readonly<Record<string, string | null>>,
): Promise<KubeObject> {
  const client = await session.client();
  const at = { name, ...(namespace !== undefined && { namespace }) };
  return client.merge(resource, at, { metadata: { annotations } }, session.signal);
}
