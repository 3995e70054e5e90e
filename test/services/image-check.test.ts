/** What the relay image says of a plan before it replaces another image, with its real programs. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ChatmailServerSpec } from "../../src/api/chatmail-server.ts";
import { planOf, planText } from "../../src/pod/plan-of.ts";
import { checkImage } from "../helpers/image-check.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "broken-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const domains = [{ domain: "_planned.test" }];
const good = planText({ version: 1, domains });

test.each([
  { what: "the smallest", plan: good },
  {
    what: "one of two domains",
    plan: planText({ version: 1, domains: [...domains, { domain: "second.example.org" }] }),
  },
  { what: "one of an address", plan: planText(planOf(ChatmailServerSpec.parse({ domain: "192.0.2.9" }))) },
])("a good plan passes, without certificate, keys or volume: $what", async ({ plan }) => {
  expect(await checkImage(plan)).toEqual({ passed: true, container: "web", said: expect.anything() });
});

test.each([
  { what: "is no JSON", plan: "{", container: "postfix", said: /^the plan is not JSON|JSON/ },
  { what: "is for newer images", plan: planText({ version: 2, domains }), container: "postfix", said: /version 2/ },
  {
    what: "Dovecot can't use",
    plan: planText({ version: 1, domains, ...{ connections: { imap: 2 ** 40 } } }),
    container: "dovecot",
    said: /^dovecot: /,
  },
])("a plan that $what is refused in the words of who refuses it", async ({ plan, container, said }) => {
  expect(await checkImage(plan)).toEqual({ passed: false, container, said: expect.stringMatching(said) });
});

test.each([
  { container: "postfix", program: "/usr/sbin/postfix" },
  { container: "dovecot", program: "/usr/bin/doveconf" },
  { container: "web", program: "/usr/sbin/nginx" },
])("an image with a broken $program is refused", async ({ container, program }) => {
  const broken = join(folder, container);
  writeFileSync(broken, "#!/bin/sh\necho 'fatal: this build is broken' >&2\nexit 1\n", { mode: 0o755 });
  const found = await checkImage(good, { replace: { [program]: broken } });
  expect(found).toEqual({ passed: false, container, said: expect.stringContaining("this build is broken") });
});
