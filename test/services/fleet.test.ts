/**
 * Fleets on a real API server: what their servers take from them, the servers that they make, and a
 * status that adds up.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { WrittenFleet, WrittenFleetSpec } from "../../src/api/chatmail-fleet.ts";
import type { WrittenServer } from "../../src/api/chatmail-server.ts";
import { apiVersion, chatmailFleet, chatmailServer } from "../../src/api/names.ts";
import type { KubeObject } from "../../src/kube/object.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { namespace, OperatorCluster, pathOf, type RunningOperator } from "../helpers/operator-cluster.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { wrongFleets } from "../helpers/wrong-specs.ts";

const missing = apiServerIsMissing();
if (missing) console.warn(`skipped: ${missing}`);
const patience = { patienceMs: patienceMs.client };

describe.skipIf(missing !== undefined)("a fleet on a real API server", () => {
  let cluster: OperatorCluster;
  let operator: RunningOperator;

  beforeAll(async () => {
    cluster = await OperatorCluster.open();
    operator = cluster.startOperator();
  });
  afterAll(async () => {
    await operator?.stop();
    await cluster?.close();
  });

  const fleetObject = (name: string, spec: object) => ({
    apiVersion,
    kind: chatmailFleet.kind,
    metadata: { name, namespace },
    spec,
  });
  const makeFleet = (name: string, spec: WrittenFleetSpec) =>
    cluster.make(chatmailFleet.plural, fleetObject(name, spec));
  const editFleet = (name: string, spec: object) => cluster.change(chatmailFleet.plural, name, { spec });
  const fleet = (name: string) => cluster.get<WrittenFleet>(chatmailFleet.plural, name);
  const server = (name: string) => cluster.get<WrittenServer & KubeObject>(chatmailServer.plural, name);
  const said = async (name: string, type = "Ready") => {
    const found = (await fleet(name)).status?.conditions?.find((each) => each.type === type);
    return `${found?.status} ${found?.reason}: ${found?.message}`;
  };
  const says = (name: string, words: RegExp, type?: string) => {
    let last = "";
    const found = async () => {
      last = await said(name, type);
      return words.test(last);
    };
    return until(`fleet ${name} to say ${words}`, found, patience).catch((cause) => {
      throw new Error(`${String(cause)}; last: ${last}`, { cause });
    });
  };
  const plan = async (name: string) => {
    const { data } = await cluster.get<KubeObject & { data?: Record<string, string> }>("configmaps", `${name}-plan`);
    return data?.["plan.json"] ?? "";
  };

  describe("the CRD", () => {
    const post = (spec: object) =>
      cluster.server.request<KubeObject & { message?: string }>(
        "POST",
        `${pathOf(chatmailFleet.plural, "")}?fieldValidation=Strict&dryRun=All`,
        fleetObject("wrong", spec),
      );
    test.each(wrongFleets)("refuses: $when", async ({ spec, says: words }) => {
      expect((await post(spec)).body.message).toMatch(words);
    });

    test("takes all that a fleet can say at once", async () => {
      const { status, body } = await post({
        defaults: { management: "Paused", storage: { size: "20Gi" }, certificate: { source: "SelfSigned" } },
        domains: [{ name: "nine", domain: "nine.example.org", labels: { ring: "canary" } }],
        rollout: {
          version: "1.4.0",
          waves: [
            { name: "canary", selector: { matchLabels: { ring: "canary" } }, soakSeconds: 3600 },
            { name: "tenth", share: "10%", maxUnavailable: 3 },
            { name: "few", count: 5 },
            { name: "rest", maxUnavailable: "5%" },
          ],
          gate: "Ready",
          maxFailures: 2,
          onFailure: "Rollback",
          paused: true,
        },
      });
      expect([status, body.message]).toEqual([201, undefined]);
    });

    test("lets a domain of a row be no other one", async () => {
      await makeFleet("fixed", {
        defaults: { management: "Unmanaged" },
        domains: [{ name: "fixed", domain: "_fixed.test" }],
      });
      const edit = editFleet("fixed", { domains: [{ name: "fixed", domain: "_other.test" }] });
      await expect(edit).rejects.toThrow(/domain can't be changed/);
      await cluster.remove(chatmailFleet.plural, "fixed");
    });
  });

  describe("defaults", () => {
    test("are taken where the server says nothing, and an edit of them replaces no pod", async () => {
      await makeFleet("community", { defaults: { accounts: { sendBurst: 33, createBurst: 44 } } });
      await cluster.makeServer("one", {
        domain: "_one.test",
        fleetRef: { name: "community" },
        accounts: { sendBurst: 3 },
      });
      await cluster.setUp("one");
      await cluster.runs("one");
      expect(await plan("one")).toMatch(/"sendBurst":\s*3\b/);
      expect(await plan("one")).toMatch(/"createBurst":\s*44\b/);

      const { metadata } = await server("one");
      const set = await cluster.get("statefulsets", "one");
      await editFleet("community", { defaults: { accounts: { createBurst: 55 } } });
      await until("the edit in the plan", async () => /"createBurst":\s*55\b/.test(await plan("one")), patience);
      expect((await cluster.get("statefulsets", "one")).metadata.generation).toBe(set.metadata.generation);
      // nothing is written into the spec
      expect((await server("one")).metadata.generation).toBe(metadata.generation);
      expect((await server("one")).spec).toEqual({
        domain: "_one.test",
        fleetRef: { name: "community" },
        accounts: { sendBurst: 3 },
      });
    });

    test("that do not fit a server are refused in the words of both", async () => {
      await editFleet("community", { defaults: { messages: { deleteLargeAfterDays: 7 } } });
      await cluster.patch("one", { messages: { deleteAfterDays: 5 } });
      const { message } = await cluster.conditionIs("one", "Ready", "SpecInvalid");
      expect(message).toMatch(/deleteLargeAfterDays is 7 \(fleet community\), deleteAfterDays is 5 \(spec\)/);
      await cluster.patch("one", { messages: null });
      await cluster.conditionIs("one", "Ready", "Serving");
    });

    test("a Secret that only the fleet names is watched for its servers", async () => {
      await makeFleet("sealed", {
        defaults: { accounts: { registration: "Invite", invitesSecretName: "shared-invites" } },
      });
      await cluster.makeServer("sealed", { domain: "_sealed.test", fleetRef: { name: "sealed" } });
      await cluster.setUp("sealed");
      await cluster.conditionIs("sealed", "InvitesReady", "InvitesMissing");
      await cluster.makeSecret("shared-invites", "Opaque", { a: Buffer.from("abcdefgh12345678").toString("base64") });
      await cluster.conditionIs("sealed", "InvitesReady", "InvitesThere");
    });
  });

  describe("without the fleet that it names", () => {
    test("a server that runs goes on as it is, and follows the fleet when it is there again", async () => {
      await makeFleet("gone", { defaults: { accounts: { sendBurst: 77 }, storage: { reclaimPolicy: "Delete" } } });
      await cluster.makeServer("runner", { domain: "_runner.test", fleetRef: { name: "gone" } });
      await cluster.setUp("runner");
      await cluster.runs("runner");
      const before = await cluster.versions("runner");

      await cluster.remove(chatmailFleet.plural, "gone");
      const { message } = await cluster.conditionIs("runner", "Ready", "FleetMissing");
      expect(message).toMatch(/no ChatmailFleet gone in namespace chatmail: create it, or remove fleetRef/);
      expect((await cluster.condition("runner", "Stalled"))?.status).toBe("True");
      const same = (versions: typeof before) => ({ ...versions, "chatmailservers/runner": "" });
      expect(same(await cluster.versions("runner"))).toEqual(same(before));
      expect((await cluster.statusOf("runner")).addresses).not.toEqual([]);

      await makeFleet("gone", { defaults: { accounts: { sendBurst: 88 } } });
      await cluster.conditionIs("runner", "Ready", "Serving");
      expect(await plan("runner")).toMatch(/"sendBurst":\s*88\b/);
    });

    test("a new server waits, with nothing made for it", async () => {
      await cluster.makeServer("early", { domain: "_early.test", fleetRef: { name: "later" } });
      await cluster.conditionIs("early", "Ready", "FleetMissing");
      expect(Object.keys(await cluster.versions("early"))).toEqual(["chatmailservers/early"]);
      await makeFleet("later", {});
      await cluster.setUp("early");
    });
  });

  describe("domains", () => {
    const rows = [
      { name: "first", domain: "_first.test", labels: { ring: "canary" } },
      { name: "second", domain: "_second.test" },
      { name: "foreign", domain: "_foreign.test" },
    ];

    test("are made, belong to the fleet, and what others made is left alone", async () => {
      await cluster.makeServer("foreign", { domain: "_foreign.test" });
      const before = await server("foreign");
      await makeFleet("listed", { domains: rows });
      await says(
        "listed",
        /^False ServerConflict: ChatmailServer foreign exists and was not made by this fleet/,
        "DomainsServed",
      );
      const { uid } = (await fleet("listed")).metadata;
      const first = await server("first");
      expect(first.spec).toEqual({ domain: "_first.test", fleetRef: { name: "listed" } });
      expect(first.metadata.labels).toEqual({ ring: "canary", "chatmail.dev/fleet": "listed" });
      expect(first.metadata.ownerReferences).toMatchObject([{ kind: chatmailFleet.kind, uid, controller: true }]);
      const after = await server("foreign");
      expect([after.spec, after.metadata.labels, after.metadata.ownerReferences]).toEqual([
        before.spec,
        before.metadata.labels,
        before.metadata.ownerReferences,
      ]);
      await cluster.setUp("second");
    });

    test("another label is another label of the server, and what a person set beside it stays", async () => {
      await cluster.change(chatmailServer.plural, "first", {
        metadata: { labels: { mine: "yes" } },
        spec: { accounts: { sendBurst: 4 } },
      });
      await editFleet("listed", { domains: [{ ...rows[0], labels: { ring: "wide" } }, rows[1]] });
      const labels = async () => (await server("first")).metadata.labels ?? {};
      await until("the label", async () => (await labels()).ring === "wide", patience);
      expect(await labels()).toMatchObject({ mine: "yes" });
      expect((await server("first")).spec.accounts).toEqual({ sendBurst: 4 });
      await says("listed", /^True ServersCreated/, "DomainsServed");
    });

    test("a row that is removed deletes nothing, and says so until a person deletes the server", async () => {
      const children = await cluster.versions("second");
      await editFleet("listed", { domains: [rows[0]] });
      await says("listed", /^False ServerUnlisted: no longer in domains, and served on: second\./, "DomainsServed");
      expect(Object.keys(await cluster.versions("second"))).toEqual(Object.keys(children));
      await operatorForgets("second");
      await says("listed", /^True ServersCreated/, "DomainsServed");
    });

    test("a server of a row that a person deletes is made again", async () => {
      const { uid } = (await server("first")).metadata;
      await operatorForgets("first");
      const isNew = async () =>
        (await cluster.exists(chatmailServer.plural, "first")) && (await server("first")).metadata.uid !== uid;
      await until("the server again", isNew, patience);
    });

    const operatorForgets = async (name: string) => {
      const { uid } = (await server(name)).metadata;
      await cluster.remove(chatmailServer.plural, name);
      const isGone = () => operator.world.stores.servers.get(namespace, name)?.metadata.uid !== uid;
      await until(`the operator to know that ${name} is gone`, isGone, patience);
    };
  });

  describe("the status", () => {
    test("adds up, in one line of kubectl", async () => {
      await makeFleet("sum", {});
      for (const name of ["sum-a", "sum-b"]) {
        await cluster.makeServer(name, { domain: `_${name}.test`, fleetRef: { name: "sum" } });
        await cluster.setUp(name);
      }
      await cluster.makeServer("sum-c", {
        domain: "_sum-c.test",
        fleetRef: { name: "sum" },
        image: { reference: "evil.example/relay:1" },
      });
      await cluster.runs("sum-a");
      await cluster.runs("sum-b");
      await says("sum", /^False ServersStalled: 1 of 3 servers need a person; sum-c: ImageNotAllowed: /);
      const isCounted = async () => {
        const { servers } = (await fleet("sum")).status ?? {};
        return servers?.total === 3 && servers.ready === 2 && servers.stalled === 1;
      };
      await until("the sum", isCounted, patience);
      expect((await fleet("sum")).status?.worst).toEqual([
        { name: "sum-c", reason: "ImageNotAllowed", message: expect.stringContaining("evil.example/relay:1") },
      ]);

      const table = await cluster.server.request<{
        columnDefinitions: { name: string; priority: number }[];
        rows: { cells: unknown[] }[];
      }>(
        "GET",
        pathOf(chatmailFleet.plural, "sum"),
        undefined,
        undefined,
        "application/json;as=Table;v=v1;g=meta.k8s.io",
      );
      const { columnDefinitions, rows } = table.body;
      const line = columnDefinitions.flatMap(({ name, priority }, nth) =>
        priority === 0 ? [[name, rows[0]?.cells[nth]] as const] : [],
      );
      expect(Object.fromEntries(line)).toMatchObject({
        Name: "sum",
        Servers: 3,
        Ready: 2,
        Reason: "ServersStalled",
        Message: expect.stringMatching(/^1 of 3 servers need a person/),
      });
    });

    test("is not written while nothing changes", async () => {
      const versions = async () => {
        const path = pathOf(chatmailFleet.plural, "");
        const { body } = await cluster.server.request<{ items: KubeObject[] }>("GET", path);
        return body.items.map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`);
      };
      let before: string[] = [];
      const isQuiet = async () => {
        const now = await versions();
        const same = now.join() === before.join();
        before = now;
        return same;
      };
      await until("all fleets to be counted", isQuiet, { ...patience, everyMs: 5_000 });
      // an operator that starts again judges all of them anew
      await operator.stop();
      operator = cluster.startOperator();
      await cluster.makeServer("fresh", { domain: "_fresh.test", fleetRef: { name: "sum" } });
      await until("the new one to be counted", async () => (await fleet("sum")).status?.servers?.total === 4, patience);
      const others = (of: string[]) => of.filter((each) => !each.startsWith("sum "));
      expect(others(await versions())).toEqual(others(before));
    });

    test("servers can be selected by their fleet", async () => {
      const path = `${pathOf(chatmailServer.plural, "")}?fieldSelector=spec.fleetRef.name%3Dsum`;
      const { body } = await cluster.server.request<{ items: WrittenServer[] }>("GET", path);
      expect(body.items.map(({ metadata }) => metadata.name)).toEqual(["fresh", "sum-a", "sum-b", "sum-c"]);
    });
  });
});

describe.skipIf(missing !== undefined)("where the API server knows no fleets", () => {
  test("servers are looked after all the same, and one that names a fleet says why it waits", async () => {
    const cluster = await OperatorCluster.open();
    let operator: RunningOperator | undefined;
    try {
      const crd = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${chatmailFleet.plural}.chatmail.dev`;
      await cluster.server.request("DELETE", crd);
      const isGone = async () => (await cluster.server.request("GET", pathOf(chatmailFleet.plural, ""))).status === 404;
      await until("the CRD to be gone", isGone, patience);
      operator = cluster.startOperator();
      await cluster.makeServer("plain", { domain: "_plain.test" });
      await cluster.setUp("plain");
      await cluster.makeServer("member", { domain: "_member.test", fleetRef: { name: "none" } });
      const { message } = await cluster.conditionIs("member", "Ready", "FleetMissing");
      expect(message).toMatch(/can't read ChatmailFleets in namespace chatmail: .*Install the CRD/);
    } finally {
      await operator?.stop();
      await cluster.close();
    }
  });
});
