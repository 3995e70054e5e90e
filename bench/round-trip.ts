/**
 * Where the time of a message between two real Delta Chat cores goes: a tap between them and one
 * relay sees each command with its time. What the relay needs is apart from what the cores wait for
 * and compute. `--transcript`: what was said for the last message.
 */
import { numberOf, readOptions } from "../scripts/options.ts";
import { ports } from "../src/mail/ports.ts";
import { DeltaChatClient } from "../test/helpers/delta-chat.ts";
import { startRelayPod } from "../test/helpers/relay-pod.ts";
import { namesUp } from "../test/lab/lab.ts";
import { publishZone, removeZone } from "../test/lab/names.ts";
import { endSignal, printTable, quantile, writeJson } from "./machine.ts";
import { type Said, Tap } from "./round-trip/tap.ts";

const usage = "npm run bench -- round-trip [--messages 40] [--transcript] [--json FILE]";
const { count, json, transcript } = readOptions(
  usage,
  {
    options: {
      messages: { type: "string", default: "40" },
      transcript: { type: "boolean" },
      json: { type: "string" },
    },
  },
  ({ values }) => ({
    count: numberOf("--messages", values.messages, { whole: true }, usage),
    json: values.json,
    transcript: values.transcript,
  }),
);
const domain = "_trip.test";
/** Of the tap, where the clients look for the relay. */
const address = "127.0.0.77";
/** The first messages of a chat carry keys and make connections. */
const warmUp = 5;

interface Trip {
  sentMs: number;
  seenMs: number;
  said: Said[];
}

const signal = endSignal();
/** Nothing but the way is measured. */
const accounts = { sendSizePerMinute: "1Ti", sendSizeBurst: "1Ti", sendBurst: 10_000, sendRatePerMinute: 10_000 };
const cores: DeltaChatClient[] = [];
await namesUp();
const pod = await startRelayPod({ domain, spec: { accounts } });
const tap = await Tap.open({ address, host: pod.host, name: domain, ports: [ports.imaps, ports.submissions] });
try {
  await publishZone(domain, pod.zone.replaceAll(pod.host, address));
  for (const name of ["Ada", "Ben"]) {
    const core = await DeltaChatClient.start(name);
    cores.push(core);
    await core.join(`dcaccount:${domain}`);
  }
  const [ada, ben] = cores as [DeltaChatClient, DeltaChatClient];
  const { mine } = await ada.meet(ben);
  const trips: Trip[] = [];
  for (let nth = -warmUp; nth < count; nth++) {
    signal.throwIfAborted();
    const [from, text] = [tap.said.length, `message ${nth}`];
    const sentMs = performance.now();
    await ada.say(mine, text);
    await ben.received(text);
    const seenMs = performance.now();
    if (nth >= 0) trips.push({ sentMs, seenMs, said: tap.said.slice(from) });
  }
  const parts = trips.map(partsOf);
  const median = (name: keyof Parts) =>
    quantile(
      parts.map((each) => each[name]),
      0.5,
    );
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  printTable([
    ["from the call until the other side shows it", ms(median("all"))],
    ["  sender: encrypts, until MAIL", ms(median("encrypt"))],
    ["  relay and sender: MAIL until the end of DATA", ms(median("submit"))],
    ["  relay: end of DATA until EXISTS", ms(median("deliver"))],
    ["  receiver: EXISTS until its first FETCH", ms(median("notice"))],
    ["  relay and receiver: first FETCH until the answer to the last", ms(median("fetch"))],
    ["  of it the relay's answers", ms(median("answers"))],
    ["  receiver: decrypts, stores, shows", ms(median("decrypt"))],
    ["of the way until the last FETCH, time in which the relay was waited for", ms(median("relay"))],
    ["commands of the receiver for a message", String(median("commands"))],
  ]);
  if (transcript) for (const line of transcriptOf(trips.at(-1))) console.log(line);
  const figures = Object.fromEntries(
    (Object.keys(parts[0] ?? {}) as (keyof Parts)[]).map((name) => [`${name}Median`, median(name)]),
  );
  await writeJson(json, { messages: count, ...figures });
} finally {
  await Promise.all(cores.map((core) => core.stop()));
  tap.close();
  await pod.remove();
  await removeZone(domain);
}

interface Parts {
  all: number;
  encrypt: number;
  submit: number;
  deliver: number;
  notice: number;
  fetch: number;
  answers: number;
  decrypt: number;
  relay: number;
  commands: number;
}

/** Milliseconds of each step. Throws where one is missing. */
function partsOf({ sentMs, seenMs, said }: Trip): Parts {
  const find = (what: string, is: (each: Said) => boolean, from = 0) => {
    const found = said.find((each) => each.atMs >= from && is(each));
    if (!found) throw new Error(`no ${what} was seen`);
    return found;
  };
  const mail = find("MAIL", ({ line, by }) => by === "client" && /^MAIL FROM/i.test(line));
  const ends = find(
    "end of DATA",
    ({ line, by, connection }) => by === "client" && connection === mail.connection && line === ".",
  );
  const fetch = find("FETCH", ({ line, by }) => by === "client" && / FETCH /.test(line), mail.atMs);
  const isReceiver = ({ connection }: Said) => connection === fetch.connection;
  // those of an earlier SELECT say how many there were before
  const exists = said.findLast((each) => isReceiver(each) && each.atMs < fetch.atMs && / EXISTS$/.test(each.line));
  if (!exists) throw new Error("no EXISTS was seen");
  const answers = pairs(said.filter(isReceiver)).filter(
    ({ asked, answered }) => asked.atMs >= exists.atMs && answered.atMs <= seenMs,
  );
  const fetches = answers.filter(({ asked }) => / FETCH /.test(asked.line));
  const last = fetches.at(-1)?.answered ?? fetch;
  const submitAnswers = pairs(
    said.filter(({ connection, atMs }) => connection === mail.connection && atMs <= ends.atMs),
  );
  const took = (each: { asked: Said; answered: Said }) => each.answered.atMs - each.asked.atMs;
  const sum = (of: readonly { asked: Said; answered: Said }[]) => of.reduce((total, each) => total + took(each), 0);
  const parts = {
    all: seenMs - sentMs,
    encrypt: mail.atMs - sentMs,
    submit: ends.atMs - mail.atMs,
    deliver: exists.atMs - ends.atMs,
    notice: fetch.atMs - exists.atMs,
    fetch: last.atMs - fetch.atMs,
    answers: sum(answers),
    decrypt: seenMs - last.atMs,
    commands: answers.length,
  };
  const turns = [...submitAnswers, { asked: ends, answered: exists }, ...answers];
  return { ...parts, relay: waited(turns.filter(({ answered }) => answered.atMs <= last.atMs)) };
}

/** For how long at least one of them was waited for, in milliseconds. */
function waited(turns: readonly { asked: Said; answered: Said }[]): number {
  let total = 0;
  let until = Number.NEGATIVE_INFINITY;
  for (const { asked, answered } of turns.toSorted((a, b) => a.asked.atMs - b.asked.atMs)) {
    total += Math.max(0, answered.atMs - Math.max(asked.atMs, until));
    until = Math.max(until, answered.atMs);
  }
  return total;
}

/** Each command of a connection with the line that ends its answer. */
function pairs(said: readonly Said[]): { asked: Said; answered: Said }[] {
  const found: { asked: Said; answered: Said }[] = [];
  const waiting: Said[] = [];
  for (const each of said) {
    if (each.by === "client") {
      if (isCommand(each)) waiting.push(each);
      continue;
    }
    const tag = /^(\S+) (?:OK|NO|BAD)\b/.exec(each.line)?.[1];
    const at =
      each.port === ports.imaps ? waiting.findIndex(({ line }) => isAnswered(line, tag)) : isReply(each.line) ? 0 : -1;
    const [asked] = at < 0 ? [] : waiting.splice(at, 1);
    if (asked) found.push({ asked, answered: each });
  }
  return found;
}

function isCommand({ port, line }: Said): boolean {
  if (port === ports.imaps) return line === "DONE" || /^[A-Za-z]+\d+ (?!IDLE)/.test(line);
  return /^(MAIL|RCPT|DATA)\b/i.test(line);
}

/** DONE ends the command IDLE, whose tag is another one's. */
function isAnswered(command: string, tag: string | undefined): boolean {
  return tag !== undefined && (command === "DONE" || command.startsWith(`${tag} `));
}

function isReply(line: string): boolean {
  return /^\d{3} /.test(line);
}

function transcriptOf(trip: Trip | undefined): string[] {
  if (!trip) return [];
  return trip.said.map(({ atMs, connection, by, line }) => {
    const shown = line.length > 100 ? `${line.slice(0, 100)}…` : line;
    return `${(atMs - trip.sentMs).toFixed(1).padStart(7)} ms  ${connection} ${by === "client" ? "C" : "S"}: ${shown}`;
  });
}
