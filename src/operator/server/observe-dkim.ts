/** Finds the key that a domain signs with, or makes one where the cluster surely has none. */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { childNames } from "../../api/names.ts";
import { makeRsaKey, publicDkimKey } from "../../dns/dkim-key.ts";
import { signsMail } from "../../mail/address.ts";
import { dkimKeyFiles, rsaKey } from "../../pod/dkim.ts";
import type { LiveSecret } from "./live.ts";
import { ownSecret, type SecretWorld, textIn } from "./observe-secret.ts";
import type { SeenDkim } from "./seen.ts";

export async function observeDkim(
  server: ChatmailServer,
  world: SecretWorld,
  signal: AbortSignal,
): Promise<SeenDkim | undefined> {
  if (!signsMail(server.spec.domain)) return undefined;
  const secret = await ownSecret(server, childNames(server.metadata.name).dkimSecret, world, signal);
  return secret ? dkimIn(secret) : { rsaKeyPem: await makeRsaKey(), absent: true, published: [] };
}

/** A key whose public half stands in the DNS is never replaced, not even by a better one. */
function dkimIn(secret: LiveSecret): SeenDkim {
  const text = (file: string) => textIn(secret, file);
  const published = dkimKeyFiles.flatMap(({ file, selector }) => {
    const key = publicDkimKey(text(file));
    return key ? [{ selector, key }] : [];
  });
  if (published[0]?.selector === rsaKey.selector) return { rsaKeyPem: text(rsaKey.file), published };
  const { name } = secret.metadata;
  const message = `Secret ${name} has no private key in ${rsaKey.file}: put it back, or delete the Secret to get a new key, whose record has to be published then`;
  return { published: [], problem: { reason: "DkimKeyInvalid", message } };
}
