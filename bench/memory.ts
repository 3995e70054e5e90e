/**
 * Where a relay's memory goes, program by program (PSS: what a program has for itself, and its part
 * of what it shares): fresh, after mail and logins, with clients that have just come, once these
 * are asleep (hibernated), while many come back at once, and after that. Clients do what Delta Chat
 * core does. The load has processes of its own, which are not in the figures.
 */
import { numberOf, readOptions } from "../scripts/options.ts";
import { ports } from "../src/mail/ports.ts";
import { type OwnAddress, ownAddress } from "../test/helpers/own-address.ts";
import { startRelayPod } from "../test/helpers/relay-pod.ts";
import { raiseInotify } from "../test/lab/inotify.ts";
import { endSignal, printTable, quantile, say, writeJson } from "./machine.ts";
import { allAsleep, Bench, connections, loginRate, newAccounts, newLogin, pause } from "./mail/load.ts";
import { domain } from "./mail/variants.ts";
import { type Memory, memoryOf, memoryRows, total } from "./memory/by-process.ts";
import { Holders } from "./memory/holders.ts";

const usage =
  "npm run bench -- memory [--mails 3000] [--new-addresses-seconds 10] [--clients 1000] [--storm 500] [--rest 400] [--json FILE]";
const { mails, seconds, clients, storm, restSeconds, json } = readOptions(
  usage,
  {
    options: {
      mails: { type: "string", default: "3000" },
      "new-addresses-seconds": { type: "string", default: "10" },
      clients: { type: "string", default: "1000" },
      storm: { type: "string", default: "500" },
      // Dovecot's auth workers end five minutes after their last login
      rest: { type: "string", default: "400" },
      json: { type: "string" },
    },
  },
  ({ values }) => {
    const number = (name: "mails" | "new-addresses-seconds" | "clients" | "storm" | "rest") =>
      numberOf(`--${name}`, values[name], { whole: true, above: -1 }, usage);
    const clients = number("clients");
    return {
      mails: number("mails"),
      seconds: number("new-addresses-seconds"),
      clients,
      storm: Math.min(number("storm"), clients),
      restSeconds: number("rest"),
      json: values.json,
    };
  },
);
/** Of those that have just come, before they hibernate. */
const awakeClients = Math.min(200, clients);
/** After the last client of the storm is served. */
const calmSeconds = 40;
const signal = endSignal();

/** The load and not a limit is measured. */
const accounts = { sendSizePerMinute: "1Ti", sendSizeBurst: "1Ti", sendBurst: 10_000, sendRatePerMinute: 10_000 };
/** Of one address, below `network.connections.perClient`. */
const clientsPerAddress = 1000;
raiseInotify();
const pod = await startRelayPod({ domain, spec: { accounts } });
const addresses: OwnAddress[] = [];
while (addresses.length * clientsPerAddress < clients) addresses.push(await ownAddress());
const holders = new Holders(pod.host, { addresses: addresses.map(({ address }) => address), signal });
try {
  // the daemon has given back what only its start needed
  await pause(60_000, signal);
  const fresh = await memoryOf(pod);
  show("fresh", fresh);

  const senders = await newAccounts(pod, connections);
  const bench = new Bench(pod, senders, signal);
  if (mails > 0) {
    say(`${mails} mails`);
    await bench.round(ports.submissions, "imap", mails);
    say(`new addresses, for ${seconds} s`);
    await loginRate(pod, seconds, signal, newLogin);
  }
  const rested = await atRest();
  show("at rest after mail and logins", rested);

  const result = clients > 0 ? await withClients(rested) : undefined;
  await writeJson(json, { mails, fresh, rested, ...result });
} finally {
  holders.end();
  for (const each of addresses) await each.remove();
  await pod.remove();
}

async function withClients(before: Memory) {
  const all = Array.from({ length: clients }, newLogin);
  say(`${clients} clients come`);
  const first = await holders.come(all.slice(0, awakeClients), connections);
  const awake = await memoryOf(pod);
  show("clients that have just come", awake, { before, count: awakeClients });
  const began = performance.now();
  const rest = await holders.come(all.slice(awakeClients), 2 * connections);
  const cameInSeconds = (performance.now() - began) / 1000;
  say(`they came in ${cameInSeconds.toFixed(0)} s; failed attempts: ${reasons([...first.failed, ...rest.failed])}`);
  await allAsleep(pod, signal);
  const asleep = await memoryOf(pod);
  show("clients asleep", asleep, { before, count: clients });
  await holders.leave();
  const left = await atRest();
  show("at rest, all have left", left);
  return { clients, awakeClients, awake, asleep, left, ...(storm > 0 && (await stormOf(all.slice(0, storm)))) };
}

/** Who has an account already, and all at once. */
async function stormOf(logins: Parameters<Holders["come"]>[0]) {
  say(`${storm} come back at once`);
  const watch = new AbortController();
  const peak = highest(AbortSignal.any([signal, watch.signal]));
  const cpu = await pod.cpu();
  const { served, failed } = await holders.come(logins, storm);
  const cpuAfter = await pod.cpu();
  const lastServed = Math.max(...served) / 1000;
  await pause(calmSeconds * 1000, signal);
  watch.abort();
  const calm = await memoryOf(pod);
  show(`${calmSeconds} s after the last one was served`, calm);
  const peakMib = await peak;
  const cpuSeconds = Object.entries(cpuAfter).map(([name, used]) => [name, used - cpu[name as keyof typeof cpu]]);
  printTable([
    [`${storm} at once: half are served after`, `${(quantile(served, 0.5) / 1000).toFixed(1)} s`],
    ["all are served after", `${lastServed.toFixed(1)} s`],
    ["attempts that failed", reasons(failed)],
    ["highest memory (PSS)", `${peakMib.toFixed(0)} MiB`],
    [`${calmSeconds} s later`, `${total(calm).toFixed(0)} MiB`],
    ["CPU", cpuSeconds.map(([name, used]) => `${name} ${Number(used).toFixed(1)} s`).join(", ")],
  ]);
  const halfServed = quantile(served, 0.5) / 1000;
  return {
    storm: {
      clients: storm,
      halfServed,
      lastServed,
      failed: failed.length,
      peakMib,
      calm,
      cpu: Object.fromEntries(cpuSeconds),
    },
  };
}

/** Of what the pod has at the same time, until the signal. */
async function highest(until: AbortSignal): Promise<number> {
  let most = 0;
  while (!until.aborted) {
    most = Math.max(most, total(await memoryOf(pod)));
    await pause(1000, until).catch(() => undefined);
  }
  return most;
}

/** "20 (15 reset, 5 timeout)". */
function reasons(failed: readonly string[]): string {
  const all = [...Map.groupBy(failed, (why) => why)].toSorted(([, one], [, other]) => other.length - one.length);
  return failed.length === 0
    ? "none"
    : `${failed.length} (${all.map(([why, { length }]) => `${length} ${why}`).join(", ")})`;
}

/** All that lingers has ended. */
async function atRest(): Promise<Memory> {
  await allAsleep(pod, signal);
  await pause(restSeconds * 1000, signal);
  return memoryOf(pod);
}

function show(what: string, memory: Memory, clients?: Parameters<typeof memoryRows>[1]) {
  const each = clients ? ((total(memory) - total(clients.before)) * 1024) / clients.count : Number.NaN;
  const more = clients ? `; ${each.toFixed(1)} KiB for each of ${clients.count} clients` : "";
  printTable([[`${what}`, `${total(memory).toFixed(1)} MiB${more}`], ...memoryRows(memory, clients)]);
}
