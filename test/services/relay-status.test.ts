/** What a relay pod says of its state: the figures of `/status`, with real programs behind them. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import type { Files } from "../../src/pod/files.ts";
import { password } from "../helpers/accounts.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { encryptedMessage, randomName } from "../helpers/messages.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { patienceMs, until } from "../helpers/until.ts";

const domain = "_status.test";
/** Nobody is there: mail to it waits. */
const away = "[192.0.2.77]";

let pod: RelayPod;
beforeAll(async () => {
  pod = await startRelayPod({
    domain,
    probeSeconds: 1,
    spec: { network: { privatePeers: ["192.0.2.0/24"] } },
    edit: (files) => ({ ...files, dovecot: hibernateSoon(files.dovecot) }),
  });
});
afterAll(() => pod?.remove());

/** After a second and not after half a minute: the outcome is the same. */
function hibernateSoon(files: Files): Files {
  const text = files["dovecot.conf"] ?? "";
  expect(text).toContain("imap_hibernate_timeout = 30s");
  return { ...files, "dovecot.conf": text.replace("imap_hibernate_timeout = 30s", "imap_hibernate_timeout = 1s") };
}

const newAddress = () => `${randomName(9)}@${domain}`;

interface Status {
  version: string;
  storage: Record<string, number>;
  queue?: { states: Record<string, number>; oldestSeconds: number; destinations: unknown };
  sessions?: { awake: number; hibernated: number };
  accounts: Record<string, { all: number }>;
  certificates: Record<string, { sha256: string; notAfter: string }>;
  clients: { ipv4: { accounts: number; fromOneAddress: number } };
  deliverable: Record<string, { latencyMs?: number }>;
  turn?: { ports: number; used: number };
}

const status = async (query = ""): Promise<Status> =>
  (await (await fetch(`http://${pod.host}:${ports.health}/status${query}`)).json()) as Status;

/** Reports are asked for once a minute; a test does not wait for that. */
const reportNow = () =>
  Promise.all(
    (["postfix", "dovecot"] as const).map((program) =>
      pod.exec(program, "sh", "-c", `echo report > /run/chatmail/reload-${program}.pipe`),
    ),
  );

/** The status once it is as it has to be; asks for reports meanwhile. */
async function statusWith(what: string, is: (status: Status) => boolean, query = ""): Promise<Status> {
  return until(
    what,
    async () => {
      await reportNow();
      const now = await status(query);
      return is(now) && now;
    },
    { patienceMs: patienceMs.pod, everyMs: 300 },
  );
}

test("a new pod tells its version, its volume, its certificate, and how long its probe takes", async () => {
  const first = await statusWith("the first reports", ({ queue, sessions, deliverable }) =>
    Boolean(queue && sessions && deliverable[domain]?.latencyMs !== undefined),
  );
  expect(first.version).toMatch(/^\d+\.\d+\.\d+/);
  expect(first.storage.freeBytes).toBeGreaterThan(0);
  expect(first.certificates[domain]?.sha256).toMatch(/^[\dA-F:]{64,}$/i);
  expect(Date.parse(first.certificates[domain]?.notAfter ?? "")).toBeGreaterThan(Date.now());
  expect(first.accounts[domain]).toMatchObject({ all: 0 });
});

test("sessions are awake, and hibernated when they idle", async () => {
  const user = newAddress();
  const [awake, idle] = await Promise.all([
    ImapClient.ready(pod.at(ports.imaps), user, password),
    ImapClient.likeDeltaChat(pod.at(ports.imaps), newAddress(), password),
  ]);
  try {
    await idle.idle();
    const now = await statusWith("one of each", ({ sessions }) => (sessions?.hibernated ?? 0) >= 1);
    expect(now.sessions?.awake).toBeGreaterThanOrEqual(1);
    expect(now.clients.ipv4.accounts).toBe(2);
    expect(now.clients.ipv4.fromOneAddress).toBe(2);
  } finally {
    for (const each of [awake, idle]) each.destroy();
  }
  await statusWith("none", ({ sessions }) => sessions?.hibernated === 0);
});

test("mail that waits is told by state and age; its destinations only to whoever asks for them", async () => {
  const from = newAddress();
  const smtp = await SmtpClient.ready(pod.at(ports.submissions), from, password);
  const to = `someone@${away}`;
  expect(await smtp.send({ from, to: [to], data: encryptedMessage({ from, to: [to] }) })).toMatchObject({ code: 250 });
  await smtp.quit();
  const waits = ({ queue }: Status) => Object.values(queue?.states ?? {}).some((count) => count > 0);
  const plain = await statusWith("the mail in the queue", waits);
  expect(plain.queue?.destinations).toEqual(expect.any(Number));
  expect(JSON.stringify(plain)).not.toContain(away);
  const named = await statusWith(
    "its destination",
    ({ queue }) => Array.isArray(queue?.destinations) && queue.destinations.length > 0,
    "?destinations",
  );
  expect(named.queue?.destinations).toContainEqual({ domain: away, messages: 1 });
  for (const text of [JSON.stringify(named), await pod.exec("postfix", "cat", "/run/chatmail/figures-postfix")]) {
    expect(text).not.toContain("someone");
    expect(text).not.toContain(from);
  }
});
