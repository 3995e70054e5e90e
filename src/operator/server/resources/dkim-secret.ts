import type { ChatmailServer } from "../../../api/chatmail-server.ts";
import { childNames } from "../../../api/names.ts";
import { rsaKey } from "../../../mail/dkim.ts";
import { type Child, childMeta, isRetained } from "./child.ts";

/**
 * The key that the domain signs with. Kept when the server is deleted with Retain: its public half stands in the DNS. Only the key that we
 * made is ours to set; another that a person adds, such as ed25519.pem, is theirs.
 */
export function dkimSecret(
  server: ChatmailServer,
  rsaKeyPem: string,
): Child<{ type: string; data: Record<string, string> }> {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: childMeta(server, childNames(server.metadata.name).dkimSecret, { owned: !isRetained(server) }),
    type: "Opaque",
    data: { [rsaKey.file]: Buffer.from(rsaKeyPem).toString("base64") },
  };
}
