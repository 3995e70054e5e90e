import { describe, expect, test } from "vitest";
import type { Cache } from "../../../../src/kube/cache.ts";
import type { KubeObject } from "../../../../src/kube/object.ts";
import { Store } from "../../../../src/kube/store.ts";
import { Fleets } from "../../../../src/operator/fleet/fleets.ts";
import { builtInPolicy } from "../../../../src/operator/rollout/policy.ts";
import { resolveServer } from "../../../../src/operator/server/spec.ts";
import type { LiveServer } from "../../../../src/operator/server/world.ts";
import { aFleet, aMember } from "../../../helpers/a-fleet.ts";

function fleetsOf(options: { relayImage?: string } = {}) {
  const servers = new Store<LiveServer>();
  const cache: Pick<Cache, "store"> = {
    store: <T extends KubeObject>() => new Store<T>({ optional: true }),
  };
  const { relayImage = "registry.example/chatmail-relay:1.3.0" } = options;
  const fleets = new Fleets<LiveServer>(cache, { servers, relayImage, fieldManager: "test", rollout: builtInPolicy });
  return { servers, fleets };
}

describe("what a fleet has for its servers", () => {
  test("comes between the spec and the operator's configuration", () => {
    const { fleets } = fleetsOf();
    fleets.store.put(aFleet({ defaults: { accounts: { sendBurst: 5, createBurst: 50 } } }));
    const nine = aMember("nine", { accounts: { sendBurst: 3 } });
    const operator = { accounts: { createBurst: 9, sendRatePerMinute: 7 } };
    const resolved = resolveServer(nine, operator, fleets.sideOf(nine));
    expect("spec" in resolved && resolved.spec.accounts).toMatchObject({
      sendBurst: 3,
      createBurst: 50,
      sendRatePerMinute: 7,
    });
  });

  test("may pause all that do not say otherwise", () => {
    const { fleets } = fleetsOf();
    fleets.store.put(aFleet({ defaults: { management: "Paused" } }));
    const managementOf = (server: LiveServer) => resolveServer(server, {}, fleets.sideOf(server)).management;
    expect(managementOf(aMember("nine"))).toBe("Paused");
    expect(managementOf(aMember("ten", { management: "Managed" }))).toBe("Managed");
    expect(managementOf(aMember("eleven", { messages: { deleteAfterDays: 0 } }))).toBe("Paused");
  });

  test("is nothing for a server of another namespace, or in no fleet", () => {
    const { fleets } = fleetsOf();
    fleets.store.put(aFleet({ defaults: { accounts: { sendBurst: 5 } } }));
    const alone: LiveServer = { ...aMember("nine"), spec: { domain: "_nine.test" } };
    expect(fleets.sideOf(alone)).toBeUndefined();
    expect(fleets.sideOf(aMember("nine", {}, { metadata: { namespace: "other" } }))).toHaveProperty("problem");
  });

  test("without the fleet there are no values, not those of the operator", () => {
    const { fleets } = fleetsOf();
    const nine = aMember("nine");
    expect(resolveServer(nine, {}, fleets.sideOf(nine))).toEqual({
      management: "Managed",
      problem: {
        reason: "FleetMissing",
        message: expect.stringMatching(
          /no ChatmailFleet community in namespace chatmail: create it, or remove fleetRef/,
        ),
      },
    });
  });

  test("where fleets can't be read, the words of the API server say why", () => {
    const { fleets } = fleetsOf();
    fleets.store.leaveOut("", "404: the server could not find the requested resource");
    expect(fleets.sideOf(aMember("nine"))).toMatchObject({
      problem: {
        reason: "FleetMissing",
        message: expect.stringMatching(/can't read ChatmailFleets .*: 404: .*Install the CRD/),
      },
    });
  });

  test("that does not fit the spec of a server names both", () => {
    const { fleets } = fleetsOf();
    fleets.store.put(aFleet({ defaults: { messages: { deleteLargeAfterDays: 9 } } }));
    const nine = aMember("nine", { messages: { deleteAfterDays: 5 } });
    expect(resolveServer(nine, {}, fleets.sideOf(nine))).toMatchObject({
      problem: {
        reason: "SpecInvalid",
        message:
          "spec.messages.deleteLargeAfterDays: deleteLargeAfterDays must not be greater than deleteAfterDays: deleteLargeAfterDays is 9 (fleet community), deleteAfterDays is 5 (spec)",
      },
    });
  });

  test("that is out of bounds, which an older CRD let pass, is not blamed on the server", () => {
    const { fleets } = fleetsOf();
    fleets.store.put(aFleet({ defaults: { messages: { deleteAfterDays: 90 } } }));
    const nine = aMember("nine");
    expect(resolveServer(nine, {}, fleets.sideOf(nine))).toMatchObject({
      problem: { message: expect.stringMatching(/^spec\.messages\.deleteAfterDays: .*\(fleet community\)$/) },
    });
  });

  test("without effect beside the choice of a server is left out", () => {
    const { fleets } = fleetsOf();
    fleets.store.put(aFleet({ defaults: { certificate: { source: "Secret", secret: { name: "wild" } } } }));
    const nine = aMember("nine", { certificate: { source: "SelfSigned" } });
    const resolved = resolveServer(nine, {}, fleets.sideOf(nine));
    expect("spec" in resolved && resolved.spec.certificate).toEqual({ source: "SelfSigned" });
  });
});

test.each([
  { relayImage: "chatmail-relay:1.3.0", version: "1.4.0", is: "chatmail-relay:1.4.0" },
  { relayImage: "chatmail-relay", version: "1.4.0", is: "chatmail-relay:1.4.0" },
  {
    relayImage: "registry.example:5000/team/relay:1.3.0",
    version: "1.4.0",
    is: "registry.example:5000/team/relay:1.4.0",
  },
  { relayImage: "registry.example:5000/team/relay", version: "1.4.0", is: "registry.example:5000/team/relay:1.4.0" },
  { relayImage: `relay:1.3.0@sha256:${"a".repeat(64)}`, version: "1.4.0", is: "relay:1.4.0" },
  { relayImage: `relay:1.3.0@sha256:${"a".repeat(64)}`, version: "1.3.0", is: `relay:1.3.0@sha256:${"a".repeat(64)}` },
])("version $version of $relayImage is $is", ({ relayImage, version, is }) => {
  const { fleets } = fleetsOf({ relayImage });
  expect(fleets.defaultsOf(aFleet({ rollout: { version } })).image?.reference).toBe(is);
});

test("the values for a server are others when its fleet has another spec, and not when it has another status", () => {
  const { fleets } = fleetsOf();
  const nine = aMember("nine");
  const versions = [fleets.versionFor(nine)];
  for (const metadata of [{ generation: 1 }, { generation: 2 }, { generation: 1, uid: "fleet-2" }]) {
    fleets.store.put(aFleet({}, metadata));
    versions.push(fleets.versionFor(nine));
  }
  expect(new Set(versions).size).toBe(4);
  fleets.store.put({ ...aFleet({}, { generation: 1, uid: "fleet-2" }), status: { servers: { total: 1 } } });
  expect(fleets.versionFor(nine)).toBe(versions.at(-1));
});

test("an image that was given up is another one for the servers, for as long as the fleet asks for it", () => {
  const { fleets } = fleetsOf();
  const nine = aMember("nine");
  const [given, from] = ["registry.example/chatmail-relay:1.2.0", "registry.example/chatmail-relay:1.4.0"];
  const status = { rollout: { givenUp: from, instead: given } };
  const imageOf = (version: string, more: object = {}) => {
    fleets.store.put({ ...aFleet({ rollout: { version } }), ...more });
    const side = fleets.sideOf(nine);
    return [side && "defaults" in side && side.defaults.image?.reference, fleets.versionFor(nine)];
  };
  const [before, back, next] = [imageOf("1.4.0"), imageOf("1.4.0", { status }), imageOf("1.5.0", { status })];
  expect([before[0], back[0], next[0]]).toEqual([from, given, "registry.example/chatmail-relay:1.5.0"]);
  expect(back[1]).not.toBe(before[1]);
});

test("the rollout of a server is that of its fleet, by the policy of the moment", () => {
  const { fleets } = fleetsOf();
  fleets.store.put(aFleet({ rollout: { paused: true, waves: [{ name: "rest", maxUnavailable: 7 }] } }));
  const group = fleets.groupOf(aMember("nine"));
  expect(group).toMatchObject({ id: "fleet chatmail/community", policy: { paused: true } });
  fleets.store.put(aFleet({ rollout: { paused: false } }, { generation: 2 }));
  expect(group?.policy).toMatchObject({ paused: false, waves: builtInPolicy.waves });
  expect(fleets.groupOf(aMember("ten"))).toBe(group);
  expect(fleets.groupOf({ ...aMember("nine"), spec: { domain: "_nine.test" } })).toBeUndefined();
  // nobody is updated by a fleet that is gone
  expect(fleets.groupOf(aMember("nine", { fleetRef: { name: "gone" } }))?.policy.paused).toBe(true);
});

test("servers are found by what their spec, their fleet and the operator name, also after the fleet has changed", () => {
  const { fleets, servers } = fleetsOf();
  const bySecret = fleets.serversBy((spec) => [spec.certificate?.secret?.name], {
    certificate: { source: "Secret", secret: { name: "common" } },
  });
  const named = (name: string) => ({ certificate: { source: "Secret", secret: { name } } }) as const;
  servers.put(aMember("nine", named("own")));
  servers.put(aMember("ten"));
  servers.put({ ...aMember("eleven"), spec: { domain: "_eleven.test" } });
  fleets.store.put(aFleet({ defaults: named("wild") }));
  const found = (secret: string) =>
    bySecret
      .get(`chatmail/${secret}`)
      .map(({ metadata }) => metadata.name)
      .sort();
  expect([found("own"), found("wild"), found("common")]).toEqual([
    ["nine"],
    ["nine", "ten"],
    ["eleven", "nine", "ten"],
  ]);
  fleets.store.put(aFleet({ defaults: named("wilder") }, { generation: 2 }));
  expect([found("wild"), found("wilder")]).toEqual([[], ["nine", "ten"]]);
});
