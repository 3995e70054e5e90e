import { expect, test } from "vitest";
import { addressesOf, bySide, type SeenAddress } from "../../../../src/operator/server/addresses.ts";
import { aServer, type SpecInput } from "../../../helpers/a-server.ts";

const sides = (network: SpecInput["network"], ...values: string[]) => {
  const addresses = values.map((value): SeenAddress => ({ type: "IPAddress", value, from: "Service" }));
  const { inside, outside } = bySide(aServer({ network }), addresses);
  return { inside: inside.map(({ value }) => value), outside: outside.map(({ value }) => value) };
};

test.each([
  "10.0.0.3",
  "172.16.0.1",
  "172.31.255.255",
  "192.168.178.20",
  "100.64.0.1",
  "169.254.1.1",
  "127.0.0.1",
  "fd00::9",
  "fe80::1",
  "::1",
  "::ffff:10.0.0.3",
])("%s is of the inside", (address) => expect(sides({}, address)).toEqual({ inside: [address], outside: [] }));

test.each(["203.0.113.9", "9.9.9.9", "172.32.0.1", "100.128.0.1", "2001:db8::9", "2a01:4f8::1", "lb.example.net"])(
  "%s is of the outside",
  (address) => expect(sides({}, address)).toEqual({ inside: [], outside: [address] }),
);

test("a network that the relay is for is outside enough", () => {
  const network = { privatePeers: ["10.0.0.0/8", "fd00::/8"] };
  expect(sides(network, "10.0.0.3", "192.168.1.1", "fd00::9")).toEqual({
    outside: ["10.0.0.3", "fd00::9"],
    inside: ["192.168.1.1"],
  });
});

test("addresses of the spec go before those of the cluster", () => {
  const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "nine" },
    status: { loadBalancer: { ingress: [{ ip: "10.0.0.3" }, { hostname: "lb.example.net" }] } },
  };
  expect(addressesOf(aServer({ network: { addresses: ["203.0.113.9"] } }), { service })).toEqual([
    { type: "IPAddress", value: "203.0.113.9", from: "Spec" },
  ]);
  expect(addressesOf(aServer(), { service })).toEqual([
    { type: "IPAddress", value: "10.0.0.3", from: "Service" },
    { type: "Hostname", value: "lb.example.net", from: "Service" },
  ]);
});
