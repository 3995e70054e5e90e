/**
 * A fleet of real relays with a Delta Chat client on each: what replaces pods goes through them in
 * three waves, no more are down than allowed, and messages arrive again. FLEET_RELAYS=12 makes it a
 * dozen.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { WrittenFleet } from "../../src/api/chatmail-fleet.ts";
import { apiVersion, chatmailFleet } from "../../src/api/names.ts";
import type { LivePod } from "../../src/operator/server/live.ts";
import { onAnyLoad } from "../helpers/accounts.ts";
import { DeltaChatClient } from "../helpers/delta-chat.ts";
import { apply, kubectl, kubectlJson } from "../helpers/kubectl.ts";
import { namespace, operatorIsInstalled, publishNames, removeServer, serverReady } from "../helpers/servers.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { privatePeers } from "../lab/place.ts";

const size = Number(process.env.FLEET_RELAYS ?? 3);
const limit = Math.max(1, Math.floor(size / 6));
const names = Array.from({ length: size }, (_, nth) => `wave-${nth}`);
/** The last by name, so that an order by name would be another. */
const canary = names.at(-1) ?? "";
const clients: DeltaChatClient[] = [];
const chats: number[] = [];

const fleetObject = (edition: string) => ({
  apiVersion,
  kind: chatmailFleet.kind,
  metadata: { name: "waves", namespace },
  spec: {
    defaults: {
      accounts: onAnyLoad,
      network: { privatePeers },
      pod: { annotations: { "example.org/edition": edition } },
    },
    domains: names.map((name) => ({
      name,
      domain: `_${name}.test`,
      ...(name === canary && { labels: { ring: "canary" } }),
    })),
    rollout: {
      gate: "Ready",
      waves: [
        { name: "canary", selector: { matchLabels: { ring: "canary" } }, soakSeconds: 2 },
        { name: "quarter", share: "25%", maxUnavailable: limit },
        { name: "rest", maxUnavailable: limit },
      ],
    },
  },
});

const fleet = () => kubectlJson<WrittenFleet>(["-n", namespace, "get", "cmf", "waves"]);
const pods = async () => {
  const { items } = await kubectlJson<{ items: LivePod[] }>(["-n", namespace, "get", "pods"]);
  return items.filter(({ metadata }) => names.some((name) => metadata.name === `${name}-0`));
};
const isReady = ({ metadata, status }: LivePod) =>
  !metadata.deletionTimestamp && status?.conditions?.some((each) => each.type === "Ready" && each.status === "True");
const editionOf = ({ metadata }: LivePod) => metadata.annotations?.["example.org/edition"];

beforeAll(async () => {
  await operatorIsInstalled();
  await apply(fleetObject("1"));
  const servers = await Promise.all(
    names.map(async (name) => {
      await until(
        `ChatmailServer ${name}`,
        async () => (await kubectl(["-n", namespace, "get", "cms", name, "--ignore-not-found", "-o", "name"])) !== "",
        { patienceMs: patienceMs.pod, everyMs: 200 },
      );
      return serverReady(name);
    }),
  );
  for (const server of servers) await publishNames(server);
  for (const [nth, server] of servers.entries()) {
    const client = await DeltaChatClient.start(`Client ${nth}`);
    clients.push(client);
    await client.join(server.status?.invite?.link ?? "");
  }
  const [first, ...others] = clients;
  if (first) for (const client of others) chats.push((await client.meet(first)).mine);
});

afterAll(async () => {
  await Promise.all(clients.map((client) => client.stop()));
  // what the fleet made goes with it; what is kept is removed here
  await kubectl(["-n", namespace, "delete", "cmf", "waves", "--ignore-not-found", "--cascade=foreground"]);
  for (const name of names) await removeServer(name);
});

test("another pod comes to the canary first, and to no more at once than allowed", async () => {
  const firstSeen: string[] = [];
  let mostDown = 0;
  await apply(fleetObject("2"));
  const isDone = async () => {
    const now = await pods();
    for (const pod of now)
      if (editionOf(pod) === "2" && !firstSeen.includes(pod.metadata.name)) firstSeen.push(pod.metadata.name);
    mostDown = Math.max(mostDown, size - now.filter(isReady).length);
    const { servers } = (await fleet()).status ?? {};
    return now.every((pod) => editionOf(pod) === "2") && servers?.updated === size && servers.ready === size;
  };
  await until("all relays to be updated", isDone, { patienceMs: patienceMs.pod * Math.ceil(size / 3), everyMs: 200 });
  expect(firstSeen[0]).toBe(`${canary}-0`);
  expect(mostDown).toBeLessThanOrEqual(limit);
});

test("from each relay a message arrives at the first, as before", async () => {
  const [first, ...others] = clients;
  for (const [nth, client] of others.entries()) {
    const text = `after the update, from ${nth}`;
    await client.say(chats[nth] ?? 0, text);
    await first?.has(text, client);
  }
});

test("kubectl tells the story in one line", async () => {
  const [head = "", line = ""] = (await kubectl(["-n", namespace, "get", "chatmailfleets", "waves"])).split("\n");
  expect(head.split(/\s+/)).toEqual(["NAME", "SERVERS", "READY", "UPDATED", "WAVE", "REASON", "AGE", "MESSAGE"]);
  expect(line).toMatch(
    new RegExp(`^waves\\s+${size}\\s+${size}\\s+${size}\\s+Serving\\s.*all ${size} servers are ready`),
  );
});
