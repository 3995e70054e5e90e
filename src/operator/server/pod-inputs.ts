/** What the template of a relay pod follows from, beside the spec and the image. Pure. */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { ownersOf } from "../identity/dkim.ts";
import { presentIn } from "../identity/read.ts";
import { addressesOf } from "./addresses.ts";
import { secretsHash } from "./resources/plan-config-map.ts";
import type { PodInputs } from "./revision.ts";
import type { Seen } from "./seen.ts";

export function podInputs(server: ChatmailServer, seen: Seen): PodInputs {
  const { identity, certificate, invites } = seen;
  const dkim = presentIn(identity.dkim);
  return {
    tlsSecretName: certificate.secretName,
    // the pod takes keys up that a rotation brings, but none in place of those that were lost
    secretsHash: secretsHash(dkim && ownersOf(dkim)[0], presentIn(identity.turn)),
    ...(invites?.unusable && { noInvites: true }),
    // others than the TURN server do not need to know where the outside reaches them
    addresses: server.spec.services.turn.enabled ? addressesOf(server, seen).filter(({ from }) => from !== "Node") : [],
  };
}
