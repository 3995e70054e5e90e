/**
 * Calls: a client gets a credential over IMAP, and coturn carries its packets, to whom it may and
 * to nobody else.
 */
import { createHmac } from "node:crypto";
import { createSocket } from "node:dgram";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import { turnSecretFile } from "../../src/pod/turn.ts";
import { DeltaChatClient } from "../helpers/delta-chat.ts";
import { LineSocket } from "../helpers/line-socket.ts";
import { randomName } from "../helpers/messages.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { serverMetadata, turnCredential } from "../helpers/server-metadata.ts";
import { type Allocation, allocation } from "../helpers/turn-allocation.ts";
import { turnClient } from "../helpers/turn-client.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { publishZone } from "../lab/names.ts";
import { addresses } from "../lab/place.ts";

const domain = "_calls.test";
const iroh = "https://iroh.example.org";

let pod: RelayPod;
beforeAll(async () => {
  const turn = { enabled: true };
  pod = await startRelayPod({ domain, spec: { services: { turn, iroh: { url: iroh } } } });
});
afterAll(() => pod?.remove());

const newUser = () => `${randomName(9)}@${domain}`;
const metadata = (name: string, user = newUser()) => serverMetadata(pod, user, name);
const credential = (user = newUser()) => turnCredential(pod, user);

test("an account has one credential, whenever it asks; another account another", async () => {
  const [one, other] = [newUser(), newUser()];
  const { username } = await credential(one);
  const start = Date.now();
  await until("another second", () => Math.floor(Date.now() / 1000) > Math.floor(start / 1000), { everyMs: 50 });
  expect((await credential(one)).username).toBe(username);
  expect((await credential(other)).username).not.toBe(username);
});

test("host, port and a credential for two and a half to five days; the iroh relay of the spec", async () => {
  const { host, port, username, password } = await credential();
  expect([host, port]).toEqual([domain, "3478"]);
  // Delta Chat reads it as a number, the end of the credential
  expect(username).toMatch(/^\d{10}$/);
  const days = (Number(username) - Date.now() / 1000) / 86_400;
  expect(days).toBeGreaterThan(2.49);
  expect(days).toBeLessThanOrEqual(5);
  expect(password).toMatch(/^[A-Za-z0-9+/]{27}=$/);
  expect(await metadata("irohrelay")).toBe(iroh);
});

describe("TURN", () => {
  test("two who both go through the relay reach each other", async () => {
    const { username, password } = await credential();
    const said = await turnClient("-u", username, "-w", password, "-y", "-c", "-n", "20", "-m", "2", pod.host);
    expect(said).toMatch(/tot_send_msgs=(\d+), tot_recv_msgs=\1\b/);
    expect(said).toContain("Total lost packets 0");
  });

  test("one who goes through the relay reaches another directly", async () => {
    const echo = createSocket("udp4", (packet, { port, address }) => echo.send(packet, port, address));
    await new Promise<void>((resolve) => echo.bind(0, () => resolve()));
    try {
      const { username, password } = await credential();
      const peer = ["-e", addresses.gateway, "-r", String(echo.address().port)];
      const said = await turnClient("-u", username, "-w", password, ...peer, "-c", "-n", "5", pod.host);
      expect(said).toMatch(/tot_send_msgs=(\d+), tot_recv_msgs=\1\b/);
    } finally {
      echo.close();
    }
  });

  test.each([
    {
      when: "the password is not its own",
      forge: (name: string) => ({ name, password: "AAAAAAAAAAAAAAAAAAAAAAAAAAA=" }),
    },
    { when: "it has ended", forge: () => signed(String(Math.floor(Date.now() / 1000) - 1)) },
    {
      when: "it has another account's name",
      forge: (name: string, password: string) => ({ name: String(Number(name) + 1), password }),
    },
    { when: "it is made with the field's well-known secret", forge: (name: string) => signed(name, "north") },
  ])("a credential is refused when $when", async ({ forge }) => {
    const right = await credential();
    const { name, password } = await forge(right.username, right.password);
    const said = await turnClient("-u", name, "-w", password, "-y", "-c", "-n", "1", pod.host);
    expect(said).toMatch(/error 401|Unauthorized|Cannot complete Allocation/);
    expect(said).not.toContain("tot_recv_msgs=1");
  });

  async function signed(name: string, secret?: string) {
    const key = secret ?? (await pod.exec("turn", "cat", turnSecretFile)).trim();
    return { name, password: createHmac("sha1", key).update(name).digest("base64") };
  }

  test.each(["127.0.0.1", "10.96.0.10", "169.254.169.254", "192.168.1.1", "0.0.0.0"])(
    "%s can't be reached through it",
    async (peer) => {
      const { username, password } = await credential();
      const said = await turnClient("-u", username, "-w", password, "-e", peer, "-c", "-n", "1", pod.host);
      expect(said).toMatch(/error 403/);
    },
  );

  test("one account has 6 ports by its credential, whenever it asked for it, and all together fewer than there are", async () => {
    // what earlier tests left would count
    await pod.stop("turn");
    await pod.start("turn");
    const held: Allocation[] = [];
    const take = async (as: Awaited<ReturnType<typeof credential>>) => {
      const got = await allocation(pod.host, ports.turn, as);
      held.push(got);
      return got.error;
    };
    try {
      const greedy = newUser();
      const answers: (number | undefined)[] = [];
      // asked for in four different seconds and more
      const seconds = new Set<number>();
      await until("20 answers in four seconds", async () => {
        seconds.add(Math.floor(Date.now() / 1000));
        answers.push(await take(await credential(greedy)));
        return answers.length >= 20 && seconds.size >= 4;
      });
      // 486: Allocation Quota Reached
      expect(answers).toEqual(answers.map((_, nth) => (nth < 6 ? undefined : 486)));
      expect(await take(await credential())).toBeUndefined();

      // many accounts: never 508, which is no port left after a search for one
      const others = await Promise.all(Array.from({ length: 35 }, () => credential()));
      const rest: (number | undefined)[] = [];
      for (const as of others) rest.push(await take(as));
      expect(rest).toEqual(rest.map((_, nth) => (nth < 36 - 7 ? undefined : 486)));
      await held.shift()?.release();
      const next = await credential();
      await until("a port that was given back", async () => (await take(next)) === undefined, { everyMs: 200 });
    } finally {
      await Promise.all(held.map((each) => each.release()));
    }
  });

  test("it is there for UDP alone", async () => {
    await expect(LineSocket.open(pod.at(ports.turn), undefined)).rejects.toThrow("ECONNREFUSED");
  });

  test("it says nothing of who calls whom, and no secret", async () => {
    const secret = await pod.exec("turn", "cat", turnSecretFile);
    const logs = await pod.logs("turn");
    expect(logs).not.toMatch(/(\d+\.){3}\d+/);
    expect(logs).not.toMatch(/user <|session \d/);
    expect(await pod.exec("turn", "cat", "/proc/1/cmdline")).not.toContain(secret.trim());
    expect(logs).not.toContain(secret.trim());
  });
});

test("Delta Chat is told of it", async () => {
  await publishZone(domain, pod.zone);
  const alice = await DeltaChatClient.start("Alice");
  try {
    await alice.join(`dcaccount:${domain}`);
    const told = async () => {
      const servers = JSON.parse(await alice.rpc.iceServers(alice.account)) as { urls: string[]; username?: string }[];
      return servers.find(({ urls, username }) => username && urls.some((url) => url.includes(`${pod.host}:3478`)));
    };
    expect(await until("the TURN server", told, { patienceMs: patienceMs.client })).toMatchObject({
      username: expect.stringMatching(/^\d{10}$/),
    });
  } finally {
    await alice.stop();
  }
});
