/** Finds the secret that TURN credentials are made with, or makes one where there is none. */
import { randomBytes } from "node:crypto";
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { childNames } from "../../api/names.ts";
import { turnSecretKey } from "../../pod/turn.ts";
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
