/**
 * The key of an ACME account: a Secret that the servers of a namespace share, and that belongs to
 * none of them. It is created, never applied.
 */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { keepAnnotations } from "../../api/names.ts";
import { builtInAccountSecret } from "../../api/spec/certificate.ts";
import { accountKeyIn, thumbprintOf } from "../../certificates/acme/jws.ts";
import { isApiError } from "../../kube/client.ts";
import { resources, type Secret } from "../../kube/kinds.ts";
import type { Problem } from "../problem.ts";
import { readOthers } from "../server/read-others.ts";
import type { World } from "../server/world.ts";
import { dataOf, isOurs, textsIn } from "./secret.ts";

const keyName = "account.key";

export interface AcmeAccount {
  keyPem: string;
  thumbprint: string;
}

export type FoundAccount = AcmeAccount | "absent" | { problem: Problem };

export const accountSecretOf = ({ spec }: Pick<ChatmailServer, "spec">): string =>
  spec.certificate.acme?.accountSecretName ?? builtInAccountSecret;

/** Judged once for each text: servers share it. */
const known = new Map<string, KeyObject | undefined>();

export async function readAccount(server: ChatmailServer, world: World, signal: AbortSignal): Promise<FoundAccount> {
  const { namespace } = server.metadata;
  const name = accountSecretOf(server);
  const secret = await secretNamed(namespace, name, world, signal);
  if (!secret) return "absent";
  const wrong = (message: string) => ({ problem: { reason: "AcmeAccountInvalid", message } as const });
  if (isOurs(secret))
    return wrong(`Secret ${name} was created by the operator for a ChatmailServer: use another one for the account`);
  const keyPem = textsIn(secret)[keyName] ?? "";
  if (!known.has(keyPem)) {
    if (known.size > 100) known.clear();
    known.set(keyPem, accountKeyIn(keyPem));
  }
  const key = known.get(keyPem);
  if (!key)
    return wrong(
      `Secret ${name} has no private key in ${keyName} (EC P-256, P-384 or RSA, in PEM format): restore it, or delete the Secret to get a new account`,
    );
  return { keyPem, thumbprint: thumbprintOf(key) };
}

/** Also one that the watch of names does not show yet, since it was created a moment ago. */
async function secretNamed(namespace: string, name: string, world: World, signal: AbortSignal) {
  const from = { watched: world.otherSecrets, client: world.client, signal };
  return world.stores.secrets.get(namespace, name) ?? (await readOthers(resources.secret, { namespace, name }, from));
}

/** Where somebody else has created it meanwhile, that one is the account. */
export async function makeAccount(server: ChatmailServer, world: World, signal: AbortSignal): Promise<void> {
  const { namespace } = server.metadata;
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const secret: Secret = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: accountSecretOf(server), namespace, annotations: { ...keepAnnotations } },
    type: "Opaque",
    data: dataOf({ [keyName]: privateKey.export({ format: "pem", type: "pkcs8" }) as string }),
  };
  try {
    await world.client.create(resources.secret, secret, signal);
  } catch (error) {
    if (!isApiError(error, 409)) throw error;
  }
}
