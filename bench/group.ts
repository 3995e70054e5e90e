/**
 * A message to a group whose members are all asleep (hibernated): when each of them hears of it,
 * from the sender's MAIL. `--members`: how many, the sender among them; `--rounds`: how often.
 */
import { numberOf, readOptions } from "../scripts/options.ts";
import { ports } from "../src/mail/ports.ts";
import { ImapClient } from "../test/helpers/imap-client.ts";
import { encryptedMessage, randomName } from "../test/helpers/messages.ts";
import { startRelayPod } from "../test/helpers/relay-pod.ts";
import { SmtpClient } from "../test/helpers/smtp-client.ts";
import { raiseInotify } from "../test/lab/inotify.ts";
import { endSignal, printTable, quantile, say, writeJson } from "./machine.ts";
import { allAsleep, newLogin } from "./mail/load.ts";
import { domain } from "./mail/variants.ts";

const usage = "npm run bench -- group [--members 100] [--rounds 3] [--json FILE]";
const { members, rounds, json } = readOptions(
  usage,
  {
    options: {
      members: { type: "string", default: "100" },
      rounds: { type: "string", default: "3" },
      json: { type: "string" },
    },
  },
  ({ values }) => ({
    members: numberOf("--members", values.members, { whole: true }, usage),
    rounds: numberOf("--rounds", values.rounds, { whole: true }, usage),
    json: values.json,
  }),
);

interface Round {
  /** Milliseconds until the relay has accepted the message, and until members hear of it. */
  acceptedMs: number;
  halfMs: number;
  lastMs: number;
}

const signal = endSignal();
raiseInotify();
const pod = await startRelayPod({ domain });
const clients: ImapClient[] = [];
try {
  const logins = Array.from({ length: members }, newLogin);
  const [sender] = logins;
  if (!sender) throw new Error("a group has a member");
  const idles: Awaited<ReturnType<ImapClient["idle"]>>[] = [];
  say(`${members} members come`);
  for (const { user, password } of logins) {
    const client = await ImapClient.likeDeltaChat(pod.at(ports.imaps), user, password, randomName(64));
    clients.push(client);
    idles.push(await client.idle());
  }
  const to = logins.map(({ user }) => user);
  const all: Round[] = [];
  for (let round = 1; round <= rounds; round++) {
    await allAsleep(pod, signal);
    say(`round ${round}`);
    const smtp = await SmtpClient.ready(pod.at(ports.submissions), sender.user, sender.password);
    const began = performance.now();
    const heard = Promise.all(
      idles.map(async (idle) => {
        while ((await idle.next()) !== `* ${round} EXISTS`);
        return performance.now() - began;
      }),
    );
    const { code, text } = await smtp.send({
      from: sender.user,
      to,
      data: encryptedMessage({ from: sender.user, to }),
    });
    if (code !== 250) throw new Error(`the message was refused: ${code} ${text}`);
    const acceptedMs = performance.now() - began;
    const times = await heard;
    all.push({ acceptedMs, halfMs: quantile(times, 0.5), lastMs: Math.max(...times) });
    await smtp.quit();
  }
  const median = (of: keyof Round) =>
    `${quantile(
      all.map((round) => round[of]),
      0.5,
    ).toFixed(0)} ms`;
  printTable([
    ["members who are asleep", String(members)],
    ["accepted after", median("acceptedMs")],
    ["half of them hear of it after", median("halfMs")],
    ["all of them after", median("lastMs")],
  ]);
  await writeJson(json, { members, rounds: all });
} finally {
  for (const client of clients) client.destroy();
  await pod.remove();
}
