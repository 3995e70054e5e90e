/**
 * `--against COMMIT`: the pod of this checkout and the pod of another commit, side by side, in
 * alternating rounds of the same load. Each round is compared with its neighbour in time, so what
 * drifts on the machine is in both.
 */
import { lastImages } from "../../scripts/images.ts";
import type { Previous } from "../../scripts/previous.ts";
import { ports } from "../../src/mail/ports.ts";
import { ImapClient } from "../../test/helpers/imap-client.ts";
import { randomName } from "../../test/helpers/messages.ts";
import { commit, printTable, quantile, say } from "../machine.ts";
import { difference, sum } from "./figures.ts";
import { allAsleep, Bench, connections, inTurns, loginRate, newAccounts, newLogin, pause, Waiting } from "./load.ts";
import { PodProcess } from "./pod-process.ts";
import { type Login, Sender } from "./sender.ts";

export interface AgainstSize {
  rounds: number;
  mails: number;
  singles: number;
  clients: number;
  loginSeconds: number;
  /** After the last command of a client, until its memory is looked at. */
  restSeconds: number;
}

const sides = ["before", "now"] as const;
type Side = (typeof sides)[number];
type Figures = Record<string, number>;
/** One row: what, and how its figures are written. */
const rows = {
  delivered: { unit: "/s", digits: 0 },
  "delivered: CPU a mail": { unit: " ms", digits: 2 },
  "  of it dovecot": { unit: " ms", digits: 2 },
  "  of it postfix": { unit: " ms", digits: 2 },
  "  of it relay": { unit: " ms", digits: 2 },
  "delivered and fetched": { unit: "/s", digits: 0 },
  "delivered and fetched: CPU a mail": { unit: " ms", digits: 2 },
  "MAIL to EXISTS, p50": { unit: " ms", digits: 1 },
  "MAIL to EXISTS, p99": { unit: " ms", digits: 1 },
  "into an empty mailbox: CPU a mail": { unit: " ms", digits: 2 },
  "into one with 10,000 mails: CPU a mail": { unit: " ms", digits: 2 },
  "logins, account exists": { unit: "/s", digits: 0 },
  "logins, account exists: CPU each": { unit: " ms", digits: 1 },
  "logins, account is created": { unit: "/s", digits: 0 },
  "logins, account is created: CPU each": { unit: " ms", digits: 1 },
  "client, just come": { unit: " KiB", digits: 0 },
  "client, after the rest": { unit: " KiB", digits: 0 },
  "PSS fresh": { unit: " MiB", digits: 1 },
  "PSS at rest after all of this": { unit: " MiB", digits: 1 },
} as const satisfies Record<string, { unit: string; digits: number }>;
type Row = keyof typeof rows;

export async function measureAgainst(previous: Previous, size: AgainstSize, signal: AbortSignal): Promise<object> {
  const pods: Partial<Record<Side, PodProcess>> = {};
  try {
    for (const side of sides) {
      say(`starting the pod, ${side}`);
      pods[side] = await (side === "now"
        ? PodProcess.start(`${import.meta.dirname}/../..`, lastImages().relay)
        : PodProcess.start(previous.tree, previous.relay));
      signal.throwIfAborted();
    }
    const { before, now } = pods;
    if (!before || !now) throw new Error("two pods were started");
    return await compare({ before, now }, previous, size, signal);
  } finally {
    await Promise.all(Object.values(pods).map((pod) => pod.remove()));
  }
}

async function compare(pods: Record<Side, PodProcess>, previous: Previous, size: AgainstSize, signal: AbortSignal) {
  const seen = new Map<Row, Record<Side, number[]>>();
  const note = (side: Side, figures: Partial<Record<Row, number>>) => {
    for (const [row, value] of Object.entries(figures) as [Row, number][]) {
      const both = seen.get(row) ?? { before: [], now: [] };
      both[side].push(value);
      seen.set(row, both);
    }
  };
  /** Each side once a round; who begins changes. */
  const inRounds = async (what: string, rounds: number, work: (side: Side, round: number) => Promise<void>) => {
    for (let round = 0; round < rounds; round++) {
      say(`${what}, round ${round + 1} of ${rounds}`);
      for (const side of round % 2 ? sides.toReversed() : sides) {
        signal.throwIfAborted();
        await work(side, round);
      }
    }
  };

  await pause(5000, signal);
  for (const side of sides) note(side, { "PSS fresh": mib(await pods[side].memory()) });

  const benches = await bothOf(async (side) => {
    const bench = new Bench(pods[side], await newAccounts(pods[side], connections), signal);
    await bench.round(ports.submissions, "imap", size.mails / 3);
    return bench;
  });
  await inRounds("mail to mailboxes", size.rounds, async (side) => {
    const { mails, seconds, cpu } = await benches[side].round(ports.submissions, "imap", size.mails);
    const each = (name: string) => ((cpu[name] ?? 0) * 1000) / mails;
    note(side, {
      delivered: mails / seconds,
      "delivered: CPU a mail": (sum(cpu) * 1000) / mails,
      "  of it dovecot": each("dovecot"),
      "  of it postfix": each("postfix"),
      "  of it relay": each("relay"),
    });
  });
  await inRounds("mail to clients", size.rounds, async (side) => {
    const { mails, seconds, cpu } = await benches[side].fetched(ports.submissions, size.mails);
    note(side, {
      "delivered and fetched": mails / seconds,
      "delivered and fetched: CPU a mail": (sum(cpu) * 1000) / mails,
    });
  });
  await inRounds("single mails", size.rounds, async (side) => {
    const waits = await singles(pods[side], Math.ceil(size.singles / size.rounds), signal);
    note(side, { "MAIL to EXISTS, p50": quantile(waits, 0.5), "MAIL to EXISTS, p99": quantile(waits, 0.99) });
  });
  const filled = { "into an empty mailbox: CPU a mail": 0, "into one with 10,000 mails: CPU a mail": 10_000 } as const;
  await inRounds("mail to one mailbox", size.rounds, async (side) => {
    for (const [row, has] of Object.entries(filled) as [keyof typeof filled, number][]) {
      const { mails, cpu } = await benches[side].intoOne(ports.submissions, { has, count: Math.ceil(size.mails / 3) });
      note(side, { [row]: (sum(cpu) * 1000) / mails });
    }
  });
  const known = await bothOf((side) => newAccounts(pods[side], connections));
  await inRounds("logins", size.rounds, async (side) => {
    let turn = 0;
    const exists = await logins(pods[side], size, signal, () => known[side][turn++ % connections] ?? newLogin());
    const created = await logins(pods[side], size, signal, newLogin);
    note(side, {
      "logins, account exists": exists.rate,
      "logins, account exists: CPU each": exists.cpuMs,
      "logins, account is created": created.rate,
      "logins, account is created: CPU each": created.cpuMs,
    });
  });
  await inRounds("clients", 1, async (side) => {
    const { come, rested } = await clients(pods[side], size, signal);
    note(side, { "client, just come": come, "client, after the rest": rested });
  });
  for (const side of sides) {
    await allAsleep(pods[side], signal);
    note(side, { "PSS at rest after all of this": mib(await pods[side].memory()) });
  }

  const result = Object.fromEntries([...seen].map(([row, { before, now }]) => [row, figuresOf(before, now)]));
  const names = { before: previous.commit.slice(0, 12), now: commit.slice(0, 12) };
  printTable([
    ["", `${names.before} → ${names.now}: medians, and the ratio of neighbours`],
    ...Object.entries(rows).map(([row, { unit, digits }]): [string, string] => {
      const { before = Number.NaN, now = Number.NaN, ratio = Number.NaN } = result[row] ?? {};
      const text = (value: number) => `${value.toFixed(digits)}${unit}`;
      return [row, `${text(before)} → ${text(now)}   ${ratio.toFixed(2)}`];
    }),
  ]);
  return { against: previous.commit, rounds: size.rounds, ...result };
}

async function bothOf<T>(work: (side: Side) => Promise<T>): Promise<Record<Side, T>> {
  return { before: await work("before"), now: await work("now") };
}

function figuresOf(before: readonly number[], now: readonly number[]): Figures {
  const ratios = now.map((value, at) => value / (before[at] ?? Number.NaN));
  return { before: quantile(before, 0.5), now: quantile(now, 0.5), ratio: quantile(ratios, 0.5) };
}

const mib = (kib: Readonly<Record<string, number>>) => sum(kib) / 1024;

/** From MAIL to EXISTS at a client in IDLE, in milliseconds. */
async function singles(pod: PodProcess, count: number, signal: AbortSignal): Promise<number[]> {
  const [from = newLogin(), to = newLogin()] = await newAccounts(pod, 2);
  const receiver = await Waiting.open(pod, to);
  const sender = await Sender.smtp(pod.at(ports.submissions), from);
  const waits: number[] = [];
  for (let at = -5; at < count; at++) {
    const { seenMs } = await receiver.receive(sender, from.user);
    if (at >= 0) waits.push(seenMs);
    await pause(20, signal);
  }
  receiver.close();
  sender.close();
  return waits;
}

async function logins(pod: PodProcess, { loginSeconds }: AgainstSize, signal: AbortSignal, next: () => Login) {
  const before = await pod.cpu();
  const rate = await loginRate(pod, loginSeconds, signal, next);
  const cpu = sum(difference(await pod.cpu(), before));
  return { rate, cpuMs: (cpu * 1000) / (rate * loginSeconds) };
}

/** KiB for each of many that come at once and wait in IDLE. */
async function clients(pod: PodProcess, size: AgainstSize, signal: AbortSignal) {
  const accounts = await newAccounts(pod, size.clients);
  await allAsleep(pod, signal);
  const before = sum(await pod.memory());
  const each = async () => (sum(await pod.memory()) - before) / size.clients;
  const open: ImapClient[] = [];
  try {
    await inTurns(accounts, connections, async ({ user, password }) => {
      signal.throwIfAborted();
      const client = await ImapClient.likeDeltaChat(pod.at(ports.imaps), user, password, randomName(64));
      open.push(client);
      await client.idle();
    });
    const come = await each();
    await pause(size.restSeconds * 1000, signal);
    return { come, rested: await each() };
  } finally {
    for (const client of open) client.destroy();
  }
}
