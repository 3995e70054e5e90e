/** Users who write all the time, and what became of each mail. */

import { wait } from "../../src/lib/wait.ts";
import { ports } from "../../src/mail/ports.ts";
import { password } from "../../test/helpers/accounts.ts";
import { ImapClient } from "../../test/helpers/imap-client.ts";
import { encryptedMessage, randomName } from "../../test/helpers/messages.ts";
import type { RelayPod } from "../../test/helpers/relay-pod.ts";
import { SmtpClient } from "../../test/helpers/smtp-client.ts";

export interface User {
  address: string;
  pod: RelayPod;
}

/** What the sender was told; of a broken conversation nothing is known. */
export type Answer = "taken" | "put off" | "refused" | "broken off";

export interface Sent {
  from: User;
  to: readonly User[];
  answer: Answer;
  /** The reply's first line, or the error. */
  said: string;
}

const markHeader = "Chat-Mark";

export class Traffic {
  /** By mark. */
  readonly sent = new Map<string, Sent>();
  /** The longest time in ms in which a relay took no mail. */
  longestGapMs = 0;
  readonly #lastTaken = new Map<RelayPod, number>();

  /** One user's mails, one after the other, until `signal`; now and then to two people. */
  async write(from: User, all: readonly User[], random: () => number, signal: AbortSignal): Promise<void> {
    const someone = () => all[Math.floor(random() * all.length)] as User;
    let client: SmtpClient | undefined;
    while (!signal.aborted) {
      const to = random() < 0.2 ? [...new Set([someone(), someone()])] : [someone()];
      const mark = randomName(16);
      const sent: Sent = { from, to, answer: "broken off", said: "" };
      this.sent.set(mark, sent);
      try {
        client ??= await SmtpClient.ready(from.pod.at(ports.submissions), from.address, password);
        const recipients = to.map(({ address }) => address);
        const headers = { [markHeader]: mark };
        const data = encryptedMessage({ from: from.address, to: recipients, headers });
        const { code, text } = await client.send({ from: from.address, to: recipients, data });
        sent.answer = code < 400 ? "taken" : code < 500 ? "put off" : "refused";
        sent.said = text;
        if (sent.answer === "taken") this.#taken(from.pod);
      } catch (thrown) {
        sent.said = String(thrown);
        client?.destroy();
        client = undefined;
      }
      await wait(50 + random() * 250, signal);
      if (client && random() < 0.1) {
        await client.quit();
        client = undefined;
      }
    }
    await client?.quit();
  }

  #taken(pod: RelayPod) {
    const now = performance.now();
    this.longestGapMs = Math.max(this.longestGapMs, now - (this.#lastTaken.get(pod) ?? now));
    this.#lastTaken.set(pod, now);
  }
}

export interface Mailbox {
  /** How often each mark is there. */
  marks: Map<string, number>;
  /** Marks that a bounce in it names. */
  bounced: Set<string>;
}

export async function mailboxOf({ address, pod }: User): Promise<Mailbox> {
  const client = await ImapClient.ready(pod.at(ports.imaps), address, password);
  await client.say("SELECT INBOX");
  const marks = new Map<string, number>();
  const bounced = new Set<string>();
  for (const text of await client.messages()) {
    const mark = new RegExp(`^${markHeader}: (\\w+)`, "m").exec(text)?.[1];
    if (mark === undefined) continue;
    if (/^Content-Type: multipart\/report/m.test(text)) bounced.add(mark);
    else marks.set(mark, (marks.get(mark) ?? 0) + 1);
  }
  await client.logout();
  return { marks, bounced };
}
