/** The secret of TURN credentials is made once and kept. */
import { expect, test } from "vitest";
import { observeTurn } from "../../../../src/operator/server/observe-turn.ts";
import { turnSecret } from "../../../../src/operator/server/resources/turn-secret.ts";
import { aServer } from "../../../helpers/a-server.ts";

const signal = new AbortController().signal;
const server = aServer({ services: { turn: { enabled: true } } });

const observed = (data?: Record<string, string>) => {
  const secret = data && { ...turnSecret(server, ""), data };
  const world = {
    stores: { secrets: { get: () => undefined } },
    client: { get: async () => secret },
  } as unknown as Parameters<typeof observeTurn>[1];
  return observeTurn(server, world, signal);
};

test("made where there is none, each another", async () => {
  const made = await Promise.all([observed(), observed()]);
  expect(made[0]?.secret).toMatch(/^[0-9a-f]{64}$/);
  expect(made[1]?.secret).not.toBe(made[0]?.secret);
});

test("the one that is there stays, also while the watch is behind", async () => {
  expect(await observed(turnSecret(server, "shared").data)).toEqual({ secret: "shared" });
});

test.each([{}, turnSecret(server, "").data])("an empty one would let everybody in: %j is completed", async (data) => {
  expect((await observed(data))?.secret).toMatch(/^[0-9a-f]{64}$/);
});

test("without a TURN server none is needed", async () => {
  const world = {} as Parameters<typeof observeTurn>[1];
  expect(await observeTurn(aServer(), world, signal)).toBeUndefined();
});
