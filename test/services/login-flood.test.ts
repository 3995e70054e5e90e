/**
 * Wrong passwords without end, by IMAP and by submission: who has the right one, and who is new, is
 * let in meanwhile. How long that takes is measured by `npm run bench -- flood`.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  attacksOn,
  floodConnections,
  floodServices,
  giveAccount,
  honestClients,
  honestKinds,
  startFlood,
  startFloodedPod,
} from "../helpers/login-flood.ts";
import type { RelayPod } from "../helpers/relay-pod.ts";
import { patienceMs, until } from "../helpers/until.ts";

const rounds = 2;

let pod: RelayPod;
const addresses: string[] = [];
beforeAll(async () => {
  pod = await startFloodedPod("_flood.test");
  for (let index = 0; index < floodConnections; index++) addresses.push(giveAccount(pod));
});
afterAll(() => pod?.remove());

describe.each(floodServices)("%s", (service) => {
  test.each(attacksOn(addresses))("$what: others are let in while it goes on", async (attack) => {
    const honest = honestClients(pod, service, addresses[0] ?? "");
    await honest.owner();
    const flood = await startFlood(pod, service, attack);
    const goesOn = async () => {
      const before = flood.attempts();
      await until("the attack to go on", () => flood.attempts() > before, { patienceMs: patienceMs.client });
    };
    try {
      await goesOn();
      for (let round = 0; round < rounds; round++) {
        for (const kind of honestKinds) await honest[kind]();
        await goesOn();
      }
    } finally {
      await flood.stop();
    }
    expect(flood.attempts()).toBeGreaterThan(rounds);
  });
});
