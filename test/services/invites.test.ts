/**
 * Who gets an address where registration asks for an invite, or is closed: over IMAP, submission,
 * HTTP, and with a real Delta Chat.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { ports } from "../../src/mail/ports.ts";
import { fewNewAddresses } from "../helpers/accounts.ts";
import { DeltaChatClient } from "../helpers/delta-chat.ts";
import { askHttps } from "../helpers/https.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { randomName } from "../helpers/messages.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { addresses } from "../lab/place.ts";

const token = "k3v9-k3v9-k3v9";
let pod: RelayPod;
/** A closed one, whose domain is an address. */
let literal: RelayPod;
beforeAll(async () => {
  [pod, literal] = await Promise.all([
    startRelayPod({
      domain: "_invites.test",
      spec: { accounts: { ...fewNewAddresses, registration: "Invite" } },
      given: { invites: { link: `https://_invites.test/i/${token}` } },
    }),
    startRelayPod({ domain: addresses.gateway, spec: { accounts: { registration: "Closed" } } }),
  ]);
});
afterAll(async () => {
  await Promise.all([pod?.remove(), literal?.remove()]);
});

const ask = (path: string, method = "GET", relay = pod) => askHttps(relay, { path, method });

async function fresh(invite = token): Promise<{ email: string; password: string }> {
  const { status, body } = await ask(`/new?i=${invite}`, "POST");
  expect(status, body).toBe(200);
  return JSON.parse(body);
}

async function login(user: string, password: string): Promise<string> {
  const client = await ImapClient.open(pod.at(ports.imaps));
  const { status } = await client.login(user, password);
  await client.logout();
  return status;
}

test("with an invite /new hands out an address that can be made, over IMAP and submission, and that stays", async () => {
  const [one, two] = [await fresh(), await fresh()];
  expect(await login(one.email, one.password)).toBe("OK");
  const smtp = await SmtpClient.ready(pod.at(ports.submissions));
  expect(await smtp.login(two.email, two.password)).toMatchObject({ code: 235 });
  await smtp.quit();
  pod.give("invites", "link");
  try {
    expect(await login(one.email, one.password)).toBe("OK");
    expect(await login(two.email, two.password)).toBe("OK");
  } finally {
    pod.give("invites", "link", token);
  }
});

test("without an invite nobody gets an address", async () => {
  expect(await ask("/new", "POST")).toMatchObject({
    status: 403,
    body: '{"reason":"an address here needs an invite"}',
  });
  expect(await ask("/new?i=another-one", "POST")).toMatchObject({ status: 403 });
  expect(await login(`${randomName(9)}@_invites.test`, randomName(38))).toBe("NO");
  const { password } = await fresh();
  expect(await login(`${randomName(9)}@_invites.test`, password)).toBe("NO");
});

test("an invite that is taken back takes what was handed out with it and not yet used along; others count on", async () => {
  pod.give("invites", "friends", "another-one");
  const [one, other] = [await fresh(), await fresh("another-one")];
  pod.give("invites", "friends");
  expect(await login(other.email, other.password)).toBe("NO");
  expect(await login(one.email, one.password)).toBe("OK");
  expect(await ask("/i/another-one")).toMatchObject({ status: 404 });
});

test("a restart of the daemon forgets nothing", async () => {
  const { email, password } = await fresh();
  await pod.stop("relay");
  await pod.start("relay");
  expect(await login(email, password)).toBe("OK");
});

test("a real Delta Chat joins by the link of the invite's page", async () => {
  const { status, body } = await ask(`/i/${token}`);
  expect(status).toBe(200);
  const link = (/href="(dclogin:[^"]*)"/.exec(body)?.[1] ?? "").replaceAll("&amp;", "&");
  // no name server knows this pod, so the link is told where it is
  const alice = await DeltaChatClient.start("Alice");
  try {
    await alice.join(`${link}&ih=${pod.host}&sh=${pod.host}`);
    expect(await alice.address()).toMatch(/^[a-z0-9]{9}@_invites\.test$/);
  } finally {
    await alice.stop();
  }
});

test("closed: nobody new, by no service", async () => {
  expect(await ask(`/new?i=${token}`, "POST", literal)).toMatchObject({
    status: 403,
    body: '{"reason":"no new addresses are made here"}',
  });
  expect(await ask("/join", "GET", literal)).toMatchObject({ status: 302 });
  const client = await ImapClient.open(literal.at(ports.imaps));
  expect((await client.login(`${randomName(9)}@[${addresses.gateway}]`, randomName(20))).status).toBe("NO");
  await client.logout();
});

test("the logs hold no invite, whatever fails", async () => {
  await pod.stop("relay");
  expect(await ask(`/new?i=${token}`, "POST")).toMatchObject({
    status: 503,
    body: '{"reason":"This server is just starting, please try again in some seconds"}',
  });
  await pod.start("relay");
  const statuses = await Promise.all(Array.from({ length: 60 }, () => ask(`/new?i=${token}`, "POST")));
  expect(statuses.length).toBe(60);
  expect(await pod.logs()).not.toContain(token);
});
