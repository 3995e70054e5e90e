import { mkdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Accounts, Login } from "../../../../src/relay/accounts/accounts.ts";
import { answerAuth } from "../../../../src/relay/auth/server.ts";
import { type LocalAddress, localAddress } from "../../../../src/relay/domains.ts";
import { Metrics } from "../../../../src/relay/metrics.ts";
import { ProbeAccounts } from "../../../../src/relay/probe/accounts.ts";
import { RateLimiter } from "../../../../src/relay/rate.ts";
import { settings } from "../settings.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const failures: unknown[] = [];

/** Asks Dovecot's question; accounts answer with what the login resolves to. */
function ask(login: Promise<Login>, logins = new RateLimiter(Date.now)) {
  const question = { method: "POST", path: "/passdb", body: "nine@nine.test\nsecret", client: "192.0.2.1" };
  return answerAuth(
    { ...question, query: "", language: undefined, host: undefined },
    {
      accounts: { login: () => login } as unknown as Accounts,
      probes: new ProbeAccounts(settings()),
      config: settings(),
      metrics: new Metrics(),
      logins,
      now: Date.now,
      onNoteFailure: (thrown) => failures.push(thrown),
    },
  );
}

test.each<{ login: Login; status: number }>([
  { login: { kind: "wrongPassword" }, status: 401 },
  { login: { kind: "unknown" }, status: 404 },
  { login: { kind: "later", reason: "delayed", retryMs: 5_000 }, status: 429 },
])("$login.kind is $status", async ({ login, status }) => {
  expect(await ask(Promise.resolve(login))).toMatchObject({ status });
});

test("a login that takes too long is told that the server is busy, before Dovecot gives up", async () => {
  const answer = ask(new Promise(() => undefined));
  await vi.advanceTimersByTimeAsync(40_000);
  expect(await answer).toEqual({
    status: 429,
    body: "[UNAVAILABLE] This server is busy, please try again in a second",
  });
});

function accountOf(local: string): LocalAddress {
  const account = localAddress(settings(), `${local}@chat.example`);
  if (!account) throw new Error("an address of the domain");
  return account;
}

const dayMs = 86_400_000;

test("the day of a login is noted, and nothing is written when it is", async () => {
  const account = accountOf("someone99");
  const file = join(account.home, "password");
  mkdirSync(account.home, { recursive: true });
  writeFileSync(file, "");
  const loginAt = async (ms: number) => {
    vi.setSystemTime(ms);
    expect(await ask(Promise.resolve({ kind: "ok", account }))).toMatchObject({ status: 200 });
    return statSync(file);
  };
  expect(await loginAt(20_000 * dayMs + 4_321_000)).toMatchObject({ mtimeMs: 20_000 * dayMs, atimeMs: 20_000 * dayMs });
  expect(await loginAt(20_001 * dayMs - 1)).toMatchObject({ mtimeMs: 20_000 * dayMs });
  expect(await loginAt(20_001 * dayMs)).toMatchObject({ mtimeMs: 20_001 * dayMs });
  utimesSync(file, 5, (20_001 * dayMs) / 1000);
  expect((await loginAt(20_001 * dayMs + 9_999_000)).atimeMs).toBe(5_000);
});

test("a login is one, too, whose day can't be noted, or whose account is gone meanwhile", async () => {
  const account = accountOf("someone99");
  expect(await ask(Promise.resolve({ kind: "ok", account }))).toMatchObject({ status: 200 });
  expect(failures).toEqual([]);
  const impossible = { ...account, home: join(dirname(dirname(account.home)), "x".repeat(300)) };
  expect(await ask(Promise.resolve({ kind: "ok", account: impossible }))).toMatchObject({ status: 200 });
  expect(failures).toMatchObject([{ code: "ENAMETOOLONG" }]);
});

test("sessions of a crowd hibernate sooner, and those after it as usual", async () => {
  const logins = new RateLimiter(Date.now);
  const account = accountOf("someone99");
  const says = async () => (await ask(Promise.resolve({ kind: "ok", account }), logins)).body;
  for (let count = 0; count < 100; count++) expect(await says()).not.toContain("hibernate");
  expect(await says()).toContain("\nuserdb_imap_hibernate_timeout=3s\n");
  await vi.advanceTimersByTimeAsync(10_000);
  expect(await says()).not.toContain("hibernate");
});
