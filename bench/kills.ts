/**
 * Acknowledged mail under kills and partitions: eight users of two relays write to each other all
 * the time while containers and single processes are killed, frozen and cut off at random.
 * Afterwards every mail that a relay has taken must be in the mailbox of each recipient; one that
 * is not is exit 1. Mails that arrive twice are counted: SMTP allows it where a reply was lost (RFC
 * 5321 §6.1).
 */
import { numberOf, readOptions } from "../scripts/options.ts";
import { wait } from "../src/lib/wait.ts";
import { newAccount } from "../test/helpers/accounts.ts";
import { type RelayPod, startRelayPod, tryWaitingMail, waitingMails } from "../test/helpers/relay-pod.ts";
import { seededRandom } from "../test/helpers/seeded-random.ts";
import { until } from "../test/helpers/until.ts";
import { namesUp } from "../test/lab/lab.ts";
import { publishZone, removeZone } from "../test/lab/names.ts";
import { addresses } from "../test/lab/place.ts";
import { nextDisturbance, type Subject } from "./kills/disturbances.ts";
import { type Answer, type Mailbox, mailboxOf, Traffic, type User } from "./kills/traffic.ts";
import { endSignal, printTable, say, writeJson } from "./machine.ts";

const usage = "npm run bench -- kills [--count 1000] [--seed N] [--json FILE]";
const { count, seed, json } = readOptions(
  usage,
  {
    options: {
      count: { type: "string", default: "1000" },
      seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
      json: { type: "string" },
    },
  },
  ({ values }) => ({
    count: numberOf("--count", values.count, { whole: true }, usage),
    seed: numberOf("--seed", values.seed, { above: -1, whole: true }, usage),
    json: values.json,
  }),
);
const usersOfEach = 4;
/** How long one lasts, and the pause after it, at most. */
const lastsMs = 2_500;
const pauseMs = 1_000;
const drainMs = 300_000;

const signal = endSignal();

say(`--seed ${seed}: starting two relays`);
/**
 * The most that one sender and one client may have: nothing but the disturbances is to be in the
 * way.
 */
const accounts = {
  sendSizePerMinute: "1Ti",
  sendSizeBurst: "1Ti",
  sendBurst: 10_000,
  sendRatePerMinute: 10_000,
};
const pods: RelayPod[] = [];
try {
  await namesUp();
  for (const domain of ["_kills-one.test", "_kills-two.test"]) {
    const pod = await startRelayPod({ domain, spec: { accounts }, restarts: true });
    pods.push(pod);
    await publishZone(domain, pod.zone);
  }
  process.exitCode = await measure(pods);
} finally {
  for (const pod of pods) {
    await pod.remove();
    await removeZone(pod.domain);
  }
}

async function measure([one, two]: readonly RelayPod[]): Promise<number> {
  if (!one || !two) throw new Error("two relays are needed");
  const users: User[] = [];
  for (const pod of [one, two]) {
    for (let left = usersOfEach; left > 0; left--) users.push({ address: await newAccount(pod), pod });
  }
  const traffic = new Traffic();
  const writing = new AbortController();
  const stopped = AbortSignal.any([signal, writing.signal]);
  const writers = users.map((user, at) => traffic.write(user, users, seededRandom(seed + 10 + at), stopped));
  // so that an error is shown where it is waited for
  for (const writer of writers) writer.catch(() => undefined);
  const started = performance.now();
  const done = new Map<string, number>();
  const subjects: Subject[] = [
    { pod: one, other: two.host, clients: addresses.gateway },
    { pod: two, other: one.host, clients: addresses.gateway },
  ];
  await Promise.all(subjects.map((subject, at) => disturb(subject, seededRandom(seed + at), done)));
  const seconds = (performance.now() - started) / 1000;
  writing.abort();
  await Promise.all(writers);
  signal.throwIfAborted();

  say("waiting for the queues to drain");
  await until("empty queues", () => drained([one, two]), { patienceMs: drainMs, everyMs: 2_000 });
  const mailboxes = new Map(await Promise.all(users.map(async (user) => [user, await mailboxOf(user)] as const)));
  const result = { count, seed, seconds, disturbances: Object.fromEntries(done), ...countsOf(traffic, mailboxes) };
  print(result);
  await writeJson(json, result);
  return result.lost === 0 ? 0 : 1;
}

async function disturb(subject: Subject, random: () => number, done: Map<string, number>): Promise<void> {
  const begun = () => [...done.values()].reduce((sum, each) => sum + each, 0);
  while (begun() < count && !signal.aborted) {
    const { what, run } = nextDisturbance(random);
    done.set(what, (done.get(what) ?? 0) + 1);
    if (begun() % 50 === 0) say(`${begun()} disturbances`);
    await run(subject, random, () => wait(random() * lastsMs, signal));
    await wait(random() * pauseMs, signal);
  }
}

/** What waits is tried at once, for what kept it waiting is over. */
async function drained(pods: readonly RelayPod[]): Promise<boolean> {
  const queued = await Promise.all(
    pods.map(async (pod) => {
      await tryWaitingMail(pod);
      return waitingMails(pod);
    }),
  );
  return queued.every((each) => each === 0);
}

function countsOf(traffic: Traffic, mailboxes: ReadonlyMap<User, Mailbox>) {
  const answers: Record<Answer, number> = { taken: 0, "put off": 0, refused: 0, "broken off": 0 };
  const noRoutes = { "on its relay": 0, "to the other relay": 0 };
  const counts = { deliveries: { ...noRoutes }, lost: 0, bounced: 0, twice: { ...noRoutes }, arrivedUnacknowledged: 0 };
  for (const [mark, { from, to, answer, said }] of traffic.sent) {
    answers[answer]++;
    if (answer === "refused") say(`refused: ${said}`);
    for (const recipient of to) {
      const route = from.pod === recipient.pod ? "on its relay" : "to the other relay";
      const times = mailboxes.get(recipient)?.marks.get(mark) ?? 0;
      if (times > 1) counts.twice[route]++;
      if (answer !== "taken") {
        if (times > 0) counts.arrivedUnacknowledged++;
        continue;
      }
      counts.deliveries[route]++;
      if (times > 0) continue;
      const bounced = mailboxes.get(from)?.bounced.has(mark) ?? false;
      if (bounced) counts.bounced++;
      else counts.lost++;
      say(`${bounced ? "bounced" : "LOST"}: ${mark} ${route}, ${said}`);
    }
  }
  return { mails: traffic.sent.size, answers, ...counts, longestGapSeconds: traffic.longestGapMs / 1000 };
}

function rowsOf(counts: Readonly<Record<string, number>>) {
  return Object.entries(counts).map(([what, times]) => [`  ${what}`, String(times)] as const);
}

function print(result: ReturnType<typeof countsOf> & { seconds: number; disturbances: Record<string, number> }) {
  const { answers } = result;
  printTable([
    ["disturbances", `${count} in ${Math.round(result.seconds)} s, --seed ${seed}`],
    ...rowsOf(result.disturbances),
    ["mails handed in", String(result.mails)],
    ...rowsOf(answers),
    ["recipients of mail that was taken", ""],
    ...rowsOf(result.deliveries),
    ["lost", String(result.lost)],
    ["bounced", String(result.bounced)],
    ["arrived twice", ""],
    ...rowsOf(result.twice),
    ["arrived though not acknowledged", String(result.arrivedUnacknowledged)],
    ["longest time that a relay took nothing", `${result.longestGapSeconds.toFixed(1)} s`],
  ]);
}
