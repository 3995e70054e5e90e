/**
 * The relay's containers without a cluster, with and without the filter: mails a second, from
 * handing in to IDLE, CPU, memory, clients that wait, logins. Mails of 5.6 kB come over TLS with
 * login, eight connections at once, each mail with PGP check, RSA-2048 signature and another
 * subject. `--quick`: fewer of everything. `--sync`: instead, what waiting for the disk at each
 * delivery costs (decision 0011). `--clients`: clients that wait alone. `--against COMMIT`: this
 * pod beside that commit's.
 */
import { readOptions } from "../scripts/options.ts";
import type { Previous } from "../scripts/previous.ts";
import { startRelayPod } from "../test/helpers/relay-pod.ts";
import { endSignal, printTable, quantile, say, writeJson } from "./machine.ts";
import { measureAgainst } from "./mail/against.ts";
import { difference, type Round, ratioOf, sum, summaryOf } from "./mail/figures.ts";
import {
  allAsleep,
  Bench,
  ceiling,
  connections,
  inTurns,
  loginRate,
  newAccounts,
  newLogin,
  pause,
  type Wait,
  Waiting,
} from "./mail/load.ts";
import { Sender } from "./mail/sender.ts";
import { destinations, domain, filters, submissionPort, syncs, withPlainTwin, withSync } from "./mail/variants.ts";

const usage = "npm run bench -- mail [--quick] [--sync | --clients | --against COMMIT] [--json FILE]";
const flag = { type: "boolean", default: false } as const;
const { values } = readOptions(usage, {
  options: { quick: flag, sync: flag, clients: flag, against: { type: "string" }, json: { type: "string" } },
});
const size = values.quick
  ? { rounds: 3, mails: 300, singles: 40, awake: 20, clients: 100, loginSeconds: 2, restSeconds: 5 }
  : { rounds: 7, mails: 1500, singles: 150, awake: 200, clients: 1000, loginSeconds: 5, restSeconds: 20 };
const signal = endSignal();

const mib = (kib: Readonly<Record<string, number>>) =>
  Object.fromEntries(Object.entries(kib).map(([name, value]) => [name, value / 1024]));
const empty = () => ({ plain: [] as Round[], filtered: [] as Round[] });

if (values.against !== undefined) {
  const previous = JSON.parse(process.env.PREVIOUS ?? "") as Previous;
  const clients = values.quick ? 50 : 500;
  const rounds = values.quick ? 3 : 7;
  await writeJson(values.json, await measureAgainst(previous, { ...size, rounds, clients, restSeconds: 45 }, signal));
  process.exit();
}

say("starting the pod");
/** The most that one sender may have: the load and not a limit is measured. */
const accounts = { sendSizePerMinute: "1Ti", sendSizeBurst: "1Ti", sendBurst: 10_000, sendRatePerMinute: 10_000 };
let dovecotConf = "";
const pod = await startRelayPod({
  domain,
  spec: { accounts },
  edit: (files) => {
    dovecotConf = files.dovecot["dovecot.conf"] ?? "";
    return withPlainTwin(files);
  },
});
try {
  signal.throwIfAborted();
  const result = values.sync ? await measureSync() : values.clients ? await measureClients() : await measureAll();
  await writeJson(values.json, result);
} finally {
  await pod.remove();
}

async function measureAll() {
  await pause(3000, signal);
  const fresh = mib(await pod.memory());
  const loadAlone = await ceiling(2 * size.mails, signal);
  const senders = await newAccounts(pod, connections);
  const bench = new Bench(pod, senders, signal);

  const paths = { imap: empty(), discard: empty() };
  let loaded: Record<string, number> = {};
  for (const destination of destinations) {
    say(`rounds to ${destination}`);
    for (const filter of filters) await bench.round(submissionPort[filter], destination, size.mails / 3);
    for (let round = 0; round < size.rounds; round++) {
      for (const filter of filters)
        paths[destination][filter].push(await bench.round(submissionPort[filter], destination, size.mails));
    }
    if (destination === "imap") {
      await bench.round(submissionPort.filtered, "imap", size.mails, async () => {
        loaded = mib(await pod.memory());
      });
    }
  }

  say("single mails to clients that wait");
  const awake = await singles(size.singles);

  say("clients that wait");
  const clients = await idleClients(senders[0]);

  say("logins");
  const known = await newAccounts(pod, connections);
  let turn = 0;
  const existing = await loginRate(pod, size.loginSeconds, signal, () => known[turn++ % known.length] ?? newLogin());
  const created = await loginRate(pod, size.loginSeconds, signal, newLogin);
  const logins = { existingPerSecond: existing, createdPerSecond: created };

  await allAsleep(pod, signal);
  const after = mib(await pod.memory());

  const pathFigures = (path: ReturnType<typeof empty>) => ({
    plain: summaryOf(path.plain).mailsPerSecond,
    filtered: summaryOf(path.filtered).mailsPerSecond,
    ratio: ratioOf(path.filtered, path.plain),
    detail: { plain: summaryOf(path.plain), filtered: summaryOf(path.filtered) },
  });
  const result = {
    imap: pathFigures(paths.imap),
    discard: pathFigures(paths.discard),
    loadAlonePerSecond: loadAlone,
    idle: { ...spreadOf(awake.filtered), plain: spreadOf(awake.plain), asleep: spreadOf(clients.waits) },
    containers: fresh,
    containersAtWork: loaded,
    containersAfterUse: after,
    clients: clients.figures,
    logins,
  };
  print(result);
  return result;
}

async function measureClients() {
  const [sender] = await newAccounts(pod, 1);
  const { waits, figures } = await idleClients(sender);
  const result = { clients: figures, idle: { asleep: spreadOf(waits) } };
  printTable([...clientRows(figures), ["MAIL to EXISTS, session asleep", spreadText(result.idle.asleep)]]);
  return result;
}

function spreadOf(waits: readonly Wait[]) {
  const of = (key: keyof Wait, share: number) =>
    quantile(
      waits.map((wait) => wait[key]),
      share,
    );
  return { p50Ms: of("seenMs", 0.5), p99Ms: of("seenMs", 0.99), takenP50Ms: of("takenMs", 0.5) };
}

/** One mail at a time, now with the filter and now without. */
async function singles(count: number) {
  const [from = newLogin(), to = newLogin()] = await newAccounts(pod, 2);
  const receiver = await Waiting.open(pod, to);
  const through = {
    plain: await Sender.smtp(pod.at(submissionPort.plain), from),
    filtered: await Sender.smtp(pod.at(submissionPort.filtered), from),
  };
  const waits = { plain: [] as Wait[], filtered: [] as Wait[] };
  for (let at = -5; at < count; at++) {
    for (const filter of filters) {
      const wait = await receiver.receive(through[filter], from.user);
      if (at >= 0) waits[filter].push(wait);
      await pause(20, signal);
    }
  }
  for (const each of [receiver, ...Object.values(through)]) each.close();
  return waits;
}

/** Some that have just come, then all of them asleep (hibernated), and mail for some of those. */
async function idleClients(from = newLogin()) {
  const logins = await newAccounts(pod, size.clients);
  const open: Waiting[] = [];
  const come = (some: typeof logins) =>
    inTurns(some, connections, async (login) => {
      signal.throwIfAborted();
      open.push(await Waiting.open(pod, login));
    });
  const kibPerClient = async (before: Readonly<Record<string, number>>, count: number) =>
    sum(difference(await pod.memory(), before)) / count;
  try {
    // of the logins before this
    await allAsleep(pod, signal);
    const before = await pod.memory();
    await come(logins.slice(0, size.awake));
    const awakeKib = await kibPerClient(before, size.awake);
    await come(logins.slice(size.awake));
    await allAsleep(pod, signal);
    const asleepKib = await kibPerClient(before, size.clients);
    const cpu = await pod.cpu();
    await pause(size.restSeconds * 1000, signal);
    const cpuShare = sum(difference(await pod.cpu(), cpu)) / size.restSeconds;
    const sender = await Sender.smtp(pod.at(submissionPort.filtered), from);
    const waits: Wait[] = [];
    for (const each of open.slice(0, size.singles / 2)) waits.push(await each.receive(sender, from.user));
    sender.close();
    return { waits, figures: { count: size.clients, awakeKib, asleepKib, cpuShareOfOneCore: cpuShare } };
  } finally {
    for (const each of open) each.close();
  }
}

/**
 * Dovecot's LMTP with and without waiting for the disk: straight into Dovecot, and the whole way.
 */
async function measureSync() {
  const bench = new Bench(pod, await newAccounts(pod, connections), signal);
  const lmtp = pod.socket("lmtp");
  const kinds = {
    "LMTP, 1 at once": () => bench.deliveries(lmtp, 1, size.mails / 3),
    [`LMTP, ${connections} at once`]: () => bench.deliveries(lmtp, connections, size.mails),
    "the whole way, filtered": () => bench.round(submissionPort.filtered, "imap", size.mails),
  };
  const rounds: Record<string, Round[]> = {};
  for (let round = 0; round < size.rounds; round++) {
    say(`round ${round + 1} of ${size.rounds}`);
    for (const sync of syncs) {
      await pod.configure("dovecot", "dovecot.conf", withSync(dovecotConf, sync));
      await pod.signal("dovecot", "HUP");
      await pause(1500, signal);
      await bench.deliveries(lmtp, 1, 20);
      for (const [kind, work] of Object.entries(kinds)) {
        const key = `${kind}, mail_fsync=${sync}`;
        rounds[key] = [...(rounds[key] ?? []), await work()];
      }
    }
  }
  const result = Object.fromEntries(Object.entries(rounds).map(([key, all]) => [key, summaryOf(all)]));
  printTable(Object.entries(result).map(([what, { mailsPerSecond, spread }]) => [what, rates(mailsPerSecond, spread)]));
  return result;
}

function rate(perSecond: number): string {
  return `${Math.round(perSecond)}/s`;
}

function rates(median: number, [least, most]: readonly [number, number]): string {
  return `${rate(median)} (${rate(least)} to ${rate(most)})`;
}

function ms(value: number): string {
  return `${value.toFixed(1)} ms`;
}

function spreadText({ p50Ms, p99Ms, takenP50Ms }: ReturnType<typeof spreadOf>): string {
  return `median ${ms(p50Ms)}, 99th percentile ${ms(p99Ms)}; taken after ${ms(takenP50Ms)}`;
}

function clientRows(clients: Awaited<ReturnType<typeof idleClients>>["figures"]): [string, string][] {
  return [
    ["each IMAP client that has just come", `${clients.awakeKib.toFixed(0)} KiB`],
    [`each of ${clients.count}, asleep`, `${clients.asleepKib.toFixed(0)} KiB`],
    ["all of them asleep: CPU", `${(clients.cpuShareOfOneCore * 100).toFixed(1)} % of a core`],
  ];
}

function print(result: Awaited<ReturnType<typeof measureAll>>) {
  const size = (value: number) => `${value.toFixed(1)} MiB`;
  const each = (values: Readonly<Record<string, number>>, unit: (value: number) => string) =>
    Object.entries(values)
      .map(([name, value]) => `${name} ${unit(value)}`)
      .join(", ");
  const pathRows = destinations.flatMap((destination): [string, string][] => {
    const path = result[destination];
    return [
      ...filters.flatMap((filter): [string, string][] => {
        const { mailsPerSecond, spread, cpuMs, loadCpuMs } = path.detail[filter];
        return [
          [`${destination}, ${filter}`, rates(mailsPerSecond, spread)],
          ["  CPU for each mail", `${ms(sum(cpuMs))}: ${each(cpuMs, ms)}; load ${ms(loadCpuMs)}`],
        ];
      }),
      [`${destination}, filtered of plain`, `${(path.ratio * 100).toFixed(0)} %`],
    ];
  });
  const memory = (values: Readonly<Record<string, number>>) => `${size(sum(values))}: ${each(values, size)}`;
  const { clients, logins } = result;
  printTable([
    ["the load alone, to a server that does nothing", rate(result.loadAlonePerSecond)],
    ...pathRows,
    ["MAIL to EXISTS in IDLE, filtered", spreadText(result.idle)],
    ["MAIL to EXISTS in IDLE, plain", spreadText(result.idle.plain)],
    ["MAIL to EXISTS, session asleep", spreadText(result.idle.asleep)],
    ["PSS fresh", memory(result.containers)],
    ["PSS at work", memory(result.containersAtWork)],
    ["PSS at rest after use", memory(result.containersAfterUse)],
    ...clientRows(clients),
    ["IMAP logins, account exists", rate(logins.existingPerSecond)],
    ["IMAP logins, account is made", rate(logins.createdPerSecond)],
  ]);
}
