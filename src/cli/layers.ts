/** The layers that the spec of a server is resolved from, as far as the user may see them. */
import type { WrittenServer } from "../api/chatmail-server.ts";
import type { Layer } from "../api/resolve.ts";
import { layersOf } from "../operator/server/spec.ts";
import { readFleet } from "./objects.ts";
import { readOperator } from "./operator-side.ts";
import type { Session } from "./session.ts";

/** `unknown`: why values of the operator's configuration are not among them. */
export async function readLayers(
  session: Session,
  { metadata: { namespace }, spec }: WrittenServer,
): Promise<{ layers: Layer[]; unknown?: string | undefined }> {
  const fleetName = spec.fleetRef?.name;
  const fleet = fleetName === undefined ? undefined : await readFleet(session, fleetName);
  const { defaults = {}, unknown } = await readOperator(session, namespace ?? "");
  const ofFleet = fleet && { name: fleet.metadata.name, defaults: fleet.spec.defaults ?? {} };
  return { layers: layersOf(spec, defaults, ofFleet), unknown };
}
