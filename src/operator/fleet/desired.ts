/** Which servers a fleet lists, and which of them it can't have. Pure. */
import type { WrittenSpec } from "../../api/chatmail-server.ts";
import { apiVersion, chatmailServer, labels } from "../../api/names.ts";
import type { KubeObject } from "../../kube/object.ts";
import type { LiveServer } from "../server/world.ts";
import type { LiveFleet } from "./fleets.ts";
import { fleetReference, isMadeBy } from "./made-by.ts";
import type { Row, SeenFleet } from "./seen.ts";

export interface DesiredServer {
  object: KubeObject & { spec: WrittenSpec };
  /** As it is now; undefined: to be created. */
  live?: LiveServer | undefined;
}

export interface DesiredServers {
  /** In the order of the list. */
  servers: DesiredServer[];
  /** A sentence for each row that can't be carried out. */
  conflicts: string[];
}

/**
 * A server that somebody else made is never taken over, and one whose domain is another is left as
 * it is: it has the mailboxes of that domain.
 */
export function desiredServers(fleet: LiveFleet, { rows }: Pick<SeenFleet, "rows">): DesiredServers {
  const first = new Map<string, string>();
  const wanted: DesiredServers = { servers: [], conflicts: [] };
  for (const { row, server } of rows) {
    const { name, domain } = row;
    const other = first.get(domain);
    if (other === undefined) first.set(domain, name);
    const conflict =
      (other !== undefined && `${name} and ${other} have the same domain, ${domain}`) ||
      (server && conflictWith(fleet, row, server));
    if (conflict) wanted.conflicts.push(conflict);
    else if (!server?.metadata.deletionTimestamp) wanted.servers.push({ object: serverOf(fleet, row), live: server });
  }
  return wanted;
}

function conflictWith(fleet: LiveFleet, { name, domain }: Row, server: LiveServer): string | undefined {
  if (!isMadeBy(fleet, server))
    return `ChatmailServer ${name} exists and was not made by this fleet: remove it from domains and set its fleetRef, or choose another name`;
  if (server.spec?.domain !== domain)
    return `ChatmailServer ${name} serves ${server.spec?.domain}, and the row says ${domain}: choose another name`;
  return undefined;
}

const serverOf = (fleet: LiveFleet, { name, domain, labels: own }: Row): DesiredServer["object"] => ({
  apiVersion,
  kind: chatmailServer.kind,
  metadata: {
    name,
    namespace: fleet.metadata.namespace,
    labels: { ...own, [labels.fleet]: fleet.metadata.name },
    ownerReferences: [fleetReference(fleet)],
  },
  spec: { domain, fleetRef: { name: fleet.metadata.name } },
});
