/** The key is made once and kept, whatever becomes of the server. */
import { expect, test } from "vitest";
import { publicDkimKey } from "../../../../src/dns/dkim-key.ts";
import type { LiveSecret } from "../../../../src/operator/server/live.ts";
import { observeDkim } from "../../../../src/operator/server/observe-dkim.ts";
import { dkimSecret } from "../../../../src/operator/server/resources/dkim-secret.ts";
import { aServer, type SpecInput } from "../../../helpers/a-server.ts";

const signal = new AbortController().signal;

/** As a cluster that has this Secret; the watch knows it or is behind. */
const observed = (options: { secret?: LiveSecret; watched?: boolean; spec?: SpecInput }) => {
  const { secret, watched = true, spec } = options;
  const world = {
    stores: { secrets: { get: () => (watched ? secret : undefined) } },
    client: { get: async () => secret },
  } as unknown as Parameters<typeof observeDkim>[1];
  return observeDkim(aServer(spec), world, signal);
};

test("made where there is none, and not for the DNS before it is kept", async () => {
  const seen = await observed({});
  expect(publicDkimKey(seen?.rsaKeyPem ?? "")).toMatchObject({ type: "rsa" });
  expect(seen?.published).toEqual([]);
});

test.each([true, false])("the one that is there stays, also when the watch knows it: %s", async (watched) => {
  const made = await observed({});
  const secret = dkimSecret(aServer(), made?.rsaKeyPem ?? "");
  const seen = await observed({ secret, watched });
  expect(seen?.rsaKeyPem).toBe(made?.rsaKeyPem);
  expect(seen?.published.map(({ selector }) => selector)).toEqual(["chatmail"]);
  expect(dkimSecret(aServer(), seen?.rsaKeyPem ?? "")).toEqual(secret);
});

test("a Secret without its key is not given another", async () => {
  const secret: LiveSecret = { apiVersion: "v1", kind: "Secret", metadata: { name: "nine-dkim" }, data: {} };
  const seen = await observed({ secret });
  expect(seen?.rsaKeyPem).toBeUndefined();
  expect(seen?.problem?.reason).toBe("DkimKeyInvalid");
});

test("an address literal signs nothing", async () => {
  expect(await observed({ spec: { domain: "192.0.2.7" } })).toBeUndefined();
});
