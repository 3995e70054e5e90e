/**
 * Other versions of the operator, bad ones among them, and bad edits: against a real API server,
 * with the pods played.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { chatmailServer } from "../../src/api/names.ts";
import type { KubeObject } from "../../src/kube/object.ts";
import type { Policy } from "../../src/operator/rollout/policy.ts";
import { imageOf } from "../../src/operator/server/rendered.ts";
import type { PodTemplate } from "../../src/operator/server/revision.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { OperatorCluster, type OperatorOptions, type RunningOperator } from "../helpers/operator-cluster.ts";
import { PlayedPods } from "../helpers/played-pods.ts";
import { seededRandom } from "../helpers/seeded-random.ts";
import { patienceMs, until } from "../helpers/until.ts";

const missing = apiServerIsMissing();
if (missing) console.warn(`skipped: ${missing}`);

const patience = { patienceMs: patienceMs.client, everyMs: 50 };

const image = (tag: string) => `registry.example/chatmail-relay:${tag}`;
const [old, newer, bad] = [image("1"), image("2"), image("bad")];

const policy: Policy = {
  waves: [
    { name: "canary", count: 1, maxUnavailable: 1, soakSeconds: 0 },
    { name: "rest", maxUnavailable: 2, soakSeconds: 0 },
  ],
  gate: "Deliverable",
  maxFailures: 1,
  paused: false,
};

interface LiveSet extends KubeObject {
  spec: { template: PodTemplate };
}

describe.skipIf(missing !== undefined)("with a real API server", () => {
  let cluster: OperatorCluster;
  let pods: PlayedPods;
  let operator: RunningOperator | undefined;
  let names: string[] = [];
  let tests = 0;
  /** How far the operator's clock is ahead. */
  let aheadMs = 0;

  const start = (options: OperatorOptions = {}) => {
    const now = () => new Date(Date.now() + aheadMs);
    operator = cluster.startOperator({ relayImage: old, rollout: policy, now, ...options });
    return operator;
  };
  const stop = async () => {
    await operator?.stop();
    operator = undefined;
  };
  const setOf = (name: string) => cluster.get<LiveSet>("statefulsets", name);
  const imageIn = async (name: string) => imageOf((await setOf(name)).spec.template);
  const generations = async () =>
    Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, (await setOf(name)).metadata.generation] as const)),
    );
  const allHave = (wanted: string) =>
    until(
      `all to have ${wanted}`,
      async () => {
        const statuses = await Promise.all(names.map((name) => cluster.statusOf(name)));
        return statuses.every(({ relay, conditions }) => relay?.image === wanted && isTrue(conditions, "Ready"));
      },
      patience,
    );
  const isTrue = (conditions: { type: string; status: string }[] | undefined, type: string) =>
    conditions?.find((each) => each.type === type)?.status === "True";
  const annotate = (name: string, annotations: Record<string, string>) =>
    cluster.change(chatmailServer.plural, name, { metadata: { annotations } });
  /** The clock goes on, and somebody looks. */
  const pass = async (seconds: number) => {
    aheadMs += seconds * 1_000;
    for (const name of names) await annotate(name, { poke: String(aheadMs) });
  };
  const named = (letter: string) => `relay-${tests}${letter}`;
  /** That many servers run under the operator of the old version. */
  const running = async (count: number, spec: object = {}) => {
    tests++;
    names = "abcdefgh".slice(0, count).split("").map(named);
    for (const name of names) await cluster.makeServer(name, { domain: `_${name}.test`, ...spec });
    start();
    await allHave(old);
    pods.reset();
  };

  beforeAll(async () => {
    cluster = await OperatorCluster.open();
  });
  afterAll(async () => {
    await cluster?.close();
  });
  beforeEach(() => {
    pods = PlayedPods.start(cluster, (template) => {
      const { priorityClassName } = template.spec ?? {};
      return imageOf(template) !== bad && priorityClassName === undefined;
    });
  });
  afterEach(async () => {
    await pods.stop();
    if (!operator) start();
    for (const name of names) {
      if (operator) await cluster.removeServer(name, operator.world);
    }
    await stop();
    names = [];
    aheadMs = 0;
  });

  test("an operator of another version changes no server until its turn comes", async () => {
    await running(5);
    await stop();
    const before = await generations();
    start({ relayImage: newer, rollout: { ...policy, paused: true } });
    for (const name of names) {
      const { message } = await cluster.conditionIs(name, "UpToDate", "UpdateWaits");
      expect(message).toMatch(/^revision [0-9a-f]{10} is not yet used: the rollout is paused$/);
    }
    expect(await generations()).toEqual(before);
    const { conditions, relay } = await cluster.statusOf(named("a"));
    expect([isTrue(conditions, "Ready"), isTrue(conditions, "Reconciling"), isTrue(conditions, "Stalled")]).toEqual([
      true,
      false,
      false,
    ]);
    expect(relay).toMatchObject({ version: "1", image: old, targetImage: newer, node: "node-1" });
    expect(relay?.target).not.toBe(relay?.revision);
    const job = await cluster.get<{ spec: { jobTemplate: { spec: { template: PodTemplate } } } }>(
      "cronjobs",
      `${named("a")}-expiry`,
    );
    expect(imageOf(job.spec.jobTemplate.spec.template)).toBe(old);
  });

  test("one server first, then two at a time, and all are there in the end", async () => {
    await running(6);
    await stop();
    start({ relayImage: newer });
    await allHave(newer);
    expect(pods.mostDown).toBeLessThanOrEqual(2);
    expect(pods.made.toSorted()).toEqual(names.map((name) => `${name} ${newer}`));
    const { relay, conditions } = await cluster.statusOf(named("c"));
    expect(relay).toMatchObject({ version: "2", image: newer });
    expect(relay).not.toHaveProperty("target");
    expect(relay?.previousRevision).toMatch(/^[0-9a-f]{10}$/);
    expect(conditions?.find(({ type }) => type === "UpToDate")?.reason).not.toBe("UpdateWaits");
  });

  test("a canary that fails goes back; the others are not touched, and say that the rollout has stopped", async () => {
    await running(5);
    await stop();
    const good = (await cluster.statusOf(named("a"))).relay?.revision;
    start({ relayImage: bad });
    await until("the canary", () => pods.made.length === 1, patience);
    const [canary = ""] = (pods.made[0] ?? "").split(" ");
    await cluster.conditionIs(canary, "PodReady", "PodFailing");
    await pass(301);
    const { message } = await cluster.conditionIs(canary, "Stalled", "UpdateFailed");
    expect(message).toMatch(/not ready within 300 seconds: container relay ended with exit code 3/);
    expect(message).toMatch(`Revision ${good} is used again`);
    expect(await imageIn(canary)).toBe(old);
    await until(
      "it to serve again",
      async () => isTrue((await cluster.statusOf(canary)).conditions, "Ready"),
      patience,
    );
    const others = names.filter((name) => name !== canary);
    for (const name of others) {
      expect((await cluster.conditionIs(name, "UpToDate", "UpdateStopped")).message).toMatch(/1 update has failed/);
      expect(isTrue((await cluster.statusOf(name)).conditions, "Ready")).toBe(true);
    }
    expect(pods.made).toEqual([`${canary} ${bad}`, `${canary} ${old}`]);
    const { relay } = await cluster.statusOf(canary);
    expect(relay).toMatchObject({ revision: good, image: old, targetImage: bad });
    expect(relay?.failedRevision).toBe(relay?.target);
    const events = await cluster.server.request<{ items: { reason: string; regarding: { name: string } }[] }>(
      "GET",
      "/apis/events.k8s.io/v1/namespaces/chatmail/events",
    );
    const reasons = events.body.items.filter(({ regarding }) => regarding.name === canary).map(({ reason }) => reason);
    expect(reasons).toContain("UpdateFailed");

    // the operator that comes after it finds all of this again, and a good version goes on
    await stop();
    start({ relayImage: bad });
    for (const name of others) await cluster.conditionIs(name, "UpToDate", "UpdateStopped");
    await stop();
    expect(pods.made).toHaveLength(2);
    start({ relayImage: newer });
    await allHave(newer);
    expect(pods.mostDown).toBeLessThanOrEqual(2);
  });

  test("an operator that is killed again and again never has more servers down than allowed", async () => {
    const random = seededRandom(7);
    await running(8);
    await stop();
    for (let kills = 0; kills < 6; kills++) {
      const killed = start({ relayImage: newer });
      const made = pods.made.length;
      const isNewer = async () => (await Promise.all(names.map(imageIn))).filter((each) => each === newer).length;
      const written = await isNewer();
      // as soon as a StatefulSet is another one, or a pod, or somewhere between
      const moments = [async () => (await isNewer()) > written, () => pods.made.length > made];
      const moment = moments[Math.floor(random() * moments.length)] ?? (() => true);
      await until("something to happen", async () => (await moment()) || (await isNewer()) === names.length, patience);
      killed.kill();
      await killed.stop();
    }
    start({ relayImage: newer });
    await allHave(newer);
    expect(pods.mostDown).toBeLessThanOrEqual(2);
    expect(pods.made.toSorted()).toEqual(names.map((name) => `${name} ${newer}`));
  });

  test("an edit is applied while an upgrade waits, with the image that the server has", async () => {
    await running(2);
    await stop();
    start({ relayImage: newer, rollout: { ...policy, paused: true } });
    await cluster.conditionIs(named("a"), "UpToDate", "UpdateWaits");
    await cluster.patch(named("a"), { pod: { labels: { team: "mail" } } });
    const labels = async () => (await setOf(named("a"))).spec.template.metadata?.labels;
    await until("the edit", async () => (await labels())?.team === "mail", patience);
    expect(await imageIn(named("a"))).toBe(old);
    await until("the pod", () => pods.made.length === 1, patience);
    await until("Ready", async () => isTrue((await cluster.statusOf(named("a"))).conditions, "Ready"), patience);
    await cluster.conditionIs(named("a"), "UpToDate", "UpdateWaits");
    expect(pods.made).toEqual([`${named("a")} ${old}`]);

    // what somebody changes in the StatefulSet is put right, too
    const drift = { spec: { template: { spec: { containers: [{ name: "relay", image: "other:1" }] } } } };
    const { status } = await cluster.server.request(
      "PATCH",
      `/apis/apps/v1/namespaces/chatmail/statefulsets/${named("b")}`,
      drift,
      "application/strategic-merge-patch+json",
    );
    expect(status).toBe(200);
    const isRight = async () =>
      (await setOf(named("b"))).spec.template.spec?.containers.every((each) => each.image === old) ?? false;
    await until("the image of before", isRight, patience);
  });

  test("a bad edit goes back by itself, is tried again when asked for, and stays with Hold", async () => {
    await running(1);
    const name = named("a");
    const good = (await cluster.statusOf(name)).relay?.revision;
    const bads = { scheduling: { priorityClassName: "system-node-critical" } };
    await cluster.patch(name, bads);
    await cluster.conditionIs(name, "PodReady", "PodFailing");
    await pass(301);
    await cluster.conditionIs(name, "Stalled", "UpdateFailed");
    await until("it to serve again", async () => isTrue((await cluster.statusOf(name)).conditions, "Ready"), patience);
    const failedStatus = await cluster.statusOf(name);
    expect(failedStatus.relay).toMatchObject({ revision: good });
    expect((await setOf(name)).spec.template.spec?.priorityClassName).toBeUndefined();
    expect(pods.made).toHaveLength(2);

    // not again by itself, whatever else happens
    await stop();
    start();
    await cluster.patch(name, { accounts: { sendBurst: 21 } });
    const plan = async () =>
      (await cluster.get<{ data: Record<string, string> }>("configmaps", `${name}-plan`)).data["plan.json"];
    await until("the plan", async () => (await plan())?.includes('"sendBurst": 21') ?? false, patience);
    await cluster.conditionIs(name, "Stalled", "UpdateFailed");
    expect(pods.made).toHaveLength(2);

    await cluster.patch(name, { updatePolicy: { onFailure: "Hold" } });
    await annotate(name, { "chatmail.dev/retry-update": "1" });
    await cluster.conditionIs(name, "PodReady", "PodFailing");
    expect(pods.made).toHaveLength(3);
    await pass(301);
    const { message } = await cluster.conditionIs(name, "UpToDate", "UpdateFailed");
    expect(message).toMatch(/onFailure is Hold: the pod stays as it is/);
    expect((await setOf(name)).spec.template.spec?.priorityClassName).toBe("system-node-critical");
    await cluster.patch(name, { scheduling: null });
    await until("it to serve again", async () => isTrue((await cluster.statusOf(name)).conditions, "Ready"), patience);
    expect((await cluster.condition(name, "Stalled"))?.status).toBe("False");
  });

  test("with mode Manual only the annotation updates, and at rest nothing is written", async () => {
    await running(2, { updatePolicy: { mode: "Manual" } });
    await stop();
    start({ relayImage: newer });
    for (const name of names) await cluster.conditionIs(name, "UpToDate", "UpdateWaits");
    const { relay } = await cluster.statusOf(named("b"));
    await annotate(named("b"), { "chatmail.dev/update": relay?.target ?? "" });
    await until("the new image", async () => (await cluster.statusOf(named("b"))).relay?.image === newer, patience);
    expect(await imageIn(named("a"))).toBe(old);
    await until("Ready", async () => isTrue((await cluster.statusOf(named("b"))).conditions, "Ready"), patience);
    const before = await cluster.versions(named("a"));
    await annotate(named("b"), { poke: "1" });
    await cluster.patch(named("b"), { accounts: { sendBurst: 22 } });
    const isSeen = async () => {
      const { metadata, status } = await cluster.get<KubeObject & { status?: { observedGeneration?: number } }>(
        chatmailServer.plural,
        named("b"),
      );
      return status?.observedGeneration === metadata.generation;
    };
    await until("the edit to be seen", isSeen, patience);
    expect(await cluster.versions(named("a"))).toEqual(before);
  });
});
