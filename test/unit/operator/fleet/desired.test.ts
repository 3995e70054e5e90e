import { describe, expect, test } from "vitest";
import { desiredServers } from "../../../../src/operator/fleet/desired.ts";
import { fleetReference, isMadeBy } from "../../../../src/operator/fleet/made-by.ts";
import { aFleet, aMember } from "../../../helpers/a-fleet.ts";

const fleet = aFleet();
const row = (name: string, domain = `_${name}.test`) => ({ name, domain });
const made = (name: string, spec: object = {}) =>
  aMember(name, spec, { metadata: { ownerReferences: [fleetReference(fleet)] } });

describe("of the servers that a fleet lists", () => {
  test("each has its domain, its labels, and belongs to the fleet", () => {
    const { servers, conflicts } = desiredServers(fleet, {
      rows: [{ row: { ...row("nine"), labels: { ring: "canary" } } }],
    });
    expect(conflicts).toEqual([]);
    expect(servers).toEqual([
      {
        live: undefined,
        object: {
          apiVersion: "chatmail.dev/v1alpha1",
          kind: "ChatmailServer",
          metadata: {
            name: "nine",
            namespace: "chatmail",
            labels: { ring: "canary", "chatmail.dev/fleet": "community" },
            ownerReferences: [expect.objectContaining({ kind: "ChatmailFleet", uid: "fleet-1", controller: true })],
          },
          spec: { domain: "_nine.test", fleetRef: { name: "community" } },
        },
      },
    ]);
  });

  test.each([
    {
      when: "somebody else made a server of that name",
      server: aMember("nine"),
      says: /nine exists and was not made by this fleet/,
    },
    {
      when: "a server of that name has another domain",
      server: made("nine", { domain: "_other.test" }),
      says: /nine serves _other\.test, and the row says _nine\.test/,
    },
  ])("one is left alone where $when", ({ server, says }) => {
    const { servers, conflicts } = desiredServers(fleet, { rows: [{ row: row("nine"), server }, { row: row("ten") }] });
    expect(conflicts).toEqual([expect.stringMatching(says)]);
    expect(servers.map(({ object }) => object.metadata.name)).toEqual(["ten"]);
  });

  test("the first of two that have the same domain has it", () => {
    const { servers, conflicts } = desiredServers(fleet, {
      rows: [{ row: row("nine") }, { row: row("ten", "_nine.test") }],
    });
    expect(conflicts).toEqual(["ten and nine have the same domain, _nine.test"]);
    expect(servers).toHaveLength(1);
  });

  test("one that is being deleted is not touched", () => {
    const server = { ...made("nine") };
    server.metadata = { ...server.metadata, deletionTimestamp: "2026-11-29T12:00:00Z" };
    expect(desiredServers(fleet, { rows: [{ row: row("nine"), server }] })).toEqual({ servers: [], conflicts: [] });
  });
});

test("a server belongs to the fleet by its owner, and not by a label or a fleet of the same name", () => {
  const before = fleetReference(aFleet({}, { uid: "fleet-0" }));
  const labelled = aMember("ten", {}, { metadata: { labels: { "chatmail.dev/fleet": "community" } } });
  const ofBefore = aMember("ten", {}, { metadata: { ownerReferences: [before] } });
  expect([made("nine"), labelled, ofBefore].map((server) => isMadeBy(fleet, server))).toEqual([true, false, false]);
});
