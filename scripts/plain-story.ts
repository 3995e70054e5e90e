/**
 * The part of the plain demo that runs inside the lab: `plain-story.ts RELAY-IMAGE`. On a terminal
 * the relay stays until Ctrl-C.
 */
import { X509Certificate } from "node:crypto";
import QRCode from "qrcode";
import { sha256Of } from "../src/certificates/pair.ts";
import { makeSelfSigned } from "../src/certificates/self-signed.ts";
import { messageOf } from "../src/lib/text.ts";
import { joinPath } from "../src/mail/invite.ts";
import { ports } from "../src/mail/ports.ts";
import { programs } from "../src/pod/layout.ts";
import { type Couple, converse, joinBy, refusals, someAccount } from "../test/helpers/first-message.ts";
import { askHttps } from "../test/helpers/https.ts";
import { ImapClient } from "../test/helpers/imap-client.ts";
import { encryptedMessage } from "../test/helpers/messages.ts";
import { type RelayPod, startRelayPod } from "../test/helpers/relay-pod.ts";
import { SmtpClient } from "../test/helpers/smtp-client.ts";
import { patienceMs, until } from "../test/helpers/until.ts";
import { printedSteps, seconds } from "./steps.ts";

const [image = ""] = process.argv.slice(2);
const { step } = printedSteps();
const ms = (value: number) => `${Math.round(value)} ms`;

const interrupted = new Promise<"interrupted">((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => resolve("interrupted"));
});

/** A link that makes up an address, good for one. */
async function link(pod: RelayPod): Promise<string> {
  const { body } = await askHttps(pod, { path: "/new", method: "POST" });
  return (JSON.parse(body) as { dclogin_url: string }).dclogin_url;
}

/** How many messages the clean-up removes that runs three weeks from now. */
async function expired(pod: RelayPod): Promise<number> {
  const { address, password } = someAccount(pod.domain);
  const inbox = await ImapClient.ready(pod.at(ports.imaps), address, password);
  const smtp = await SmtpClient.ready(pod.at(ports.submissions), address, password);
  const reply = await smtp.send({
    from: address,
    to: [address],
    data: encryptedMessage({ from: address, to: [address] }),
  });
  if (reply.code !== 250) throw new Error(`an encrypted message was refused: ${reply.text}`);
  await smtp.quit();
  const arrived = async () => (await inbox.say("STATUS INBOX (MESSAGES)")).untagged.join().includes("MESSAGES 1");
  await until("the message to arrive", arrived, { patienceMs: patienceMs.mail });
  await inbox.logout();
  const inThreeWeeks = new Date(Date.now() + 21 * 86_400_000).toISOString();
  const said = await pod.exec("relay", programs.node, programs.expire, "--now", inThreeWeeks);
  return (JSON.parse(said) as { messagesRemoved: number }).messagesRemoved;
}

/** "relay 61, dovecot 9": what each container has in memory, where this user may look. */
async function memory(pod: RelayPod): Promise<string> {
  const ofEach = Object.entries(await pod.memory());
  if (ofEach.some(([, kilobytes]) => kilobytes === 0)) return "memory is seen by root alone";
  const mebibytes = ofEach.map(([name, kilobytes]) => `${name} ${Math.round(kilobytes / 1024)}`);
  return `memory in MiB: ${mebibytes.join(", ")}`;
}

/** Resolves when the relay serves another certificate than it did. */
async function renewed(pod: RelayPod): Promise<void> {
  const pair = await makeSelfSigned(pod.domain, new Date());
  const sha256 = sha256Of(new X509Certificate(pair.certificatePem));
  pod.giveCertificate(pair);
  const isServed = async () => {
    const client = await ImapClient.open(pod.at(ports.imaps));
    const shown = client.sha256;
    client.destroy();
    return shown === sha256;
  };
  await until("the other certificate", isServed, { patienceMs: patienceMs.client, everyMs: 200 });
}

async function story(starting: Promise<RelayPod>): Promise<void> {
  const pod = await step(
    "Postfix, Dovecot, nginx and the relay daemon start",
    () => starting,
    ({ host }) => `Postfix, Dovecot, nginx and the relay daemon serve ${host}`,
  );
  couple = await step(
    "Alice and Bob join, each by a link of their own",
    async () => (await joinBy([await link(pod), await link(pod)])).couple,
    () => "Alice and Bob joined, each by a link of their own",
  );
  const two = couple;
  const talk = await step(
    "they meet and write to each other",
    () => converse(two, 5),
    ({ meetMs, messageMs }) =>
      `secure-join took ${seconds(meetMs)}; 10 messages, slowest ${ms(Math.max(...messageMs))}`,
  );
  if (!talk.encrypted) throw new Error("a message came without end-to-end encryption");
  const recipient = await two.alice.address();
  await step(
    "clear text is refused",
    () => refusals(pod.domain, recipient),
    (all) => {
      for (const text of Object.values(all))
        if (!text.startsWith("523")) throw new Error(`expected 523 for clear text, got: ${text}`);
      return `clear text is refused: ${all.submitted}`;
    },
  );
  await step(
    "the clean-up removes what is too old",
    () => expired(pod),
    (removed) => {
      if (removed < 1) throw new Error("the clean-up removed no message after 21 days");
      return "a message is removed after 20 days (by a clean-up whose clock is three weeks ahead)";
    },
  );
  await step("another certificate is served, and nothing restarts", () => renewed(pod));
  await step(
    "the containers' memory is read",
    () => memory(pod),
    (told) => told,
  );
  if (!process.stdout.isTTY) return;
  const own = await link(pod);
  console.log(`
A link for one person's Delta Chat on this machine:  ${own}

${await QRCode.toString(own, { type: "terminal", small: true })}
More of them:  https://${pod.host}${joinPath}

Look further, in another terminal:
  eval "$(npm run -s lab -- env)"
  docker logs --follow ${pod.nameOf("postfix")}
  docker exec ${pod.nameOf("dovecot")} find /var/lib/chatmail/mail

With an operator that does the rest (DNS, certificates, updates, backups):  npm run demo
Ctrl-C removes the relay.`);
  await interrupted;
}

let couple: Couple | undefined;
const starting = startRelayPod({ image });
try {
  await Promise.race([story(starting), interrupted]);
} catch (thrown) {
  console.error(`\n${messageOf(thrown)}`);
  process.exitCode = 1;
} finally {
  await couple?.stop();
  await starting.then(
    (pod) => pod.remove(),
    () => undefined,
  );
}
// connections of an interrupted step may still be open
process.exit();
