/** A relay without a name: addresses end in `@[192.0.2.7]`, folders and certificates in the bare address. */
import { existsSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ports } from "../../src/mail/layout.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { clearMessage, encryptedMessage, randomName } from "../helpers/messages.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { patienceMs, until } from "../helpers/until.ts";

let pod: RelayPod;
beforeAll(async () => {
  pod = await startRelayPod({ domain: "192.0.2.7" });
});
afterAll(() => pod?.remove());

test("an address is made, mail to it is filtered and delivered, and the logs do not name it", async () => {
  const local = randomName(9);
  const user = `${local}@[192.0.2.7]`;
  const imap = await ImapClient.ready(pod.at(ports.imaps), user, "correct horse");
  expect(existsSync(`${pod.volume("mail")}/192.0.2.7/${user}/password`)).toBe(true);
  const smtp = await SmtpClient.ready(pod.at(ports.submissions), user, "correct horse");
  const mail = { from: user, to: [user] };
  expect(await smtp.send({ ...mail, data: clearMessage(mail) })).toMatchObject({ code: 523 });
  expect(await smtp.send({ ...mail, data: encryptedMessage(mail) })).toMatchObject({ code: 250 });
  await smtp.quit();
  const arrived = async () => {
    const { untagged } = await imap.say("STATUS INBOX (MESSAGES)");
    return untagged.join().includes("MESSAGES 1");
  };
  await until("the mail", arrived, { patienceMs: patienceMs.mail });
  await imap.logout();
  const logs = await pod.logs();
  expect(logs).toContain("status=sent");
  expect(logs).not.toContain(local);
});
