/**
 * Two real Delta Chat cores whose relay moves: its files, which are laid out as those of
 * chatmail/relay, are imported into another relay of the same domain, and the DNS leads there. The
 * cores go on, and nobody tells them.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DeltaChatClient } from "../helpers/delta-chat.ts";
import { importInto } from "../helpers/import-into.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { publishZone, removeZone } from "../lab/names.ts";

const domain = "_moving.example";
let [before, after] = [] as unknown as [RelayPod, RelayPod];
let [ada, ben] = [] as unknown as [DeltaChatClient, DeltaChatClient];

beforeAll(async () => {
  [before, after, ada, ben] = await Promise.all([
    startRelayPod({ domain }),
    startRelayPod({ domain }),
    DeltaChatClient.start("Ada"),
    DeltaChatClient.start("Ben"),
  ]);
  await publishZone(domain, before.zone);
  for (const each of [ada, ben]) await each.join(`dcaccount:${domain}`);
});
afterAll(async () => {
  await Promise.all([ada?.stop(), ben?.stop(), before?.remove(), after?.remove()]);
  await removeZone(domain);
});

const importAll = () => importInto(after, before.volume("mail"));

test("they go on with their chat, and nothing is lost or comes twice", async () => {
  const { mine: adas, theirs: bens } = await ada.meet(ben);
  await ada.say(adas, "before the move");
  expect(await ben.received("before the move")).toEqual({ encrypted: true });
  expect((await importAll()).accounts).toMatchObject({ total: 2, new: 2 });

  // this one lies in the mailbox while the relay moves
  await ben.rpc.stopIo(ben.account);
  await ada.say(adas, "during the move");
  const waiting = join(before.volume("mail"), domain, await ben.address(), "new");
  await until("the mail to be in the mailbox", () => existsSync(waiting) && readdirSync(waiting).length > 0, {
    patienceMs: patienceMs.mail,
  });
  await Promise.all((["web", "postfix", "dovecot", "relay"] as const).map((name) => before.stop(name)));
  const second = await importAll();
  expect(second.accounts).toMatchObject({ total: 2, new: 0 });
  expect(second.mails.wanted).toBeGreaterThan(0);
  await publishZone(domain, after.zone);

  await ben.rpc.startIo(ben.account);
  await ben.has("during the move");
  await ada.say(adas, "after the move");
  await ben.has("after the move");
  for (const when of ["before", "during", "after"]) expect(await ben.count(`${when} the move`)).toBe(1);
  // and the way back
  await ben.say(bens, "an answer");
  await ada.has("an answer");
});
