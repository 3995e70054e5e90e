/**
 * What the other programs of the bench make of a server: our own operator's children and status, as
 * texts with places to fill. So all of them send the API server the same bytes.
 */
import { type ChatmailServer, ChatmailServerSpec } from "../../src/api/chatmail-server.ts";
import { apiVersion, chatmailServer } from "../../src/api/names.ts";
import { makeSelfSigned } from "../../src/certificates/self-signed.ts";
import { makeRsaKey, publicDkimKey } from "../../src/dns/dkim-key.ts";
import type { KubeObject } from "../../src/kube/object.ts";
import { identitySecret } from "../../src/operator/identity/secret.ts";
import { desiredChildren, dnsChildren } from "../../src/operator/server/desired.ts";
import { statusOf } from "../../src/operator/server/status.ts";
import { rsaKey } from "../../src/pod/dkim.ts";

export interface Template {
  /**
   * Texts of JSON with @NAME@, @NAMESPACE@, @UID@, @DOMAIN@ and @EDITED@ (the spec's
   * messages.maxSize).
   */
  children: string[];
  status: object;
}

/**
 * The spec of every server of the bench. No node ports: API servers have 2,768 of them, which 395
 * servers use up. The records are not looked up: the other programs can't do that.
 */
export const specOf = (domain: string) => ({
  domain,
  network: { exposure: "HostPort" },
  dns: { mode: "None" },
});

export async function renderTemplate(relayImage: string): Promise<Template> {
  const server: ChatmailServer = {
    apiVersion,
    kind: chatmailServer.kind,
    metadata: { name: "@NAME@", namespace: "@NAMESPACE@", uid: "@UID@", generation: 1 },
    spec: { ...ChatmailServerSpec.parse(specOf("_place.test")), domain: "@DOMAIN@" },
  };
  const now = new Date();
  const { certificatePem, keyPem } = await makeSelfSigned("_place.test", now);
  const rsaKeyPem = await makeRsaKey();
  const tls = identitySecret(server, "tls", { "tls.crt": certificatePem, "tls.key": keyPem });
  const dkim = identitySecret(server, "dkim", { [rsaKey.file]: rsaKeyPem });
  const certificate = { source: "SelfSigned" as const, secretName: tls.metadata.name };
  const key = publicDkimKey(rsaKeyPem);
  const value = { rsaKeyPem, published: key ? [{ selector: rsaKey.selector, key }] : [] };
  const identity = { dkim: { state: "present", secret: dkim, value } as const };
  const seen = { certificate, identity, jobs: [] };
  const options = { relayImage, operatorNamespace: "chatmail" };
  const applied = [...desiredChildren(server, seen, options), ...dnsChildren(server, seen)];
  // ours creates its Secrets once; the others apply them with the rest
  const objects: KubeObject[] = [tls, dkim, ...applied.map(({ object }) => object)];
  const children = objects.map((object) => {
    const { metadata } = object;
    // One more field that follows the spec, where ours has the sizes that follow from it.
    const annotations = { "bench/edited": "@EDITED@" };
    const edited = ["ConfigMap", "StatefulSet"].includes(object.kind) ? { ...metadata, annotations } : metadata;
    return JSON.stringify({ ...object, metadata: edited } satisfies KubeObject);
  });
  const { observedGeneration: _, ...status } = statusOf({ server, seen }, now);
  return { children, status };
}
