/**
 * Which service each domain goes by, and what of its waiting pushes becomes of an edit. Nothing is
 * sent: no address may be connected to.
 */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TokenStore } from "../../../../src/relay/metadata/tokens.ts";
import { Metrics } from "../../../../src/relay/metrics.ts";
import { Push } from "../../../../src/relay/push/push.ts";
import { until } from "../../../helpers/until.ts";
import { collectingLog, limits, settings } from "../settings.ts";

const now = () => 1_795_000_000_000;
const users = ["a", "b", "c"].map((domain) => `user12345@${domain}.test`);
const [ofA = "", ofB = "", ofC = ""] = users;
let config: ReturnType<typeof settings>;
let push: Push;
/** Of the services that were to be asked. */
let asked: string[];

const waiting = (domain: string) => {
  const folder = join(config.mailFolder, domain, "pending_notifications");
  return existsSync(folder) ? readdirSync(folder).length : 0;
};
const servicesAre = (...urls: (readonly [domain: string, address: string])[]) => {
  config.push = Object.fromEntries(urls.map(([domain, address]) => [domain, { url: `https://${address}/notify` }]));
  return push.follow();
};

beforeEach(async () => {
  config = settings({ domains: { "a.test": limits(), "b.test": limits(), "c.test": limits() } });
  for (const user of users) {
    const home = join(config.mailFolder, user.slice(user.indexOf("@") + 1), user);
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, "password"), "x");
    writeFileSync(join(home, "metadata.json"), JSON.stringify({ devicetoken: { token: now() / 1000 } }));
  }
  asked = [];
  const { log } = collectingLog();
  const mayConnect = (address: string) => {
    asked.push(address);
    return false;
  };
  push = new Push({ config, tokens: new TokenStore({ log, now }), mayConnect, log, metrics: new Metrics(), now });
  await servicesAre(["a.test", "192.0.2.1"], ["b.test", "192.0.2.2"]);
});
afterEach(() => push.stop());

const isAsked = (address: string) => until(`${address} to be asked`, () => asked.includes(address), { everyMs: 5 });

test("each domain goes by its own service, and one without a service by none", async () => {
  await push.messageCame(ofA);
  await isAsked("192.0.2.1");
  expect(asked).not.toContain("192.0.2.2");
  await push.messageCame(ofB);
  await isAsked("192.0.2.2");
  const before = asked.length;
  await push.messageCame(ofC);
  expect(["a.test", "b.test", "c.test"].map(waiting)).toEqual([1, 1, 0]);
  expect(asked).toHaveLength(before);
});

test("what waits goes by the new service of its domain; without one it is forgotten, of that domain alone", async () => {
  for (const user of users) await push.messageCame(user);
  await servicesAre(["a.test", "192.0.2.9"]);
  await isAsked("192.0.2.9");
  expect(["a.test", "b.test", "c.test"].map(waiting)).toEqual([1, 0, 0]);
});

test("domains with the same service share it", async () => {
  await servicesAre(["a.test", "192.0.2.9"], ["b.test", "192.0.2.9"]);
  for (const user of [ofA, ofB]) await push.messageCame(user);
  await until("both to be asked for", () => asked.filter((each) => each === "192.0.2.9").length >= 2, { everyMs: 5 });
});

test("of a domain that has left nothing waits", async () => {
  for (const user of users) await push.messageCame(user);
  delete config.domains["b.test"];
  await servicesAre(["a.test", "192.0.2.1"]);
  expect(["a.test", "b.test"].map(waiting)).toEqual([1, 0]);
  expect(existsSync(join(config.mailFolder, "b.test", ofB))).toBe(true);
});
