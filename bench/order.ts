/**
 * The order of mail: senders who each write a burst to the same recipient on one connection, on one
 * relay and across two. Counted are the neighbours of a sender that are seen the other way round;
 * the relay keeps the order where there are none (decision 0024). At the end a burst that Dovecot
 * is not there for: after a deferral, order is not promised. `--rounds`: how often.
 */
import { numberOf, readOptions } from "../scripts/options.ts";
import { ports } from "../src/mail/ports.ts";
import { newAccount, password } from "../test/helpers/accounts.ts";
import { ImapClient } from "../test/helpers/imap-client.ts";
import { encryptedMessage } from "../test/helpers/messages.ts";
import { type RelayPod, startRelayPod, tryWaitingMail } from "../test/helpers/relay-pod.ts";
import { goneByHttps, hasHttpsRoute } from "../test/helpers/socketmap.ts";
import { until } from "../test/helpers/until.ts";
import { namesUp } from "../test/lab/lab.ts";
import { publishZone, removeZone } from "../test/lab/names.ts";
import { endSignal, printTable, quantile, say, writeJson } from "./machine.ts";
import { Sender } from "./mail/sender.ts";

const usage = "npm run bench -- order [--rounds 3] [--json FILE]";
const { rounds, json } = readOptions(
  usage,
  {
    options: { rounds: { type: "string", default: "3" }, json: { type: "string" } },
  },
  ({ values }) => ({ rounds: numberOf("--rounds", values.rounds, { whole: true }, usage), json: values.json }),
);
const senders = 20;
const mailsOfEach = 10;
const mark = "Chat-Mark";
const patienceMs = 120_000;

const signal = endSignal();
/** Nothing but the order is to be in the way. */
const accounts = {
  sendSizePerMinute: "1Ti",
  sendSizeBurst: "1Ti",
  sendBurst: 10_000,
  sendRatePerMinute: 10_000,
};

interface Round {
  wrong: number;
  neighbours: number;
  /** From the first mail submitted to the last one seen. */
  seconds: number;
  /** From a mail's MAIL to the reply that accepts it, the median. */
  acceptedMs: number;
  /** Mails for which a relay has lost patience with the one before. */
  late: number;
}

const pods: RelayPod[] = [];
try {
  await namesUp();
  for (const domain of ["_order-one.test", "_order-two.test"]) {
    const pod = await startRelayPod({ domain, spec: { accounts } });
    pods.push(pod);
    await publishZone(domain, pod.zone);
  }
  const [one, two] = pods as [RelayPod, RelayPod];
  const result = { "on one relay": [] as Round[], "across two": [] as Round[] };
  await meet(one, two);
  for (let round = 0; round < rounds; round++) {
    say(`round ${round + 1} of ${rounds}`);
    result["on one relay"].push(await burst(one, one));
    result["across two"].push(await burst(one, two));
  }
  say("a burst while Dovecot is stopped");
  const afterDeferral = await burst(one, one, true);
  printTable(
    Object.entries({ ...result, "after a deferral": [afterDeferral] }).flatMap(([where, all]) =>
      all.map((each) => [where, textOf(each)] as const),
    ),
  );
  await writeJson(json, { senders, mailsOfEach, ...result, "after a deferral": afterDeferral });
  process.exitCode = Object.values(result)
    .flat()
    .some(({ wrong }) => wrong > 0)
    ? 1
    : 0;
} finally {
  for (const pod of pods) {
    await pod.remove();
    await removeZone(pod.domain);
  }
}

/** Until mail goes by HTTPS: the first one to a domain never does. */
async function meet(from: RelayPod, to: RelayPod): Promise<void> {
  const [user, stranger] = [await newAccount(from), await newAccount(to)];
  const sender = await Sender.smtp(from.at(ports.submissions), { user, password });
  const byHttps = async () => {
    // Postfix remembers the route of one address for half a minute, so another one is between
    for (const recipient of [stranger, user]) {
      await sender.send({ from: user, to: recipient, data: encryptedMessage({ from: user, to: [recipient] }) });
    }
    return (await hasHttpsRoute(from, to.domain)) && (await goneByHttps(from)) > 0;
  };
  await until("a mail by HTTPS", byHttps, { patienceMs, everyMs: 500 });
  sender.close();
}

async function burst(from: RelayPod, to: RelayPod, deferred = false): Promise<Round> {
  const recipient = await newAccount(to);
  const users = await Promise.all(Array.from({ length: senders }, () => newAccount(from)));
  const open = await Promise.all(users.map((user) => Sender.smtp(from.at(ports.submissions), { user, password })));
  const waits: number[] = [];
  const lateBefore = await lateOf(from, to);
  if (deferred) await to.stop("dovecot");
  const started = performance.now();
  await Promise.all(
    open.map(async (sender, at) => {
      const user = users[at] ?? "";
      for (let count = 0; count < mailsOfEach; count++) {
        signal.throwIfAborted();
        const headers = { [mark]: `${at}-${count}` };
        const data = encryptedMessage({ from: user, to: [recipient], headers });
        const began = performance.now();
        await sender.send({ from: user, to: recipient, data });
        waits.push(performance.now() - began);
      }
    }),
  );
  for (const sender of open) sender.close();
  if (deferred) {
    await to.start("dovecot");
    await tryWaitingMail(to);
  }
  const client = await ImapClient.ready(to.at(ports.imaps), recipient, password);
  await until("all mails", () => arrived(client), { patienceMs, everyMs: 50 });
  const seconds = (performance.now() - started) / 1000;
  const marks = await marksOf(client);
  await client.logout();
  const late = (await lateOf(from, to)) - lateBefore;
  return { ...wrongNeighbours(marks), seconds, acceptedMs: quantile(waits, 0.5), late };
}

async function lateOf(...relays: readonly RelayPod[]): Promise<number> {
  const counts = [...new Set(relays)].map(async ({ host }) => {
    const text = await (await fetch(`http://${host}:${ports.health}/metrics`)).text();
    return Number(/^deliveries_late_total (\d+)/m.exec(text)?.[1] ?? 0);
  });
  return (await Promise.all(counts)).reduce((sum, each) => sum + each, 0);
}

async function arrived(client: ImapClient): Promise<boolean> {
  signal.throwIfAborted();
  const { untagged } = await client.say("STATUS INBOX (MESSAGES)");
  return new RegExp(`MESSAGES ${senders * mailsOfEach}\\b`).test(untagged.join());
}

/** In the order of the mailbox. */
async function marksOf(client: ImapClient): Promise<string[]> {
  await client.say("SELECT INBOX");
  const { untagged } = await client.say(`FETCH 1:* (BODY.PEEK[HEADER.FIELDS (${mark})])`);
  return untagged.flatMap((line) => new RegExp(`${mark}: ([0-9-]+)`, "i").exec(line)?.[1] ?? []);
}

function wrongNeighbours(marks: readonly string[]): { wrong: number; neighbours: number } {
  const placeOf = new Map(marks.map((each, at) => [each, at]));
  let [wrong, neighbours] = [0, 0];
  for (let sender = 0; sender < senders; sender++) {
    for (let count = 1; count < mailsOfEach; count++) {
      neighbours++;
      const [before, after] = [placeOf.get(`${sender}-${count - 1}`), placeOf.get(`${sender}-${count}`)];
      if (before === undefined || after === undefined) throw new Error(`mail ${sender}-${count} is missing`);
      if (before > after) wrong++;
    }
  }
  return { wrong, neighbours };
}

function textOf({ wrong, neighbours, seconds, acceptedMs, late }: Round): string {
  return `${wrong} of ${neighbours} neighbours wrong; ${seconds.toFixed(1)} s, accepted after ${acceptedMs.toFixed(0)} ms, ${late} late`;
}
