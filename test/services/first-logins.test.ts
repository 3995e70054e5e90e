/**
 * A crowd that logs in for the first time at the same moment, by IMAP and by submission: each gets
 * an address.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import { password } from "../helpers/accounts.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { randomName } from "../helpers/messages.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";

let pod: RelayPod;
beforeAll(async () => {
  // one client is the whole crowd
  pod = await startRelayPod({
    domain: "_first-logins.test",
    spec: { accounts: { createBurst: 10_000 }, network: { connections: { submission: 1000 } } },
  });
});
afterAll(() => pod?.remove());

const newAddress = () => `${randomName(9)}@${pod.domain}`;
/** By answer, how many got it. */
function count(answers: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const each of answers) counts[each] = (counts[each] ?? 0) + 1;
  return counts;
}
const openImap = (size: number) =>
  Promise.all(Array.from({ length: size }, () => ImapClient.open(pod.at(ports.imaps))));

async function imapAnswers(clients: readonly ImapClient[]): Promise<Record<string, number>> {
  const answers = clients.map(async (client) => {
    const { status, text } = await client.login(newAddress(), password);
    client.destroy();
    return status === "OK" ? status : `${status} ${text}`;
  });
  return count(await Promise.all(answers));
}

/** As the auth process has them: itself, and what it opens at most (`process_limit`). */
const mostAuthProcesses = 31;

/** First of all: nobody has logged in before. */
test("50 by IMAP right after the start", async () => {
  expect(await imapAnswers(await openImap(50))).toEqual({ OK: 50 });
  expect(await pod.processes("dovecot", "auth")).toBeLessThanOrEqual(mostAuthProcesses);
});

test("200 by IMAP right after another start", async () => {
  await pod.stop("dovecot");
  await pod.start("dovecot");
  expect(await imapAnswers(await openImap(200))).toEqual({ OK: 200 });
  expect(await pod.processes("dovecot", "auth")).toBeLessThanOrEqual(mostAuthProcesses);
});

test("100 by IMAP", async () => {
  expect(await imapAnswers(await openImap(100))).toEqual({ OK: 100 });
});

test.each([50, 100, 200])("%i by submission", async (size) => {
  const clients = await Promise.all(Array.from({ length: size }, () => SmtpClient.ready(pod.at(ports.submissions))));
  const answers = clients.map(async (client) => {
    const first = await client.login(newAddress(), password);
    await client.quit();
    return first.text.slice(0, 3);
  });
  // Postfix waits ten seconds for an answer, and then says "again"
  const { "235": ok = 0, "454": later = 0, ...others } = count(await Promise.all(answers));
  expect([others, ok + later, ok > 0]).toEqual([{}, size, true]);
});

/** As on a machine that has other work to do. */
test("100 by IMAP while the daemon stands still for longer than Dovecot once waited for it", async () => {
  const clients = await openImap(100);
  await pod.freeze("relay");
  const answers = imapAnswers(clients);
  await sleep(7_000);
  await pod.thaw("relay");
  expect(await answers).toEqual({ OK: 100 });
});
