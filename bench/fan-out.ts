/**
 * A burst as a client sends it when its user's relays change: 35 mails from one account, each to 98
 * recipients in 60 domains that do not answer and to one that does. Meanwhile others write to each
 * other. Measured is from the acceptance of a mail to its arrival. A third of the domains loses all
 * packets, a third refuses connections, a third accepts them and says nothing. Then again with a
 * restart of Postfix with 2,000 mails in its queue to domains that lose all packets. Needs root, to
 * lose packets. `--quick`: 15 mails, and 200 in the queue.
 */
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { readOptions } from "../scripts/options.ts";
import { wait } from "../src/lib/wait.ts";
import { ports } from "../src/mail/ports.ts";
import { password } from "../test/helpers/accounts.ts";
import { encryptedMessage, randomName } from "../test/helpers/messages.ts";
import { type RelayPod, startRelayPod, waitingMails } from "../test/helpers/relay-pod.ts";
import { SmtpClient } from "../test/helpers/smtp-client.ts";
import { hasHttpsRoute } from "../test/helpers/socketmap.ts";
import { until } from "../test/helpers/until.ts";
import { closeHttps } from "../test/helpers/without-https.ts";
import { namesUp } from "../test/lab/lab.ts";
import { publishZone, removeZone } from "../test/lab/names.ts";
import { addresses } from "../test/lab/place.ts";
import { account, type Figures, Inbox, mark } from "./fan-out/inbox.ts";
import { endSignal, printTable, say, writeJson } from "./machine.ts";
import { inTurns } from "./mail/load.ts";

const usage = "npm run bench -- fan-out [--quick] [--json FILE]";
const { values } = readOptions(usage, {
  options: { quick: { type: "boolean", default: false }, json: { type: "string" } },
});
const mails = values.quick ? 15 : 35;
const recipientsOfEach = 99;
const deadDomains = 60;
const deferred = values.quick ? 200 : 2000;
/** Of one account without waiting: `accounts.sendBurst`. */
const burstOfOne = 10;
const patienceMs = 300_000;
const nothing = "198.51.100.77";
const signal = endSignal();

const kinds = [
  { zone: "_silent.test", address: nothing },
  { zone: "_refuses.test", address: addresses.names },
  { zone: "_says-nothing.test", address: addresses.gateway },
] as const;
/** Every name in these zones is a domain. */
const dead = Array.from({ length: deadDomains }, (_, at) => `d${at}.${kinds[at % kinds.length]?.zone ?? ""}`);

interface Burst {
  toTheLiveOne: Figures;
  ofOthersThere: Figures;
  ofOthersHere: Figures;
  /** Replies 450 4.7.1 that the sender had to wait for. */
  refusedForNow: number;
  seconds: number;
}

const pods: RelayPod[] = [];
const silent = await sayNothing();
try {
  await namesUp();
  // the ten accounts that fill the queue come from one address; all other limits are the built-in
  // ones
  const one = await startRelayPod({
    domain: "_fan-one.test",
    spec: { network: { connections: { submission: 1000 } } },
  });
  pods.push(one);
  const two = await startRelayPod({ domain: "_fan-two.test" });
  pods.push(two);
  const three = await startRelayPod({ domain: "_fan-three.test" });
  pods.push(three);
  for (const pod of pods) await publishZone(pod.domain, pod.zone);
  for (const { zone, address } of kinds) await publishZone(zone, `* A ${address}`);
  await one.cutOff(nothing);
  // for good: a relay without HTTPS is asked for it again after half an hour
  await closeHttps(three);
  await meet(one, two);

  const live = { "by HTTPS": two, "by SMTP": three } as const;
  const result: Record<string, Burst> = {};
  for (const [name, to] of Object.entries(live)) {
    say(`burst; the live one ${name}`);
    result[name] = await burst(one, to);
  }
  say(`${deferred} mails into the queue`);
  await fill(one);
  for (const [name, to] of Object.entries(live)) {
    await one.stop("postfix");
    await one.start("postfix");
    say(`restarted with ${await waitingMails(one)} mails in the queue; burst, the live one ${name}`);
    result[`${name}, after a restart with ${deferred} deferred mails`] = await burst(one, to);
  }
  printTable(Object.entries(result).flatMap(([name, each]) => rowsOf(name, each)));
  await writeJson(values.json, { mails, recipientsOfEach, deadDomains, deferred, ...result });
} finally {
  silent.close();
  for (const pod of pods) {
    await pod.remove();
    await removeZone(pod.domain);
  }
  for (const { zone } of kinds) await removeZone(zone);
}

/** Port 25 of the lab's own address: it accepts, and does not greet. */
async function sayNothing(): Promise<Server & { close(): void }> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("error", () => socket.destroy()).on("close", () => open.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen({ port: ports.smtp, host: addresses.gateway }, () => resolve());
  });
  say(`says nothing: ${(server.address() as AddressInfo).address}`);
  const close = server.close.bind(server);
  return Object.assign(server, {
    close: () => {
      for (const socket of open) socket.destroy();
      return close();
    },
  });
}

/** Until the route by HTTPS is known and used. */
async function meet(from: RelayPod, to: RelayPod): Promise<void> {
  await until("the HTTPS route", () => hasHttpsRoute(from, to.domain), { patienceMs, everyMs: 1000 });
}

async function burst(from: RelayPod, to: RelayPod): Promise<Burst> {
  const [sender, receiver] = [await account(from), await Inbox.open(to, signal)];
  const others = { there: await Inbox.open(to, signal), here: await Inbox.open(from, signal) };
  const done = new AbortController();
  const writing = Object.values(others).map((inbox) =>
    keepWriting(from, inbox, AbortSignal.any([signal, done.signal])),
  );
  for (const each of writing) each.catch(() => undefined);
  const started = performance.now();
  const client = await SmtpClient.ready(from.at(ports.submissions), sender, password);
  let refusedForNow = 0;
  const sent: string[] = [];
  while (sent.length < mails) {
    signal.throwIfAborted();
    const to = [...deadRecipients(), receiver.user];
    const id = randomName(12);
    const reply = await client.send({ from: sender, to, data: messageOf(sender, to, id) });
    if (reply.code === 250) {
      receiver.accepted(id);
      sent.push(id);
    } else if (/^450 4\.7\.1/.test(reply.text)) {
      refusedForNow++;
      await wait(500, signal);
    } else throw new Error(reply.text);
  }
  await client.quit();
  await until("all mails at the live one", () => receiver.count === mails, { patienceMs, everyMs: 50 });
  done.abort();
  await Promise.all(writing);
  const seconds = (performance.now() - started) / 1000;
  for (const each of Object.values(others)) {
    await until("all mails of the others", () => each.complete, { patienceMs, everyMs: 50 });
  }
  for (const each of [receiver, ...Object.values(others)]) each.close();
  return {
    toTheLiveOne: receiver.figures(),
    ofOthersThere: others.there.figures(),
    ofOthersHere: others.here.figures(),
    refusedForNow,
    seconds,
  };
}

function deadRecipients(): string[] {
  return Array.from({ length: recipientsOfEach - 1 }, (_, at) => `${randomName(9)}@${dead[at % dead.length] ?? ""}`);
}

function messageOf(from: string, to: readonly string[], id: string): string {
  return encryptedMessage({ from, to, headers: { [mark]: id } });
}

/** Every second a mail from somebody new each ten. */
async function keepWriting(from: RelayPod, inbox: Inbox, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const user = await account(from);
    const client = await SmtpClient.ready(from.at(ports.submissions), user, password);
    for (let count = 0; count < burstOfOne && !signal.aborted; count++) {
      const id = randomName(12);
      const reply = await client.send({ from: user, to: [inbox.user], data: messageOf(user, [inbox.user], id) });
      if (reply.code !== 250) throw new Error(reply.text);
      inbox.accepted(id);
      await wait(1000, signal);
    }
    await client.quit();
  }
}

async function fill(pod: RelayPod): Promise<void> {
  const silentOnes = dead.filter((domain) => domain.endsWith(kinds[0].zone));
  const accounts = Array.from({ length: deferred / burstOfOne }, (_, at) => at);
  await inTurns(accounts, 8, async () => {
    signal.throwIfAborted();
    const user = await account(pod);
    const client = await SmtpClient.ready(pod.at(ports.submissions), user, password);
    for (let count = 0; count < burstOfOne; count++) {
      const to = [`${randomName(9)}@${silentOnes[count % silentOnes.length] ?? ""}`];
      const reply = await client.send({ from: user, to, data: messageOf(user, to, randomName(12)) });
      if (reply.code !== 250) throw new Error(reply.text);
    }
    await client.quit();
  });
}

function rowsOf(name: string, result: Burst): (readonly [string, string])[] {
  const text = ({ count, p50Ms, mostMs }: Figures) =>
    `${count} mails, median ${p50Ms.toFixed(0)} ms, longest ${mostMs.toFixed(0)} ms`;
  return [
    [`the live one ${name}`, `${result.seconds.toFixed(1)} s, ${result.refusedForNow} times 450 4.7.1`],
    ["  to the live one", text(result.toTheLiveOne)],
    ["  of others to its relay", text(result.ofOthersThere)],
    ["  of others on the same relay", text(result.ofOthersHere)],
  ];
}
