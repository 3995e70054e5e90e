/**
 * Every link that a relay shows is followed by a real Delta Chat core, as a person would: from the
 * page that the status or the invite names. For each kind of domain, each registration and lengths
 * that clients make up by themselves or don't.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { z } from "zod";
import type { ChatmailServerSpec } from "../../src/api/chatmail-server.ts";
import { certificateNames } from "../../src/certificates/self-signed.ts";
import { inviteLink, invitePage, joinPath, publicInvite } from "../../src/mail/invite.ts";
import { onAnyLoad } from "../helpers/accounts.ts";
import { DeltaChatClient } from "../helpers/delta-chat.ts";
import { askHttps } from "../helpers/https.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { makeTrustingCore, type OwnTrustingCore } from "../helpers/trusting-core.ts";
import { publishZone, removeZone } from "../lab/names.ts";

const domains = { named: "joining.test", "a name with _": "_joining.test" };
const kinds = ["named", "a name with _", "an address"] as const;
type Kind = (typeof kinds)[number];
const token = "k3v9-k3v9-k3v9";

const lengths = {
  "the usual lengths": {},
  "the longest that clients make up": { usernameMinLength: 9, usernameMaxLength: 64, passwordMinLength: 50 },
  "names of 9 as the longest": { usernameMinLength: 1, usernameMaxLength: 9 },
  "longer names": { usernameMinLength: 10, usernameMaxLength: 20 },
  "shorter names": { usernameMinLength: 3, usernameMaxLength: 8 },
  "longer passwords": { passwordMinLength: 51 },
  "the longest of all": { usernameMinLength: 64, usernameMaxLength: 64, passwordMinLength: 100 },
  "the shortest of all": { usernameMinLength: 1, usernameMaxLength: 1, passwordMinLength: 8 },
} as const satisfies Record<string, z.input<typeof ChatmailServerSpec>["accounts"]>;
type Lengths = keyof typeof lengths;

let core: OwnTrustingCore;
const pods = {} as Record<Kind, RelayPod>;
beforeAll(async () => {
  core = await makeTrustingCore();
  const { certificatePem, keyPem } = await core.authority.issue(certificateNames(domains.named));
  const given = { invites: { link: token } };
  const spec = { accounts: { registration: "Invite" } } as const;
  [pods.named, pods["a name with _"], pods["an address"]] = await Promise.all([
    startRelayPod({ domain: domains.named, spec, given, certificate: { certificatePem, keyPem } }),
    startRelayPod({ domain: domains["a name with _"], spec, given }),
    startRelayPod({ spec, given }),
  ]);
  for (const kind of ["named", "a name with _"] as const) await publishZone(domains[kind], pods[kind].zone);
});
afterAll(async () => {
  await Promise.all(Object.values(pods).map((pod) => pod.remove()));
  await Promise.all(Object.values(domains).map((domain) => removeZone(domain)));
  core?.remove();
});

type Registration = ChatmailServerSpec["accounts"]["registration"];

/** The relay has these rules from now on, and the pages that belong to them. */
async function withRules(pod: RelayPod, registration: Registration, rules: Lengths) {
  const accounts = { ...onAnyLoad, ...lengths[rules], registration };
  return pod.change({ accounts });
}

const page = async (pod: RelayPod, path: string) => {
  const { status, body } = await askHttps(pod, { path });
  expect(status, path).toBe(200);
  return body;
};
const linksIn = (body: string) =>
  [...body.matchAll(/href="(dc[a-z]+:[^"]*)"/g)].map(([, link = ""]) => link.replaceAll("&amp;", "&"));

/** The one link on the page, or on the one that its button leads to. */
async function linkAt(pod: RelayPod, path: string): Promise<string> {
  const body = await page(pod, path);
  const found = body.includes(`href="${joinPath}"`) ? linksIn(await page(pod, joinPath)) : linksIn(body);
  expect(new Set(found).size).toBe(1);
  return found[0] ?? "";
}

async function joinBy(link: string): Promise<string> {
  const client = await DeltaChatClient.start("Alice", core.program);
  try {
    await client.join(link);
    return await client.address();
  } finally {
    await client.stop();
  }
}

describe.each(kinds)("%s", (kind) => {
  describe.each(Object.keys(lengths) as Lengths[])("%s", (rules) => {
    test("open: what the status shows leads in, and what the first page shows", async () => {
      const pod = pods[kind];
      const { domain, accounts } = await withRules(pod, "Open", rules);
      const { link, page: address = "" } = publicInvite(domain, accounts);
      const shown = await linkAt(pod, new URL(address).pathname);
      if (link !== undefined) expect(shown).toBe(link);
      expect((await linkAt(pod, "/")).replace(/:.*/s, "")).toBe(shown.replace(/:.*/s, ""));
      const joined = await joinBy(shown);
      expect(joined.split("@")[0]?.length).toBeGreaterThanOrEqual(accounts.usernameMinLength);
      expect(joined.split("@")[0]?.length).toBeLessThanOrEqual(accounts.usernameMaxLength);
    });

    test("by invite: what the page of the invite shows leads in", async () => {
      const pod = pods[kind];
      const { domain } = await withRules(pod, "Invite", rules);
      const shown = await linkAt(pod, new URL(invitePage(domain, token)).pathname);
      const forAll = inviteLink(domain, token);
      if (forAll !== undefined) expect(shown).toBe(forAll);
      expect(linksIn(await page(pod, "/"))).toEqual([]);
      await joinBy(shown);
    });
  });

  test("closed: no link is shown", async () => {
    const pod = pods[kind];
    const { domain, accounts } = await withRules(pod, "Closed", "the usual lengths");
    expect(publicInvite(domain, accounts)).toEqual({});
    expect(linksIn(await page(pod, "/"))).toEqual([]);
    expect((await askHttps(pod, { path: joinPath })).status).toBe(302);
  });
});

/** What `madeUp` of src/mail/invite.ts says of clients. */
test.each(["longer names", "shorter names", "longer passwords"] as const)(
  "%s: by the short link a core makes up what is not allowed",
  async (rules) => {
    await withRules(pods.named, "Open", rules);
    await expect(joinBy(`dcaccount:${domains.named}`)).rejects.toThrow(/could not join/);
  },
);

test("a core refuses the named relay's certificate where its authority is none that it knows", async () => {
  await withRules(pods.named, "Open", "longer names");
  const client = await DeltaChatClient.start("Bob");
  try {
    await expect(client.join(`dcaccount:https://${domains.named}/new`)).rejects.toThrow(/could not join/);
  } finally {
    await client.stop();
  }
});
