import { apiVersion, chatmailFleet } from "../../api/names.ts";
import type { KubeObject, OwnerReference } from "../../kube/object.ts";
import type { LiveFleet } from "./fleets.ts";

export const fleetReference = ({ metadata }: LiveFleet): OwnerReference => ({
  apiVersion,
  kind: chatmailFleet.kind,
  name: metadata.name,
  uid: metadata.uid,
  controller: true,
  blockOwnerDeletion: true,
});

/** By its owner reference: a label can be written by anybody who wants a server to be selected. */
export const isMadeBy = (fleet: LiveFleet, { metadata }: KubeObject): boolean =>
  metadata.ownerReferences?.some(({ controller, uid }) => controller && uid === fleet.metadata.uid) ?? false;
