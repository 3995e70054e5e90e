/** What is read, as `/status` and the metrics have it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ClientAddresses } from "../../../../src/relay/figures/clients.ts";
import { RelayFigures } from "../../../../src/relay/figures/figures.ts";
import { Metrics } from "../../../../src/relay/metrics.ts";
import { settings } from "../settings.ts";

const nothing = { queue: async () => undefined, sessions: async () => undefined };

function makeAccounts(mailFolder: string, domain: string, ...locals: string[]): void {
  for (const local of locals) mkdirSync(join(mailFolder, domain, `${local}@${domain}`), { recursive: true });
}

test("accounts are counted: no probes, no files, and nothing of other domains", async () => {
  const config = settings();
  makeAccounts(config.mailFolder, "chat.example", "alice", "bob", "ci-12345", "probe~1");
  makeAccounts(config.mailFolder, "left.example", "carol");
  writeFileSync(join(config.mailFolder, "chat.example", "file@chat.example"), "");
  const clients = new ClientAddresses(() => 0);
  const figures = new RelayFigures({ settings: config, reports: nothing, clients, now: () => 0 });
  const read = await figures.read();
  expect(read.accounts).toEqual({ "chat.example": { all: 3, ci: 1, user: 2 } });
  expect(read.storage?.bytes).toBeGreaterThan(read.storage?.freeBytes ?? Number.POSITIVE_INFINITY);
  expect(read.queue).toBeUndefined();
});

test("they are counted again after a while, and not each time", async () => {
  let now = 0;
  const config = settings();
  const clients = new ClientAddresses(() => now);
  const figures = new RelayFigures({ settings: config, reports: nothing, clients, now: () => now });
  const count = async () => (await figures.read()).accounts?.["chat.example"]?.all;
  expect(await count()).toBe(0);
  makeAccounts(config.mailFolder, "chat.example", "alice");
  now += 10_000;
  expect(await count()).toBe(0);
  now += 30_000;
  expect(await count()).toBe(1);
});

test("what is not known is not in the metrics", async () => {
  const config = settings();
  const metrics = new Metrics();
  const clients = new ClientAddresses(() => 0);
  clients.note("alice@chat.example", "192.0.2.7");
  clients.note("bob@chat.example", "192.0.2.7");
  clients.note("carol@chat.example", "no address");
  const figures = new RelayFigures({ settings: config, reports: nothing, clients, now: () => 0 });
  figures.addTo(metrics);
  const samples = () => metrics.text().replace(/^#.*\n/gm, "");
  expect(samples()).not.toMatch(/^chatmail_(volume|queue|imap|turn_relay)/m);
  await figures.read();
  expect(samples()).toMatch(/^chatmail_volume_available_bytes \d+$/m);
  expect(samples()).toContain('chatmail_client_accounts_of_one_address{family="ipv4"} 2\n');
  expect(samples()).not.toMatch(/^chatmail_(queue|imap|turn_relay)/m);
  expect(metrics.text()).not.toContain("192.0.2.7");
});

test("clients of the day before do not count", () => {
  let now = 0;
  const clients = new ClientAddresses(() => now);
  clients.note("alice@chat.example", "192.0.2.1");
  now += 86_400_001;
  clients.note("bob@chat.example", "192.0.2.2");
  clients.note("bob@chat.example", "192.0.2.3");
  expect(clients.figures().ipv4).toEqual({ accounts: 1, fromOneAddress: 1 });
});

test("several domains have their names in the metrics", async () => {
  const config = settings();
  config.domains = { ...config.domains, "other.example": Object.values(config.domains)[0] as never };
  makeAccounts(config.mailFolder, "other.example", "alice");
  const metrics = new Metrics(() => 2);
  const clients = new ClientAddresses(() => 0);
  const figures = new RelayFigures({ settings: config, reports: nothing, clients, now: () => 0 });
  figures.addTo(metrics);
  await figures.read();
  expect(metrics.text()).toContain('chatmail_accounts{domain="other.example",kind="all"} 1\n');
});
