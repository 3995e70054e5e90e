/** Peers that ask and do not read, and transactions that never end, cost bounded memory. */
import { mkdtempSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openDict } from "../../../../src/relay/wire/dict-server.ts";
import type { Door } from "../../../../src/relay/wire/unix-socket.ts";
import { until } from "../../../helpers/until.ts";
import { dialogue } from "../dialogue.ts";

let door: Door;
let lookups = 0;
let sets = 0;

beforeEach(async () => {
  lookups = 0;
  sets = 0;
  door = await openDict({
    path: join(mkdtempSync(join(tmpdir(), "in-turn-")), "dict.sock"),
    answers: {
      async lookup() {
        lookups++;
        return "x".repeat(10_000);
      },
      async set() {
        sets++;
        return undefined;
      },
      unset: async () => undefined,
    },
    onFailure: (thrown) => expect.fail(String(thrown)),
    onProtocolError: (why) => expect.fail(why),
  });
});
afterEach(() => door.close(0));

test("who does not read its answers is not read", async () => {
  const asked = 5_000;
  const socket = connect(door.path);
  socket.pause();
  socket.write("Lk\tu\n".repeat(asked));
  await until("the first answers", () => lookups > 0);
  let before = -1;
  await until("no more of them", async () => {
    if (before === lookups) return true;
    before = lookups;
    await sleep(50);
    return false;
  });
  expect(lookups).toBeLessThan(1000);

  let received = 0;
  socket.on("data", (chunk) => (received += chunk.length)).resume();
  await until("all of them, once it reads", () => received === asked * 10_002, { patienceMs: 8000 });
  socket.destroy();
});

test("transactions of more than a MiB are forgotten, and others go on", async () => {
  const large = "v".repeat(60_000);
  await dialogue(
    door.path,
    ["C: B1\\tu", ...Array<string>(20).fill(`C: S1\\tk\\t${large}`), "C: C1", "S: F1\\tno such transaction"].join("\n"),
  );
  expect(sets).toBe(0);
  await dialogue(door.path, ["C: B1\\tu", "C: S1\\tk\\tv", "C: C1", "S: O"].join("\n"));
  expect(sets).toBe(1);
});
