/**
 * The main story, told by the demo and proved by test/cluster/first-message.test.ts: two people join two relays by their invites, meet, and
 * write to each other; clear text is refused; old mail goes. Runs inside the lab.
 */
import { randomBytes } from "node:crypto";
import type { ChatmailServer } from "../../src/api/chatmail-server.ts";
import { folders, ports } from "../../src/mail/layout.ts";
import { DeltaChatClient } from "./delta-chat.ts";
import { ImapClient } from "./imap-client.ts";
import { kubectl } from "./kubectl.ts";
import { clearMail, encryptedMail } from "./mails.ts";
import { namespace } from "./servers.ts";
import { SmtpClient } from "./smtp-client.ts";
import { patienceMs, until } from "./until.ts";

export interface Couple {
  alice: DeltaChatClient;
  bob: DeltaChatClient;
  stop(): Promise<void>;
}

const timed = async (work: Promise<unknown>): Promise<number> => {
  const start = performance.now();
  await work;
  return performance.now() - start;
};

const linkOf = (server: ChatmailServer): string => {
  const link = server.status?.invite?.link;
  if (!link) throw new Error(`${server.metadata.name} has no invite link in its status`);
  return link;
};

/** Alice joins the first relay by its invite, Bob the second. */
export async function join(
  first: ChatmailServer,
  second: ChatmailServer,
): Promise<{ couple: Couple; joinMs: number[] }> {
  const alice = await DeltaChatClient.start("Alice");
  const bob = await DeltaChatClient.start("Bob");
  const stop = async () => {
    await Promise.all([alice.stop(), bob.stop()]);
  };
  try {
    const joinMs = [await timed(alice.join(linkOf(first))), await timed(bob.join(linkOf(second)))];
    return { couple: { alice, bob, stop }, joinMs };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

/** Secure-join over both relays, then `rounds` messages each way. Milliseconds from sending to the other side's IncomingMsg, and whether all came encrypted. */
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

/** A plain SMTP client's account: name and password made up, as create-on-login has it. */
export function someAccount(domain: string): { address: string; password: string } {
  const local = randomBytes(5).toString("hex").slice(0, 9);
  return { address: `${local}@${domain}`, password: randomBytes(12).toString("base64url") };
}

/** What a relay answers to a clear text mail from a user of its own, and to one from outside. */
export async function refusals(
  server: ChatmailServer,
  recipient: string,
): Promise<{ submitted: string; incoming: string }> {
  const { domain } = server.spec;
  const sender = someAccount(domain);
  const own = await SmtpClient.connect({ host: domain, port: ports.submissions, tls: true });
  await own.login(sender.address, sender.password);
  const submitted = await own.send(sender.address, [recipient], clearMail(sender.address, recipient));
  await own.quit();

  const outside = await SmtpClient.connect({ host: domain, port: ports.smtp, tls: false });
  await outside.startTls();
  const stranger = "stranger@outside.test";
  const incoming = await outside.send(stranger, [recipient], clearMail(stranger, recipient));
  await outside.quit();
  return { submitted, incoming };
}

/** Puts a mail into a new mailbox, makes it a day older than allowed, runs the expiry job, and counts the mails before and after. */
export async function expire(server: ChatmailServer): Promise<{ before: number; after: number }> {
  const { domain, messages } = server.spec;
  const { name } = server.metadata;
  const account = someAccount(domain);
  const imap = await ImapClient.connect({ host: domain, port: ports.imaps, tls: true });
  await imap.login(account.address, account.password);
  const smtp = await SmtpClient.connect({ host: domain, port: ports.submissions, tls: true });
  await smtp.login(account.address, account.password);
  const reply = await smtp.send(account.address, [account.address], encryptedMail(account.address, account.address));
  if (!reply.startsWith("250")) throw new Error(`an encrypted mail was refused: ${reply}`);
  await smtp.quit();
  const count = () => imap.count("INBOX");
  const before = await until("the mail to arrive", count, { patienceMs: patienceMs.mail });

  const days = messages.deleteAfterDays + 1;
  const mailbox = `${folders.mail}/${domain}/${account.address}`;
  const age = [
    "find",
    mailbox,
    "-path",
    "*/*/*",
    "-name",
    "*S=*",
    "-exec",
    "touch",
    "-d",
    `${days} days ago`,
    "{}",
    "+",
  ];
  await kubectl(["-n", namespace, "exec", `${name}-0`, "-c", "dovecot", "--", ...age]);

  const job = `${name}-expiry-${randomBytes(3).toString("hex")}`;
  await kubectl(["-n", namespace, "create", "job", job, `--from=cronjob/${name}-expiry`]);
  await kubectl(["-n", namespace, "wait", "--for=condition=Complete", `job/${job}`, "--timeout=90s"]);
  await kubectl(["-n", namespace, "delete", "job", job, "--wait=false"]);
  const after = await count();
  await imap.logout();
  return { before, after };
}
