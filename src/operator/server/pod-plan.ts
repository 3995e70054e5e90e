/** What containers and volumes of a relay pod are made from. Pure. */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { extrasOf } from "./extras.ts";
import type { PodPlan } from "./resources/pod.ts";
import type { PodInputs } from "./revision.ts";

export const podPlan = (server: ChatmailServer, inputs: PodInputs, image: string): PodPlan => ({
  server,
  image,
  tlsSecretName: inputs.tlsSecretName,
  secretsHash: inputs.secretsHash,
  noInvites: inputs.noInvites,
  extras: extrasOf(server, inputs.addresses),
});
