/** What a person reads who gets a spec wrong: the real API server with our CRD, through kubectl. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ChatmailServer } from "../../src/api/chatmail-server.ts";
import { apiVersion, chatmailServer } from "../../src/api/names.ts";
import { kubectl, kubectlJson } from "../helpers/kubectl.ts";
import { wrongEdits, wrongNames, wrongSpecs } from "../helpers/wrong-specs.ts";

const namespace = "crd-test";

const manifest = (name: string, spec: Record<string, unknown>) =>
  JSON.stringify({ apiVersion, kind: chatmailServer.kind, metadata: { name, namespace }, spec });

/** What kubectl prints on its way out; "accepted" where it has nothing to object. */
async function refusal(name: string, spec: Record<string, unknown>): Promise<string> {
  try {
    await kubectl(["apply", "--dry-run=server", "-f", "-"], manifest(name, spec));
    return "accepted";
  } catch (error) {
    return String(error);
  }
}

beforeAll(async () => {
  await kubectl(["apply", "--server-side", "--force-conflicts", "-f", "crds/chatmailservers.yaml"]);
  await kubectl(["wait", "--for=condition=Established", "crd/chatmailservers.chatmail.dev", "--timeout=30s"]);
  await kubectl(["delete", "namespace", namespace, "--ignore-not-found"]);
  await kubectl(["create", "namespace", namespace]);
});

afterAll(async () => {
  await kubectl(["delete", "namespace", namespace, "--ignore-not-found", "--wait=false"]);
});

test.each(wrongSpecs)("refused: $when", async ({ spec, says }) => {
  expect(await refusal("wrong", spec)).toMatch(says);
});

test.each(wrongEdits)("refused as an edit: $when", async ({ from, to, says }) => {
  await kubectl(["apply", "-f", "-"], manifest("edited", from));
  try {
    expect(await refusal("edited", to)).toMatch(says);
  } finally {
    await kubectl(["-n", namespace, "delete", "cms", "edited"]);
  }
});

test.each(wrongNames)("refused: a server named %s", async (name) => {
  expect(await refusal(name, { domain: "_wrong.test" })).toMatch(/metadata\.name must have at most 40 characters/);
});

test("defaults are filled in by the API server, so that they can be read where people look", async () => {
  await kubectl(["apply", "-f", "-"], manifest("small", { domain: "small.example.org", accounts: { sendBurst: 20 } }));
  const { spec } = await kubectlJson<ChatmailServer>(["-n", namespace, "get", "cms", "small"]);
  expect(spec).toMatchObject({
    management: "Managed",
    accounts: { sendBurst: 20, mailboxQuota: "500Mi", refuseNew: { diskBelow: "1Gi" } },
    messages: { deleteAfterDays: 20 },
    certificate: { source: "Auto" },
    network: { exposure: "LoadBalancer" },
    storage: { size: "10Gi", reclaimPolicy: "Retain" },
  });
});

test("an edit that changes nothing immutable passes, and a group of fields may go back to its defaults", async () => {
  const name = "group";
  await kubectl(["apply", "-f", "-"], manifest(name, { domain: "_group.test", messages: { maxSize: "10Mi" } }));
  await kubectl(["apply", "-f", "-"], manifest(name, { domain: "_group.test", storage: { size: "20Gi" } }));
  const { spec } = await kubectlJson<ChatmailServer>(["-n", namespace, "get", "cms", name]);
  expect([spec.messages.maxSize, spec.storage.size]).toEqual(["30Mi", "20Gi"]);
});

test("all that a spec can say at once is accepted", async () => {
  const spec = {
    domain: "203.0.113.9",
    management: "Paused",
    accounts: { registration: "Closed", usernameMinLength: 3, usernameMaxLength: 20, mailboxQuota: "2Gi" },
    messages: { maxSize: "100M", deleteAfterDays: 7, deleteLargeAfterDays: 1 },
    privacy: { postal: "Street 1\nTown", mail: "admin@example.org" },
    website: { configMapName: "pages" },
    storage: { size: "1Ti", storageClassName: "fast.ssd", reclaimPolicy: "Delete" },
    certificate: { source: "Secret", secret: { name: "mine" }, caBundle: { configMapName: "ours", key: "root.pem" } },
    network: {
      addresses: ["203.0.113.9", "2001:db8::9"],
      service: { annotations: { "example.com/pool": "a" }, loadBalancerClass: "example.com/lb" },
      ipFamilyPolicy: "SingleStack",
    },
    resources: { relay: { requests: { cpu: "250m", memory: "128Mi" }, limits: { memory: "1Gi" } } },
    scheduling: {
      nodeSelector: { disk: "ssd" },
      tolerations: [{ key: "mail", operator: "Exists", effect: "NoSchedule" }],
    },
    image: { reference: "registry.example.org/chatmail-relay@sha256:abc" },
  };
  expect(await refusal("full", spec)).toBe("accepted");
});

test("kubectl explain says what a field does", async () => {
  const text = await kubectl(["explain", "cms.spec.messages.deleteAfterDays"]);
  expect(text).toMatch(/Days after which a message is deleted/);
  expect(await kubectl(["explain", "chatmailservers"])).toMatch(/A chatmail relay/);
});

test("the short name, the category and the columns are there", async () => {
  const [head = ""] = (await kubectl(["-n", namespace, "get", "cms"])).split("\n");
  expect(head.split(/\s{2,}/)).toEqual(["NAME", "DOMAIN", "READY", "REASON", "CERT-UNTIL", "AGE"]);
  const wide = await kubectl(["-n", namespace, "get", "chatmail", "-o", "wide"]);
  expect(wide).toMatch(/AGE\s+ADDRESS\s+INVITE\s+MESSAGE/);
});
