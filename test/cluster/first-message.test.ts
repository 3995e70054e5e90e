/**
 * Two relays by `kubectl apply`, two people with Delta Chat, a conversation; clear text refused;
 * old mail gone. The demo tells the same story.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { WrittenServer } from "../../src/api/chatmail-server.ts";
import { type Couple, converse, expire, join, refusals } from "../helpers/first-message.ts";
import { kubectl } from "../helpers/kubectl.ts";
import { applyExamples, operatorIsInstalled, publishNames, removeServer, serverReady } from "../helpers/servers.ts";
import { patienceMs, until } from "../helpers/until.ts";

let nine: WrittenServer;
let ten: WrittenServer;
let couple: Couple;

beforeAll(async () => {
  await operatorIsInstalled();
  await Promise.all([removeServer("nine"), removeServer("ten")]);
  await applyExamples();
  [nine, ten] = await Promise.all([serverReady("nine"), serverReady("ten")]);
  await Promise.all([publishNames(nine), publishNames(ten)]);
});

afterAll(async () => {
  await couple?.stop();
  await Promise.all([removeServer("nine"), removeServer("ten")]);
});

test("kubectl get shows what a person asks first", async () => {
  const lines = async () => (await kubectl(["-n", "chatmail", "get", "chatmailserver", "nine"])).split("\n");
  const columns = ["NAME", "DOMAIN", "READY", "REASON", "DNS", "CERT-UNTIL", "VERSION", "AGE"];
  expect((await lines())[0]?.split(/\s{2,}/)).toEqual(columns);
  const row = /^nine\s+_nine\.test\s+True\s+Serving\s+3\/3\s+\d{4}-\d\d-\d\dT[\d:]+Z\s+dev-\w+\s/;
  // its names have been published this moment, and are looked at again within seconds
  await until("the row of a relay whose names are published", async () => row.test((await lines())[1] ?? ""), {
    patienceMs: patienceMs.pod,
    everyMs: 500,
  });
});

test("two people join by the invites in the status", async () => {
  ({ couple } = await join(nine, ten));
  expect(await couple.alice.address()).toMatch(/^[a-z0-9]{9}@_nine\.test$/);
  expect(await couple.bob.address()).toMatch(/^[a-z0-9]{9}@_ten\.test$/);
});

test("they meet by secure-join over both relays and write to each other, encrypted", async () => {
  const talk = await converse(couple, 3);
  expect(talk.messageMs).toHaveLength(6);
  expect(talk.encrypted).toBe(true);
});

test("clear text is refused, from a user and from outside", async () => {
  const recipient = await couple.alice.address();
  expect(await refusals(nine.spec.domain, recipient)).toEqual({
    submitted: "523 Encryption Needed: Invalid Unencrypted Mail",
    incoming: "523 Encryption Needed: Invalid Unencrypted Mail",
  });
});

test("a mail older than the limit is gone after the expiry job", async () => {
  expect(await expire(nine)).toEqual({ before: 1, after: 0 });
});
