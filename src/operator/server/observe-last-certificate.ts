/** The last certificate that could be served, where the Secret that it came from has none now. */
import type { ChatmailServer } from "../../api/chatmail-server.ts";
import { childNames } from "../../api/names.ts";
import { readPair, sha256Of } from "../../certificates/pair.ts";
import { isMadeFor, textsIn } from "../identity/secret.ts";
import { pairIn } from "../identity/table.ts";
import type { SeenCertificate } from "./seen.ts";
import type { World } from "./world.ts";

export function withLast(
  server: ChatmailServer,
  certificate: SeenCertificate,
  { stores }: Pick<World, "stores">,
): SeenCertificate {
  const { namespace, name } = server.metadata;
  if (certificate.facts || certificate.source === "SelfSigned") return certificate;
  const secret = stores.secrets.get(namespace, childNames(name).lastTlsSecret);
  const texts = secret && isMadeFor(server, secret) ? pairIn(textsIn(secret)) : undefined;
  const pair = texts && readPair(texts);
  if (!pair || "problem" in pair) return certificate;
  const last = { notAfter: new Date(pair.certificate.validTo), sha256: sha256Of(pair.certificate) };
  return { ...certificate, last };
}
