/**
 * What the real API server says to a spec: what it refuses, with which words, and what it makes of
 * what it takes.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { WrittenServer } from "../../src/api/chatmail-server.ts";
import { apiVersion, chatmailServer } from "../../src/api/names.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { namespace, OperatorCluster, pathOf } from "../helpers/operator-cluster.ts";
import { wrongEdits, wrongNames, wrongSpecs, wrongTogether } from "../helpers/wrong-specs.ts";

const missing = apiServerIsMissing();
if (missing) console.warn(`skipped: ${missing}`);

type Spec = Record<string, unknown>;

describe.skipIf(missing !== undefined)("the CRD on a real API server", () => {
  let cluster: OperatorCluster;
  beforeAll(async () => {
    cluster = await OperatorCluster.open();
  });
  afterAll(() => cluster?.close());

  const send = (method: "POST" | "PUT", path: string, name: string, spec: Spec, resourceVersion?: string) =>
    cluster.server.request<WrittenServer & { message?: string }>(method, path, {
      apiVersion,
      kind: chatmailServer.kind,
      metadata: { name, namespace, ...(resourceVersion && { resourceVersion }) },
      spec,
    });
  /** As kubectl does it: a field that does not exist is refused. */
  const post = (name: string, spec: Spec) =>
    send("POST", `${pathOf(chatmailServer.plural, "")}?fieldValidation=Strict`, name, spec);

  test.each(wrongSpecs)("refused: $when", async ({ spec, says }) => {
    expect((await post("wrong", spec)).body.message).toMatch(says);
  });

  test.each(wrongTogether)("accepted, for the operator to judge: $when", async ({ spec }) => {
    expect((await post("together", spec)).status).toBe(201);
    await cluster.remove(chatmailServer.plural, "together");
  });

  test.each(wrongEdits)("refused as an edit: $when", async ({ from, to, says }) => {
    const { status, body } = await post("edited", from);
    expect(status).toBe(201);
    try {
      const path = pathOf(chatmailServer.plural, "edited");
      expect((await send("PUT", path, "edited", to, body.metadata.resourceVersion)).body.message).toMatch(says);
    } finally {
      await cluster.remove(chatmailServer.plural, "edited");
    }
  });

  test.each(wrongNames)("refused: a server named %s", async (name) => {
    const { message } = (await post(name, { domain: "_wrong.test" })).body;
    expect(message).toMatch(/metadata\.name must have at most 40 characters/);
  });

  test("nothing is filled in but that nobody has seen the object", async () => {
    const spec = { domain: "small.example.org", accounts: { sendBurst: 20 }, messages: {} };
    await post("small", spec);
    const stored = await cluster.get<WrittenServer>(chatmailServer.plural, "small");
    expect(stored.spec).toEqual(spec);
    expect(stored.status).toEqual({ observedGeneration: -1 });
  });

  test("servers can be selected by their domain", async () => {
    await post("selected", { domain: "selected.example.org" });
    const path = `${pathOf(chatmailServer.plural, "")}?fieldSelector=spec.domain%3Dselected.example.org`;
    const { body } = await cluster.server.request<{ items: WrittenServer[] }>("GET", path);
    expect(body.items.map(({ metadata }) => metadata.name)).toEqual(["selected"]);
  });

  test("all that a spec can say at once is accepted", async () => {
    const spec = {
      domain: "203.0.113.9",
      management: "Paused",
      accounts: { registration: "Closed", usernameMinLength: 3, usernameMaxLength: 20, mailboxQuota: "2Gi" },
      messages: { maxSize: "100M", deleteAfterDays: 7, deleteLargeAfterDays: 1 },
      privacy: { postal: "Street 1\nTown", mail: "admin@example.org" },
      website: { configMapName: "pages" },
      storage: { size: "1Ti", storageClassName: "fast.ssd", annotations: { a: "b" }, reclaimPolicy: "Delete" },
      certificate: { source: "Secret", secret: { name: "mine" }, caBundle: { configMapName: "ours", key: "root.pem" } },
      network: {
        addresses: ["203.0.113.9", "2001:db8::9"],
        service: {
          annotations: { "example.com/pool": "a" },
          labels: { pool: "a" },
          loadBalancerClass: "example.com/lb",
          loadBalancerSourceRanges: ["192.0.2.0/24"],
          allocateNodePorts: false,
          nodePorts: { smtp: 30025, turn: 30478 },
        },
        ipFamilyPolicy: "SingleStack",
      },
      resources: { relay: { requests: { cpu: "250m", memory: "128Mi" }, limits: { memory: "1Gi" } } },
      scheduling: {
        nodeSelector: { disk: "ssd" },
        affinity: {
          nodeAffinity: {
            preferredDuringSchedulingIgnoredDuringExecution: [
              { weight: 1, preference: { matchExpressions: [{ key: "zone", operator: "In", values: ["a"] }] } },
            ],
          },
        },
        runtimeClassName: "gvisor",
        tolerations: [{ key: "mail", operator: "Exists", effect: "NoSchedule" }],
      },
      image: {
        reference: "registry.example.org/chatmail-relay@sha256:abc",
        pullPolicy: "Always",
        pullSecrets: [{ name: "registry" }],
      },
      pod: { labels: { team: "mail" }, annotations: { a: "b" }, serviceAccountName: "mail" },
    };
    expect(await post("full", spec)).toMatchObject({ status: 201 });
  });
});
