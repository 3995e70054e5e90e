/** The operator that looks after a namespace, as far as the user may see it. */
import { isApiError } from "../kube/client.ts";
import { type Deployment, type Lease, resources } from "../kube/kinds.ts";
import { messageOf } from "../lib/text.ts";
import { ownerLeaseName } from "../operator/ownership.ts";
import type { ServerDefaults } from "../operator/server/spec.ts";
import { listAll } from "./objects.ts";
import type { Session } from "./session.ts";

export interface OperatorSide {
  /** "namespace/lease" of who looks after the servers; undefined where nobody does. */
  owner?: string | undefined;
  deployment?: Deployment;
  /** Values for what specs leave out. */
  defaults?: ServerDefaults;
  /** Why not all of this is known. */
  unknown?: string;
}

export async function readOperator(session: Session, namespace: string): Promise<OperatorSide> {
  const client = await session.client();
  try {
    const lease = await client.get<Lease>(resources.lease, { namespace, name: ownerLeaseName }, session.signal);
    const owner = lease?.spec?.holderIdentity || undefined;
    if (owner === undefined) return { unknown: `no operator looks after namespace ${namespace}` };
    const [home = "", leaseName = ""] = owner.split("/");
    const labelSelector = "app.kubernetes.io/name=chatmail-operator";
    const found = await listAll<Deployment>(
      client,
      resources.deployment,
      { namespace: home, labelSelector },
      session.signal,
    );
    return { owner, ...operatorOf(found, home, leaseName) };
  } catch (thrown) {
    if (isApiError(thrown, 403)) return { unknown: `you may not read the operator: ${messageOf(thrown)}` };
    throw thrown;
  }
}

/** Pure. */
function operatorOf(found: readonly Deployment[], namespace: string, leaseName: string): Omit<OperatorSide, "owner"> {
  const named = found.find((each) => (variableOf(each, "LEASE_NAME") ?? "chatmail-operator") === leaseName);
  if (!named) return { unknown: `namespace ${namespace} has no Deployment of the operator ${leaseName}` };
  const text = variableOf(named, "SERVER_DEFAULTS");
  try {
    return { deployment: named, defaults: JSON.parse(text ?? "{}") as ServerDefaults };
  } catch {
    return { deployment: named, unknown: "the operator's SERVER_DEFAULTS is no JSON" };
  }
}

function variableOf({ spec }: Deployment, name: string): string | undefined {
  const [container] = spec?.template?.spec?.containers ?? [];
  return container?.env?.find((each) => each.name === name)?.value;
}
