/** The CRD as kubectl shows it. Which specs the API server refuses: test/services/crd.test.ts. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { WrittenServer } from "../../src/api/chatmail-server.ts";
import { apiVersion, chatmailServer } from "../../src/api/names.ts";
import { kubectl, kubectlJson } from "../helpers/kubectl.ts";

const namespace = "crd-test";

const manifest = (name: string, spec: Record<string, unknown>) =>
  JSON.stringify({ apiVersion, kind: chatmailServer.kind, metadata: { name, namespace }, spec });

beforeAll(async () => {
  await kubectl(["apply", "--server-side", "--force-conflicts", "-f", "crds/chatmailservers.yaml"]);
  await kubectl(["wait", "--for=condition=Established", "crd/chatmailservers.chatmail.dev", "--timeout=30s"]);
  await kubectl(["delete", "namespace", namespace, "--ignore-not-found"]);
  await kubectl(["create", "namespace", namespace]);
});

afterAll(async () => {
  await kubectl(["delete", "namespace", namespace, "--ignore-not-found", "--wait=false"]);
});

test("kubectl prints the field and the rule of a spec that is refused", async () => {
  const wrong = manifest("wrong", { domain: "Wrong.test", messages: { maxsize: "1Mi" } });
  const refused = await kubectl(["apply", "-f", "-"], wrong).catch(String);
  expect(refused).toMatch(/unknown field "spec\.messages\.maxsize"/);
  const named = await kubectl(["apply", "-f", "-"], manifest("wrong", { domain: "Wrong.test" })).catch(String);
  expect(named).toMatch(/spec\.domain: .*domain must be a lower-case DNS name/);
});

test("the API server fills in nothing, so that a spec says what a person chose", async () => {
  await kubectl(["apply", "-f", "-"], manifest("small", { domain: "small.example.org", accounts: { sendBurst: 20 } }));
  const { spec, status } = await kubectlJson<WrittenServer>(["-n", namespace, "get", "cms", "small"]);
  expect(spec).toEqual({ domain: "small.example.org", accounts: { sendBurst: 20 } });
  expect(status).toEqual({ observedGeneration: -1 });
});

test("servers can be selected by their domain", async () => {
  await kubectl(["apply", "-f", "-"], manifest("selected", { domain: "selected.example.org" }));
  const selector = "spec.domain=selected.example.org";
  const names = await kubectl(["-n", namespace, "get", "cms", "--field-selector", selector, "-o", "name"]);
  expect(names.trim()).toBe("chatmailserver.chatmail.dev/selected");
});

test("an edit that changes nothing immutable passes, and a group of fields may go", async () => {
  const name = "group";
  await kubectl(["apply", "-f", "-"], manifest(name, { domain: "_group.test", messages: { maxSize: "10Mi" } }));
  await kubectl(["apply", "-f", "-"], manifest(name, { domain: "_group.test", storage: { size: "20Gi" } }));
  const { spec } = await kubectlJson<WrittenServer>(["-n", namespace, "get", "cms", name]);
  expect(spec).toEqual({ domain: "_group.test", storage: { size: "20Gi" } });
});

test("kubectl explain says what a field does", async () => {
  const text = await kubectl(["explain", "cms.spec.messages.deleteAfterDays"]);
  expect(text).toMatch(/Days after which a message is deleted/);
  expect(await kubectl(["explain", "chatmailservers"])).toMatch(/A chatmail relay/);
});

test("the short name, the category and the columns are there", async () => {
  const [head = ""] = (await kubectl(["-n", namespace, "get", "cms"])).split("\n");
  expect(head.split(/\s{2,}/)).toEqual(["NAME", "DOMAIN", "READY", "REASON", "DNS", "CERT-UNTIL", "VERSION", "AGE"]);
  const wide = await kubectl(["-n", namespace, "get", "chatmail", "-o", "wide"]);
  expect(wide).toMatch(/AGE\s+ADDRESS\s+ACCOUNTS\s+INVITE\s+NODE\s+MESSAGE/);
});
