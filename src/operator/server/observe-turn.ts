/** Finds the secret that TURN credentials are made with, or makes one where there is none. */
import { randomBytes } from "node:crypto";
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { childNames } from "../../api/names.ts";
import type { Extras } from "../../mail/containers.ts";
import { relayPortsOf, turnSecretKey } from "../../mail/turn.ts";
import { ownSecret, type SecretWorld, textIn } from "./observe-secret.ts";
import type { SeenTurn } from "./seen.ts";

/** Undefined where no TURN server runs. One without a secret in it gets a new one: clients ask again within days. */
export async function observeTurn(
  server: ChatmailServer,
  world: SecretWorld,
  signal: AbortSignal,
): Promise<SeenTurn | undefined> {
  if (!server.spec.services.turn.enabled) return undefined;
  const secret = textIn(
    await ownSecret(server, childNames(server.metadata.name).turnSecret, world, signal),
    turnSecretKey,
  );
  return { secret: secret.trim() === "" ? randomBytes(32).toString("hex") : secret };
}

/** What runs beside mail, with the outside's address of the pod: the given one, the load balancer's, or that of the node it comes to be on. */
export function extrasOf(server: ChatmailServer, addresses: readonly string[]): Extras {
  const { services, network } = server.spec;
  if (!services.turn.enabled) return {};
  const { externalAddress } = services.turn;
  const balanced = network.exposure === "LoadBalancer" ? addresses.find((each) => /^[0-9.]+$/.test(each)) : undefined;
  const address = externalAddress ?? balanced;
  const relayPorts = relayPortsOf(services.turn);
  if (address !== undefined) return { turn: { relayPorts, external: { address } } };
  if (network.exposure === "LoadBalancer") return { turn: { relayPorts } };
  return { turn: { relayPorts, external: { podField: "status.hostIP" } } };
}
