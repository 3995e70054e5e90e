import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Accounts, Login } from "../../../../src/relay/accounts/accounts.ts";
import { answerAuth } from "../../../../src/relay/auth/server.ts";
import { Metrics } from "../../../../src/relay/metrics.ts";
import { ProbeAccounts } from "../../../../src/relay/probe/accounts.ts";
import { settings } from "../settings.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Asks Dovecot's question; accounts answer with what the login resolves to. */
function ask(login: Promise<Login>) {
  const question = { method: "POST", path: "/passdb", body: "nine@nine.test\nsecret", client: "192.0.2.1" };
  return answerAuth(
    { ...question, query: "", language: undefined, host: undefined },
    {
      accounts: { login: () => login } as unknown as Accounts,
      probes: new ProbeAccounts(settings()),
      config: settings(),
      metrics: new Metrics(),
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
