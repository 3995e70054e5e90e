/**
 * Rotation of DKIM keys by the operator, against a real API server and BIND: killed after each step
 * that it writes, with a person who publishes the records, while it is paused, and in a hurry. Its
 * clock is the test's.
 */
import { createServer } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ChatmailServerStatus } from "../../src/api/chatmail-server.ts";
import { annotations, chatmailServer } from "../../src/api/names.ts";
import { askServer } from "../../src/dns/ask.ts";
import { publicDkimKey } from "../../src/dns/dkim-key.ts";
import { publish } from "../../src/dns/providers/rfc2136.ts";
import { dkimRecord } from "../../src/dns/records.ts";
import { ports } from "../../src/mail/ports.ts";
import { Rotation } from "../../src/operator/identity/rotation.ts";
import { textsIn } from "../../src/operator/identity/secret.ts";
import type { World } from "../../src/operator/server/world.ts";
import { DomainNames } from "../../src/operator/tasks/dns.ts";
import { keyFileOf, rotationFile, signingSelectors } from "../../src/pod/dkim.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { type Keys, nameServersAreMissing, newKey, type RealServer, startBind } from "../helpers/dns-servers.ts";
import { base64, type LiveSecret, OperatorCluster, type RunningOperator } from "../helpers/operator-cluster.ts";
import { until } from "../helpers/until.ts";

const missing = apiServerIsMissing() ?? nameServersAreMissing();
if (missing) console.warn(`skipped: ${missing}`);

/** The root and "zone.test", and a resolver. */
const at = { root: "127.0.22.1", one: "127.0.22.2", resolver: "127.0.22.3" };
/** Where the played pod reports; of this file alone. */
const reportsAt = "127.0.0.16";
const zone = "zone.test";
const domain = `turned.${zone}`;
const name = "turned";
const ttlSeconds = 30;
const patience = { patienceMs: 90_000, everyMs: 50 };
const random = (below: number) => Math.floor(Math.random() * below);

describe.skipIf(missing !== undefined)("with a real API server and a real name server", () => {
  const keys: Keys = { writer: newKey("writer"), reader: newKey("reader") };
  const running: RealServer[] = [];
  let cluster: OperatorCluster;
  let operator: RunningOperator | undefined;
  let now = new Date();
  /** The pod signs with what the Secret says, as the real one does; undefined: it says nothing. */
  let signing: ((texts: Record<string, string>) => readonly string[]) | undefined = (texts) =>
    signingSelectors(Object.keys(texts), (file) => texts[file] ?? "");

  const texts = async () => textsIn(await cluster.get<LiveSecret>("secrets", `${name}-dkim`));
  const reports = createServer((_, response) => {
    const answer = async () => {
      const selectors = signing?.(await texts());
      const more = selectors && { signing: { [domain]: selectors } };
      response.end(JSON.stringify({ acceptingAccounts: { [domain]: { status: true } }, ...more }));
    };
    answer().catch(() => response.destroy());
  });

  beforeAll(async () => {
    const one = await startBind({ address: at.one, keys, zones: [{ name: zone, servers: ["one.servers.test."] }] });
    const glue = `one.servers.test. A ${at.one}\nroot-server.test. A ${at.root}`;
    const root = await startBind({
      address: at.root,
      zones: [
        { name: "", servers: ["root-server.test."], records: `test. NS root-server.test.\n${glue}` },
        { name: "test", servers: ["root-server.test."], records: `${zone}. NS one.servers.test.\n${glue}` },
      ],
    });
    const resolver = await startBind({ address: at.resolver, zones: [], resolver: { root: at.root } });
    running.push(one, root, resolver);
    await new Promise<void>((resolve, reject) => {
      reports.once("error", reject);
      reports.listen(ports.health, reportsAt, () => resolve());
    });
    cluster = await OperatorCluster.open();
  });
  afterAll(async () => {
    await operator?.stop();
    await cluster?.close();
    await new Promise((resolve) => reports.close(resolve));
    for (const each of running) await each.stop();
  });

  const startOperator = (worldOf: (made: World) => World = (made) => made) => {
    operator = cluster.startOperator({
      now: () => now,
      worldOf: (made) =>
        worldOf({ ...made, names: new DomainNames({ resolvers: [at.resolver], now: () => new Date() }) }),
    });
    return operator;
  };
  const rfc2136 = {
    mode: "RFC2136",
    ttlSeconds,
    rfc2136: { servers: [at.one], tsig: { keyName: "writer", secretRef: { name: "tsig" } } },
  };
  /** "Active chatmail" and so on. */
  const states = async () => {
    const text = (await texts())[rotationFile];
    if (text === undefined) return ["Active chatmail"];
    const { sets } = Rotation.parse(JSON.parse(text));
    return sets.map(({ state, selectors, keptUntil }) => `${state} ${selectors.join()}${keptUntil ? " until" : ""}`);
  };
  const statesAre = (wanted: readonly string[]) =>
    until(`keys ${wanted.join("; ")}`, async () => (await states()).join("; ") === wanted.join("; "), patience).catch(
      async (cause) => {
        const { dkim, conditions } = await cluster.statusOf(name);
        throw new Error(`${String(cause)}; ${(await states()).join("; ")}; ${JSON.stringify({ dkim, conditions })}`, {
          cause,
        });
      },
    );
  const statusIs = (what: string, is: (status: ChatmailServerStatus) => boolean) =>
    until(what, async () => is(await cluster.statusOf(name)), patience);
  const today = () => now.toISOString().slice(0, 10).replaceAll("-", "");
  const annotate = (given: Record<string, string>) =>
    cluster.change(chatmailServer.plural, name, { metadata: { annotations: given } });
  /** Time passes; nothing in the cluster tells the operator. */
  const later = async (seconds: number) => {
    now = new Date(now.getTime() + seconds * 1_000);
    await annotate({ "test/time": now.toISOString() });
  };
  /** What the name server has for the key of a selector. */
  const recordOf = async (selector: string): Promise<string[]> => {
    const asked = await askServer(
      { host: at.one, port: 53 },
      { name: `${selector}._domainkey.${domain}.`, type: "TXT", recursive: false },
      { random, timeoutMs: 2_000, tries: 3 },
    );
    if (!("reply" in asked)) throw new Error(asked.says);
    return asked.reply.answers.flatMap(({ type, value }) => (type === "TXT" ? [String(value)] : []));
  };
  /** What must be true at any moment: mail that is signed now, or was just now, can be verified. */
  const mailIsVerified = async () => {
    const all = await texts();
    for (const selector of signingSelectors(Object.keys(all), (file) => all[file] ?? "")) {
      const key = publicDkimKey(all[keyFileOf(selector)] ?? "");
      if (!key) throw new Error(`no key ${selector}`);
      expect(await recordOf(selector)).toEqual(dkimRecord({ domain, selector, key }).values);
    }
    const ready = (await cluster.condition(name, "Ready"))?.reason;
    expect(ready).not.toMatch(/DKIMKeyLost|DkimKeyInvalid/);
  };

  test("is carried out by operators that are killed after each step", async () => {
    await cluster.makeSecret("tsig", "Opaque", { secret: base64(keys.writer.secret.toString("base64")) });
    startOperator();
    await cluster.makeServer(name, {
      domain,
      certificate: { source: "SelfSigned" },
      network: { addresses: ["203.0.113.9"] },
      dns: rfc2136,
      dkim: { algorithms: ["RSA2048", "Ed25519"], rotation: { everyDays: 30 } },
    });
    await cluster.setUp(name);
    await cluster.bringUp(name);
    await cluster.setStatus("pods", `${name}-0`, { podIP: reportsAt, podIPs: [{ ip: reportsAt }] });
    await statusIs("served", ({ conditions }) =>
      Boolean(conditions?.some(({ type, reason }) => type === "DNSReady" && reason === "RecordsPublished")),
    );
    const first = await texts();
    expect(Object.keys(first).sort()).toEqual(["chatmail-ed.pem", "rsa.pem"]);
    const { nextRotationTime } = (await cluster.statusOf(name)).dkim ?? {};
    expect(Date.parse(nextRotationTime ?? "") - Date.now()).toBeGreaterThan(29 * 86_400_000);
    await operator?.stop();

    /** One that ends with the first change of the Secret, before anything follows from it. */
    const oneStep = async () => {
      const before = await states();
      const killed: RunningOperator = startOperator((made) => ({
        ...made,
        client: {
          ...made.client,
          merge: async (resource, of, patch, signal) => {
            const done = await made.client.merge(resource, of, patch, signal);
            if (of.name === `${name}-dkim`) killed.kill();
            return done;
          },
        },
      }));
      await until("a step", async () => (await states()).join() !== before.join(), patience).catch(async (cause) => {
        const { dkim, conditions } = await cluster.statusOf(name);
        throw new Error(`${String(cause)}; ${before.join("; ")}; ${JSON.stringify({ dkim, conditions })}`, { cause });
      });
      await killed.stop().catch(() => undefined);
      operator = undefined;
      await mailIsVerified();
      return states();
    };
    now = new Date(now.getTime() + 31 * 86_400_000);
    const [old, fresh] = ["chatmail,chatmail-ed", `chatmail-${today()},chatmail-${today()}-ed`];
    expect(await oneStep()).toEqual([`Active ${old}`, `Pending ${fresh}`]);
    expect(await oneStep()).toEqual([`Active ${old}`, `Publishing ${fresh}`]);
    expect(await oneStep()).toEqual([`Active ${old}`, `Published ${fresh}`]);
    now = new Date(now.getTime() + 2 * ttlSeconds * 1_000);
    expect(await oneStep()).toEqual([`Retiring ${old}`, `Active ${fresh}`]);
    expect(await oneStep()).toEqual([`Retiring ${old} until`, `Active ${fresh}`]);
    expect(await recordOf("chatmail")).toHaveLength(1);
    now = new Date(now.getTime() + 7 * 86_400_000);
    expect(await oneStep()).toEqual([`Active ${fresh}`]);
    expect(Object.keys(await texts()).sort()).toEqual([...fresh.split(",").map(keyFileOf), rotationFile].sort());

    startOperator();
    await until("the old record to be gone", async () => (await recordOf("chatmail")).length === 0, patience);
    await statusIs("the new keys alone", ({ dkim }) => dkim?.keys?.length === 2 && dkim.signing?.join() === fresh);
    await mailIsVerified();
    await cluster.conditionIs(name, "DNSReady", "RecordsPublished");
    await cluster.conditionIs(name, "Ready", "Serving");
  });

  test("in a hurry where a key is compromised: no time passes, and its record is gone", async () => {
    const [active = ""] = (await cluster.statusOf(name)).dkim?.signing ?? [];
    signing = undefined;
    await annotate({ [annotations.dkimCompromised]: active });
    // the pod can't tell with what it signs: the key before goes on
    await statusIs("it to wait for the pod", ({ dkim }) => /has not reported which keys/.test(dkim?.message ?? ""));
    await mailIsVerified();
    signing = (all) => signingSelectors(Object.keys(all), (file) => all[file] ?? "");
    await cluster.change("pods", `${name}-0`, { metadata: { annotations: { "test/asked": "1" } } });
    const next = `chatmail-${today()}`;
    await statesAre([`Active ${next},${next}-ed`]);
    await until("its record to be gone", async () => (await recordOf(active)).length === 0, patience);
    await mailIsVerified();
    await cluster.conditionIs(name, "DNSReady", "RecordsPublished");
  });

  test("with a person who publishes the records, and while it is paused", async () => {
    const before = (await cluster.statusOf(name)).dkim?.signing?.join();
    await cluster.patch(name, { management: "Paused", dns: { mode: "Manual", rfc2136: null } });
    await annotate({ [annotations.rotateDkim]: "1" });
    const { message } = await cluster.conditionIs(name, "DNSReady", "DKIMRotationWaits");
    expect(message).toMatch(/until you publish its record/);
    expect((await cluster.condition(name, "Ready"))?.status).toBe("True");
    // whatever time passes
    await later(100 * ttlSeconds);
    await statusIs("it to be awaited", ({ dkim }) => dkim?.keys?.some(({ state }) => state === "Publishing") ?? false);
    await mailIsVerified();

    const coming = (await cluster.statusOf(name)).dkim?.keys?.filter(({ state }) => state === "Publishing") ?? [];
    expect(coming.map(({ algorithm }) => algorithm)).toEqual(["RSA", "Ed25519"]);
    const all = await texts();
    const records = coming.flatMap(({ selector }) => {
      const key = publicDkimKey(all[keyFileOf(selector)] ?? "");
      return key ? [dkimRecord({ domain, selector, key })] : [];
    });
    // a person's tool has an owner of its own, and another name to say so at
    await publish(records, {
      domain: zone,
      owners: ["person"],
      ttlSeconds,
      servers: [at.one],
      key: keys.writer,
      random,
      now: () => new Date(),
    });
    await statusIs("it to be published", ({ dkim }) => dkim?.keys?.some(({ state }) => state === "Published") ?? false);
    await later(2 * ttlSeconds + 1);
    const names = coming.map(({ selector }) => selector).join();
    await statusIs(
      "it to sign",
      ({ dkim }) =>
        (dkim?.keys ?? [])
          .filter(({ state }) => state === "Active")
          .map(({ selector }) => selector)
          .join() === names,
    );
    await mailIsVerified();
    // the kubelet brings a paused pod up to date by itself, and the pod is asked again in time
    await cluster.change("pods", `${name}-0`, { metadata: { annotations: { "test/asked": "2" } } });
    await statesAre([`Retiring ${before} until`, `Active ${names}`]);
    await later(8 * 86_400);
    await statesAre([`Active ${names}`]);
    expect((await cluster.condition(name, "Ready"))?.status).toBe("True");
  });
});
