/**
 * A client sends its whole envelope before it reads a reply, for up to 1,000 recipients. Whatever
 * is refused of it, each command gets the answer that it deserves, and the session goes on: the
 * next mail is accepted on it.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import { newAccount, password } from "../helpers/accounts.ts";
import { encryptedMessage, randomName } from "../helpers/messages.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { type Reply, SmtpClient } from "../helpers/smtp-client.ts";

let pod: RelayPod;
beforeAll(async () => {
  pod = await startRelayPod({
    domain: "_envelope.test",
    spec: { accounts: { sendBurst: 2, sendRatePerMinute: 1 }, messages: { maxSize: "5Mi" } },
  });
});
afterAll(() => pod?.remove());

const someone = () => `${randomName(9)}@${pod.domain}`;
/** Not one of these can be an address of the relay. */
const impossible = (count: number) => Array.from({ length: count }, (_, at) => `"x${at} y"@${pod.domain}`);

/**
 * What each command of an envelope is answered, all of them sent at once; ended by RSET, which has
 * to be answered well.
 */
async function envelope(smtp: SmtpClient, mail: string, recipients: readonly string[]): Promise<Reply[]> {
  const replies = await smtp.sayAll(mail, ...recipients.map((each) => `RCPT TO:<${each}>`), "RSET");
  expect(replies.pop()).toMatchObject({ code: 250 });
  return replies;
}
const beginnings = (replies: readonly Reply[]) => [...new Set(replies.map(({ text }) => text.slice(0, 9)))];

describe.each([ports.submissions, ports.submission])("submitted at %i", (port) => {
  const ready = async () => {
    const user = await newAccount(pod);
    return { user, smtp: await SmtpClient.ready(pod.at(port), user, password) };
  };
  /** The session is as good as new. */
  async function isFine(smtp: SmtpClient, user: string): Promise<void> {
    const to = [someone()];
    expect(await smtp.send({ from: user, to, data: encryptedMessage({ from: user, to }) })).toMatchObject({
      code: 250,
    });
    await smtp.quit();
  }

  test("by who is over their rate: each of 99 recipients is told to wait, and so is the next mail", async () => {
    const { user, smtp } = await ready();
    const many = Array.from({ length: 99 }, someone);
    const send = () =>
      smtp.send({ from: user, to: many.slice(0, 1), data: encryptedMessage({ from: user, to: many }) });
    let sent = 0;
    while ((await send()).code === 250) expect(++sent).toBeLessThan(100);
    const replies = await envelope(smtp, `MAIL FROM:<${user}>`, many);
    // after a minute of a busy machine another mail might go
    expect(["450 4.7.1", "250 2.1.5"]).toEqual(expect.arrayContaining(beginnings(replies.slice(1))));
    expect(replies.filter(({ code }) => code === 421)).toEqual([]);
    await smtp.quit();
  });

  test("to 99 recipients who can't be: a mail to others is accepted after it", async () => {
    const { user, smtp } = await ready();
    const replies = await envelope(smtp, `MAIL FROM:<${user}>`, impossible(99));
    expect(beginnings(replies)).toEqual(["250 2.1.0", "553 5.1.3"]);
    await isFine(smtp, user);
  });

  test("in another's name", async () => {
    const { user, smtp } = await ready();
    const replies = await envelope(smtp, `MAIL FROM:<${someone()}>`, Array.from({ length: 99 }, someone));
    expect(beginnings(replies)).toEqual(["250 2.1.0", "553 5.7.1"]);
    await isFine(smtp, user);
  });

  test("larger than it may be", async () => {
    const { user, smtp } = await ready();
    const mail = `MAIL FROM:<${user}> SIZE=${6 * 2 ** 20}`;
    const replies = await envelope(smtp, mail, Array.from({ length: 99 }, someone));
    expect(beginnings(replies)).toEqual(["552 5.3.4", "503 5.5.1"]);
    await isFine(smtp, user);
  });

  test("to more recipients than a mail may have: those beyond are told, and it goes to the others", async () => {
    const { user, smtp } = await ready();
    const replies = await envelope(smtp, `MAIL FROM:<${user}>`, Array.from({ length: 1030 }, someone));
    expect(replies.slice(1).map(({ text }) => text.slice(0, 9))).toEqual([
      ...Array<string>(1000).fill("250 2.1.5"),
      ...Array<string>(30).fill("452 4.5.3"),
    ]);
    await isFine(smtp, user);
  });
});

test("from another server to 99 recipients who can't be and one who is: that one is accepted", async () => {
  const bob = await newAccount(pod);
  const smtp = await SmtpClient.ready(pod.at(ports.smtp));
  const replies = await envelope(smtp, "MAIL FROM:<>", [...impossible(99), bob]);
  expect(beginnings(replies)).toEqual(["250 2.1.0", "553 5.1.3", "250 2.1.5"]);
  await smtp.quit();
});
