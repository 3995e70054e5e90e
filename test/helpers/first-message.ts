/**
 * The main story, told by the demo and proved by test/cluster/first-message.test.ts: two people
 * join two relays by their invites, meet, and write to each other; clear text is refused; old mail
 * goes. Runs inside the lab.
 */
import type { WrittenServer } from "../../src/api/chatmail-server.ts";
import { addressDomain } from "../../src/mail/address.ts";
import { ports } from "../../src/mail/ports.ts";
import { folders } from "../../src/pod/layout.ts";
import { DeltaChatClient } from "./delta-chat.ts";
import { ImapClient } from "./imap-client.ts";
import { kubectl } from "./kubectl.ts";
import { clearMessage, encryptedMessage, randomName } from "./messages.ts";
import { namespace } from "./servers.ts";
import { SmtpClient } from "./smtp-client.ts";
import { patienceMs, until } from "./until.ts";

export interface Couple {
  alice: DeltaChatClient;
  bob: DeltaChatClient;
  stop: () => Promise<void>;
}

const timed = async (work: Promise<unknown>): Promise<number> => {
  const start = performance.now();
  await work;
  return performance.now() - start;
};

const linkOf = (server: WrittenServer): string => {
  const link = server.status?.invite?.link;
  if (!link) throw new Error(`${server.metadata.name} has no invite link in its status`);
  return link;
};

/** Alice joins the first relay by its invite, Bob the second. `program`: another core. */
export const join = (first: WrittenServer, second: WrittenServer, program?: string) =>
  joinBy([linkOf(first), linkOf(second)], program);

/** Alice joins by the first link, Bob by the second. */
export async function joinBy(
  links: readonly [string, string],
  program?: string,
): Promise<{ couple: Couple; joinMs: number[] }> {
  const alice = await DeltaChatClient.start("Alice", program);
  const bob = await DeltaChatClient.start("Bob", program);
  const stop = async () => {
    await Promise.all([alice.stop(), bob.stop()]);
  };
  try {
    const joinMs = [await timed(alice.join(links[0])), await timed(bob.join(links[1]))];
    return { couple: { alice, bob, stop }, joinMs };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

/**
 * Secure-join over both relays, then `rounds` messages each way. Milliseconds from sending to the
 * other side's IncomingMsg, and whether all came encrypted.
 */
export async function converse(
  { alice, bob }: Couple,
  rounds: number,
): Promise<{ meetMs: number; messageMs: number[]; encrypted: boolean }> {
  const start = performance.now();
  const chats = await bob.meet(alice);
  const meetMs = performance.now() - start;

  const messageMs: number[] = [];
  let encrypted = true;
  const say = async (from: DeltaChatClient, chat: number, to: DeltaChatClient, text: string) => {
    const sent = performance.now();
    await from.rpc.miscSendTextMessage(from.account, chat, text);
    const arrived = await to.received(text);
    messageMs.push(performance.now() - sent);
    encrypted &&= arrived.encrypted;
  };
  for (let round = 1; round <= rounds; round++) {
    await say(bob, chats.mine, alice, `hello Alice ${round}`);
    await say(alice, chats.theirs, bob, `hello Bob ${round}`);
  }
  return { meetMs, messageMs, encrypted };
}

/** Name and password made up, as create-on-login has it. */
export function someAccount(domain: string): { address: string; password: string } {
  return { address: `${randomName(9)}@${addressDomain(domain)}`, password: randomName(20) };
}

/**
 * What the relay of a domain answers to a clear text mail from a user of its own, and to one from
 * outside.
 */
export async function refusals(domain: string, recipient: string): Promise<{ submitted: string; incoming: string }> {
  const sender = someAccount(domain);
  const send = async (port: number, from: string, password?: string) => {
    const client = await SmtpClient.ready({ host: domain, port }, password && from, password);
    const reply = await client.send({ from, to: [recipient], data: clearMessage({ from, to: [recipient] }) });
    await client.quit();
    return reply.text;
  };
  return {
    submitted: await send(ports.submissions, sender.address, sender.password),
    incoming: await send(ports.smtp, "stranger@outside.test"),
  };
}

/** Days after which a message is deleted, where the operator has no defaults of its own. */
export const keptDays = ({ spec }: WrittenServer): number => spec.messages?.deleteAfterDays ?? 20;

/**
 * Puts a mail into a new mailbox, makes it a day older than allowed, runs the expiry job, and
 * counts the mails before and after.
 */
export async function expire(server: WrittenServer): Promise<{ before: number; after: number }> {
  const { domain } = server.spec;
  const { name } = server.metadata;
  const { address, password } = someAccount(domain);
  const inbox = await ImapClient.ready({ host: domain, port: ports.imaps }, address, password);
  const count = async () => {
    const { untagged } = await inbox.say("STATUS INBOX (MESSAGES)");
    return Number(/MESSAGES (\d+)/.exec(untagged.join())?.[1]);
  };
  const smtp = await SmtpClient.ready({ host: domain, port: ports.submissions }, address, password);
  const data = encryptedMessage({ from: address, to: [address] });
  const reply = await smtp.send({ from: address, to: [address], data });
  if (reply.code !== 250) throw new Error(`an encrypted mail was refused: ${reply.text}`);
  await smtp.quit();
  const before = await until("the mail to arrive", async () => (await count()) || undefined, {
    patienceMs: patienceMs.mail,
  });

  const days = `${keptDays(server) + 1} days ago`;
  const age = [
    "find",
    `${folders.mail}/${domain}/${address}`,
    "-name",
    "*S=*",
    "-exec",
    "touch",
    "-d",
    days,
    "{}",
    "+",
  ];
  await kubectl(["-n", namespace, "exec", `${name}-0`, "-c", "dovecot", "--", ...age]);

  const job = `${name}-expiry-${randomName(6)}`;
  await kubectl(["-n", namespace, "create", "job", job, `--from=cronjob/${name}-expiry`]);
  await kubectl(["-n", namespace, "wait", "--for=condition=Complete", `job/${job}`, "--timeout=90s"]);
  await kubectl(["-n", namespace, "delete", "job", job, "--wait=false"]);
  const after = await count();
  await inbox.logout();
  return { before, after };
}
