/**
 * A CRD that is newer than the operator, as between two steps of an upgrade: nothing changes, and
 * what is missing is repaired.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { WrittenServer } from "../../src/api/chatmail-server.ts";
import { crdOf, type Structural } from "../../src/api/crd.ts";
import { type Kind, kinds } from "../../src/api/kinds.ts";
import { chatmailServer } from "../../src/api/names.ts";
import type { KubeObject } from "../../src/kube/object.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { namespace, OperatorCluster, type RunningOperator } from "../helpers/operator-cluster.ts";
import { patienceMs, until } from "../helpers/until.ts";

const missing = apiServerIsMissing();
if (missing) console.warn(`skipped: ${missing}`);
const patience = { patienceMs: patienceMs.client };

/**
 * With a field and a group that have defaults, one more choice, and one more field of the status.
 */
function newerCrd(): object {
  const crd = structuredClone(crdOf(kinds[0] as Kind));
  const { spec, status } = crd.spec.versions[0]?.schema.openAPIV3Schema.properties ?? {};
  const later: Structural = { type: "object", default: {}, properties: { moon: { type: "string", default: "full" } } };
  Object.assign(spec?.properties ?? {}, { later });
  Object.assign(spec?.properties?.accounts?.properties ?? {}, { karma: { type: "integer", default: 5 } });
  spec?.properties?.certificate?.properties?.source?.enum?.push("Moon");
  Object.assign(status?.properties ?? {}, { later: { type: "string" } });
  return crd;
}

describe.skipIf(missing !== undefined)("with a newer CRD", () => {
  let cluster: OperatorCluster;
  let operator: RunningOperator;
  const status = () => cluster.statusOf("older");
  const spec = async () => (await cluster.get<WrittenServer>(chatmailServer.plural, "older")).spec;

  beforeAll(async () => {
    cluster = await OperatorCluster.open();
    operator = cluster.startOperator();
    await cluster.makeServer("older", { domain: "_older.test", accounts: { sendBurst: 20 } });
    await cluster.setUp("older");
    await cluster.runs("older");
  });
  afterAll(async () => {
    await operator?.stop();
    await cluster?.close();
  });

  test("fields that the operator does not know are ignored, and an object that is deleted is repaired", async () => {
    const before = await status();
    const crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/chatmailservers.chatmail.dev";
    const merge = "application/merge-patch+json";
    expect((await cluster.server.request("PATCH", crds, newerCrd(), merge)).status).toBe(200);
    const isNewer = async () => JSON.stringify(await spec()).includes('"moon":"full"');
    await until("the API server to fill in what is new", isNewer, patience);
    expect(await spec()).toMatchObject({ accounts: { sendBurst: 20, karma: 5 }, later: { moon: "full" } });

    const policy = await cluster.get<KubeObject>("networkpolicies", "older");
    const versions = await cluster.versions("older");
    await cluster.remove("networkpolicies", "older");
    await until("the policy", () => cluster.exists("networkpolicies", "older"), patience);
    const repaired = await cluster.get<KubeObject>("networkpolicies", "older");
    expect(repaired.metadata.uid).not.toBe(policy.metadata.uid);
    expect(repaired).toHaveProperty("spec", (policy as { spec?: object }).spec);
    // written anew is the one that was deleted, and nothing else
    const now = await cluster.versions("older");
    const same = (of: typeof now) => ({ ...of, "networkpolicies/older": "", "chatmailservers/older": "" });
    expect(same(now)).toEqual(same(versions));
    expect(await status()).toEqual(before);
  });

  test("an operator that starts beside it does the same", async () => {
    await operator.stop();
    const before = await status();
    operator = cluster.startOperator();
    await cluster.remove("cronjobs", "older-expiry");
    await until("the CronJob", () => cluster.exists("cronjobs", "older-expiry"), patience);
    expect(await status()).toEqual(before);
  });

  test("a choice that it does not know is refused, and the relay and what is known of it stay", async () => {
    const { conditions: _, observedGeneration: __, ...known } = await status();
    const versions = await cluster.versions("older");
    await cluster.patch("older", { certificate: { source: "Moon" } });
    const { message } = await cluster.conditionIs("older", "Stalled", "SpecInvalid");
    expect(message).toMatch(/^spec\.certificate\.source: /);
    expect(await status()).toMatchObject(known);
    expect(known).toMatchObject({ addresses: [{}], dns: { records: expect.any(Array) }, invite: {} });
    const now = await cluster.versions("older");
    const same = (of: typeof now) => ({ ...of, "chatmailservers/older": "" });
    expect(same(now)).toEqual(same(versions));
    await cluster.patch("older", { certificate: null });
    await cluster.conditionIs("older", "Ready", "Serving");
  });

  test.each([
    { how: "the spec says Paused", patch: { spec: { management: "Paused" } }, is: "Paused" },
    { how: "it is annotated", patch: { metadata: { annotations: { "chatmail.dev/pause": "true" } } }, is: "Paused" },
    { how: "the spec says Unmanaged", patch: { spec: { management: "Unmanaged" } }, is: "Unmanaged" },
  ])("addresses, records and invite stay in the status while $how, and an edit waits", async ({ patch, is }) => {
    const plan = async () =>
      (await cluster.get<{ data?: Record<string, string> }>("configmaps", "older-plan")).data?.["plan.json"];
    const undo = {
      spec: { management: null, accounts: { sendBurst: 20 } },
      metadata: { annotations: { "chatmail.dev/pause": null } },
    };
    const { addresses, dns, invite } = await status();
    await cluster.change(chatmailServer.plural, "older", patch);
    await cluster.conditionIs("older", "Paused", is);
    await cluster.conditionIs("older", "Ready", "Serving");
    const before = await plan();
    await cluster.patch("older", { accounts: { sendBurst: 33 } });
    if (is === "Paused") {
      const { message } = await cluster.conditionIs("older", "Stalled", "EditWaiting");
      expect(message).toContain("ConfigMap older-plan would change");
    }
    const isSeen = async () =>
      (await cluster.condition("older", "Ready"))?.observedGeneration ===
      (await cluster.get(chatmailServer.plural, "older")).metadata.generation;
    await until("the operator to have seen the edit", isSeen, patience);
    expect(await plan()).toBe(before);
    expect(await status()).toMatchObject({ addresses, dns, invite });
    await cluster.change(chatmailServer.plural, "older", undo);
    await cluster.conditionIs("older", "Paused", "Managed");
    expect(await cluster.get(chatmailServer.plural, "older")).toMatchObject({ metadata: { namespace } });
    await cluster.conditionIs("older", "Ready", "Serving");
  });
});
