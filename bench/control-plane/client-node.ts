/**
 * The second yardstick: the same work with what @kubernetes/client-node brings, its informer and
 * its calls, and as little else as will do. Arguments: URL of the API server, file of its
 * authority, file of our token, file of the template, workers.
 */
import { readFileSync } from "node:fs";
import {
  ApiException,
  CustomObjectsApi,
  KubeConfig,
  type KubernetesObject,
  KubernetesObjectApi,
  makeInformer,
  PatchStrategy,
  setHeaderOptions,
} from "@kubernetes/client-node";
import { chatmailServer, childNames, group, labels, version } from "../../src/api/names.ts";
import { makeSelfSigned } from "../../src/certificates/self-signed.ts";
import { makeRsaKey } from "../../src/dns/dkim-key.ts";
import { storeResources } from "../../src/operator/server/world.ts";
import { rsaKey } from "../../src/pod/dkim.ts";
import type { Template } from "./template.ts";

const [url = "", caFile = "", tokenFile = "", templateFile = "", workers = "4"] = process.argv.slice(2);
const template = JSON.parse(readFileSync(templateFile, "utf8")) as Template;
const fieldManager = "bench-client-node";

const config = new KubeConfig();
config.loadFromOptions({
  clusters: [{ name: "bench", server: url, caFile }],
  users: [{ name: "bench", token: readFileSync(tokenFile, "utf8").trim() }],
  contexts: [{ name: "bench", cluster: "bench", user: "bench" }],
  currentContext: "bench",
});
const objects = KubernetesObjectApi.makeApiClient(config);
const custom = config.makeApiClient(CustomObjectsApi);

interface Server extends KubernetesObject {
  spec: { domain: string; messages?: { maxSize?: string } };
  status?: { observedGeneration?: number };
}

const keyOf = ({ metadata }: KubernetesObject) => `${metadata?.namespace}/${metadata?.name}`;
const waiting = new Set<string>();
const working = new Set<string>();
const sleepers: (() => void)[] = [];
const add = (key: string) => {
  waiting.add(key);
  sleepers.shift()?.();
};

/** What was sent last, by kind and key. */
const sent = new Map<string, string>();
const caches = new Map<string, Map<string, KubernetesObject>>();

async function inform(kind: string, path: string, toKey: (object: KubernetesObject) => string | undefined) {
  const cache = new Map<string, KubernetesObject>();
  caches.set(kind, cache);
  const selector = kind === chatmailServer.kind ? undefined : labels.server;
  const [apiVersion = "", plural = ""] = splitPath(path);
  const list = () =>
    objects.list<KubernetesObject>(apiVersion, kind, undefined, undefined, undefined, undefined, undefined, selector);
  const informer = makeInformer(config, path, list, selector);
  const heard = (object: KubernetesObject) => {
    const before = cache.get(keyOf(object));
    cache.set(keyOf(object), object);
    if (kind === chatmailServer.kind && before?.metadata?.generation === object.metadata?.generation && before) return;
    const key = toKey(object);
    if (key) add(key);
  };
  informer.on("add", heard);
  informer.on("update", heard);
  informer.on("delete", (object) => {
    cache.delete(keyOf(object));
    const key = toKey(object);
    if (key) add(key);
  });
  informer.on("error", (error) => {
    console.error(plural, String(error));
    setTimeout(() => informer.start().catch(() => {}), 1_000);
  });
  await informer.start();
}

/** /apis/apps/v1/statefulsets → apps/v1, statefulsets. */
function splitPath(path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== "api" && part !== "apis");
  return [parts.slice(0, -1).join("/"), parts.at(-1) ?? ""];
}

async function newKey(forDkim: boolean, domain: string): Promise<Record<string, string>> {
  const base64 = (pem: string) => Buffer.from(pem).toString("base64");
  if (forDkim) return { [rsaKey.file]: base64(await makeRsaKey()) };
  const { certificatePem, keyPem } = await makeSelfSigned(domain, new Date());
  return { "tls.crt": base64(certificatePem), "tls.key": base64(keyPem) };
}

async function reconcile(key: string) {
  const server = caches.get(chatmailServer.kind)?.get(key) as Server | undefined;
  if (!server?.metadata) return;
  const { name = "", namespace = "", uid = "", generation = 0 } = server.metadata;
  const { domain, messages } = server.spec;
  const fill = (text: string) =>
    text
      .replaceAll("@NAME@", name)
      .replaceAll("@NAMESPACE@", namespace)
      .replaceAll("@UID@", uid)
      .replaceAll("@DOMAIN@", domain)
      .replaceAll("@EDITED@", messages?.maxSize ?? "");
  for (const text of template.children) {
    const filled = fill(text);
    const wanted = JSON.parse(filled) as KubernetesObject & { data?: Record<string, string> };
    const about = `${wanted.kind} ${keyOf(wanted)}`;
    const live = caches.get(wanted.kind ?? "")?.get(keyOf(wanted));
    if (live && sent.get(about) === filled) continue;
    if (!live) {
      const header = {
        apiVersion: wanted.apiVersion,
        kind: wanted.kind,
        metadata: { name: wanted.metadata?.name, namespace },
      };
      await objects.read(header as Parameters<typeof objects.read>[0]).catch((error: unknown) => {
        if (!(error instanceof ApiException) || error.code !== 404) throw error;
      });
    }
    // Keys are made once: what is there is kept.
    if (wanted.kind === "Secret" && live) continue;
    if (wanted.kind === "Secret")
      wanted.data = await newKey(wanted.metadata?.name === childNames(name).dkimSecret, domain);
    await objects.patch(wanted, undefined, undefined, fieldManager, true, PatchStrategy.ServerSideApply);
    sent.set(about, filled);
  }
  if (server.status?.observedGeneration === generation || sent.get(`status ${key}`) === String(generation)) return;
  const status = { ...(JSON.parse(fill(JSON.stringify(template.status))) as object), observedGeneration: generation };
  const body = { apiVersion: `${group}/${version}`, kind: chatmailServer.kind, metadata: { name, namespace }, status };
  await custom.patchNamespacedCustomObjectStatus(
    { group, version, namespace, plural: chatmailServer.plural, name, body, fieldManager, force: true },
    setHeaderOptions("Content-Type", PatchStrategy.ServerSideApply),
  );
  sent.set(`status ${key}`, String(generation));
}

async function work() {
  for (;;) {
    const key = [...waiting].find((each) => !working.has(each));
    if (key === undefined) {
      await new Promise<void>((resolve) => sleepers.push(resolve));
      continue;
    }
    waiting.delete(key);
    working.add(key);
    try {
      await reconcile(key);
    } catch (error) {
      console.error(key, String(error).slice(0, 300));
      setTimeout(() => add(key), 1_000);
    }
    working.delete(key);
    sleepers.shift()?.();
  }
}

process.on("SIGTERM", () => process.exit(0));
const ofServer = (object: KubernetesObject) => {
  const server = object.metadata?.labels?.[labels.server];
  return server && `${object.metadata?.namespace}/${server}`;
};
for (const resource of Object.values(storeResources)) {
  const path = `${resource.group === "" ? "/api" : `/apis/${resource.group}`}/${resource.version}/${resource.plural}`;
  await inform(resource.kind, path, resource.kind === chatmailServer.kind ? keyOf : ofServer);
}
await Promise.all(Array.from({ length: Number(workers) }, work));
