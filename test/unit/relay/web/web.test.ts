import { randomInt } from "node:crypto";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { maxPasswordBytes } from "../../../../src/relay/accounts/policy.ts";
import type { Later } from "../../../../src/relay/accounts/refusals.ts";
import { provesInvite } from "../../../../src/relay/invites/policy.ts";
import { Metrics } from "../../../../src/relay/metrics.ts";
import { type Asker, domainOfHost, newCredentials, welcome } from "../../../../src/relay/web/policy.ts";
import { answerWeb } from "../../../../src/relay/web/server.ts";
import { pathOf } from "../../../../src/relay/wire/http.ts";
import { limits, settings } from "../settings.ts";

const base = settings();
const invitesFolder = join(base.runFolder, "invites");
mkdirSync(invitesFolder);
writeFileSync(join(invitesFolder, "link"), "https://invite.example/i/first-one");
const invite = limits({ registration: "Invite", invitesFolder });
const config = {
  ...base,
  domains: {
    "chat.example": limits(),
    "_self.example": limits(),
    "192.0.2.1": limits(),
    "2001:db8::9": limits(),
    "closed.example": limits({ registration: "Closed" }),
    "invite.example": invite,
    "_invite.example": invite,
  },
};
let later: Later | undefined;
let welcomed: unknown[];
beforeEach(() => {
  later = undefined;
  welcomed = [];
});
const mayJoin = async (...asked: unknown[]) => {
  welcomed.push(asked);
  return later;
};
const ask = (method: string, host: string | undefined, target = "/new", language?: string) => {
  const [path = "", query = ""] = target.split("?");
  return answerWeb(
    { method, path, query, host, language, client: "192.0.2.7", body: "" },
    { config, metrics: new Metrics(), accounts: { welcome: mayJoin } },
  );
};
const asker = (domain: string, over: Partial<Asker> = {}): Asker => ({
  domain,
  limits: limits(),
  token: undefined,
  tokens: [],
  ...over,
});

test("POST gives an address and a password, and nothing is made", async () => {
  const answer = await ask("POST", "chat.example");
  expect(answer.status).toBe(200);
  expect(answer.headers?.["Content-Type"]).toBe("application/json");
  const { email, password, ...rest } = JSON.parse(answer.body);
  expect(email).toMatch(/^[a-z0-9]{9}@chat\.example$/);
  expect(password).toMatch(/^[!-~]{12}$/);
  expect(rest).toEqual({});
  expect(readdirSync(config.mailFolder)).toEqual([]);
});

describe("when no address is made just now", () => {
  beforeEach(() => {
    later = { kind: "later", reason: "rate", retryMs: 1500 };
  });

  test.each([
    ["POST", "chat.example", "/new"],
    ["POST", "invite.example", "/new?i=first-one"],
    ["GET", "_self.example", "/new"],
  ])("%s %s%s is answered 503, with when and why", async (method, host, target) => {
    const answer = await ask(method, host, target);
    expect(answer).toMatchObject({ status: 503, headers: { "Retry-After": "2", "Content-Type": "application/json" } });
    expect(JSON.parse(answer.body)).toEqual({
      reason: "Too many new addresses from your network, please try again in 2 seconds",
    });
    expect(welcomed).toEqual([[host, expect.objectContaining({ passwordMinLength: 9 }), "192.0.2.7"]]);
  });

  test.each([
    ["invite.example", "/i/first-one", "en", "Please try again later"],
    ["_invite.example", "/i/first-one", "de", "Bitte später noch einmal versuchen"],
    ["192.0.2.1", "/join", "en", "Please try again later"],
  ])("the page %s%s says so", async (host, target, language, title) => {
    const answer = await ask("GET", host, target, language);
    expect(answer).toMatchObject({ status: 503, headers: { "Retry-After": "2" } });
    expect(answer.body).toContain(`<h1>${title}</h1>`);
    expect(answer.body).not.toContain("dclogin:");
  });

  test.each([
    ["POST", "closed.example", "/new", 403],
    ["POST", "invite.example", "/new?i=another", 403],
    ["GET", "invite.example", "/i/another", 404],
    ["GET", "chat.example", "/new", 301],
  ])("who would get none at any time is told that: %s %s%s is %i", async (method, host, target, status) => {
    expect((await ask(method, host, target)).status).toBe(status);
    expect(welcomed).toEqual([]);
  });
});

test("POST with an invite gives a password that proves it", async () => {
  const answer = await ask("POST", "invite.example", "/new?i=first-one");
  expect(answer.status).toBe(200);
  const { email, password } = JSON.parse(answer.body);
  expect(provesInvite(password, email, ["first-one"])).toBe(true);
});

test("where certificates are self-signed the link says so", () => {
  let letter = 0;
  const below = (max: number) => letter++ % max;
  expect(newCredentials(asker("_self.example"), below)).toEqual({
    email: "abcdefghi@_self.example",
    password: "*+,-./012345",
    dclogin_url: "dclogin:abcdefghi@_self.example?p=%2A%2B%2C%2D%2E%2F012345&v=1&ic=3",
  });
  expect(newCredentials(asker("192.0.2.1"), () => 0).dclogin_url).toBe(
    "dclogin:aaaaaaaaa@[192.0.2.1]?p=%21%21%21%21%21%21%21%21%21%21%21%21&v=1&ih=192.0.2.1&sh=192.0.2.1&ic=3",
  );
  expect(newCredentials(asker("2001:db8::9"), () => 0).dclogin_url).toBe(
    "dclogin:aaaaaaaaa@[ipv6:2001:db8::9]?p=%21%21%21%21%21%21%21%21%21%21%21%21&v=1&ih=2001:db8::9&sh=2001:db8::9&ic=3",
  );
});

test("as long as the longest name allowed, and three letters more than the shortest password", () => {
  const sizes = limits({ usernameMinLength: 5, usernameMaxLength: 17, passwordMinLength: 20 });
  const { email, password } = newCredentials(asker("chat.example", { limits: sizes }), randomInt);
  expect(email).toMatch(/^[a-z0-9]{17}@chat\.example$/);
  expect(password).toMatch(/^[!-~]{23}$/);
});

test("never longer than a password that is looked at", () => {
  const { password } = newCredentials(asker("chat.example", { limits: limits({ passwordMinLength: 126 }) }), randomInt);
  expect(password.length).toBeGreaterThanOrEqual(126);
  expect(Buffer.byteLength(password)).toBeLessThanOrEqual(maxPasswordBytes);
});

test("where names are short, one that is free is found", () => {
  const one = limits({ usernameMinLength: 1, usernameMaxLength: 1 });
  const isTaken = (address: string) => !address.startsWith("q");
  let next = 0;
  const below = (max: number) => next++ % max;
  for (let round = 0; round < 20; round++)
    expect(newCredentials(asker("chat.example", { limits: one }), below, isTaken).email).toBe("q@chat.example");
});

test("an address that is there is not handed out", async () => {
  const short = settings({ domains: { "chat.example": limits({ usernameMinLength: 1, usernameMaxLength: 1 }) } });
  for (const letter of "abcdefghijklmnopqrstuvwxyz") {
    const home = join(short.mailFolder, "chat.example", `${letter}@chat.example`);
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, "password"), "{SHA512-CRYPT}$6$x$y");
  }
  const question = {
    method: "POST",
    path: "/new",
    query: "",
    host: "chat.example",
    language: undefined,
    client: undefined,
    body: "",
  };
  const { body } = await answerWeb(question, { config: short, metrics: new Metrics(), accounts: { welcome: mayJoin } });
  expect(JSON.parse(body).email).toMatch(/^\d@chat\.example$/);
});

test("every letter comes about as often", () => {
  const counts = new Map<string, number>();
  for (let round = 0; round < 3000; round++) {
    for (const letter of newCredentials(asker("chat.example"), randomInt).password) {
      counts.set(letter, (counts.get(letter) ?? 0) + 1);
    }
  }
  expect(counts.size).toBe(94);
  const mean = (3000 * 12) / 94;
  for (const count of counts.values()) expect(Math.abs(count - mean)).toBeLessThan(6 * Math.sqrt(mean));
});

test.each([
  ["GET", "chat.example", "/new", 301],
  ["GET", "_self.example", "/new", 200],
  ["GET", "192.0.2.1", "/new", 200],
  ["POST", "chat.example:443", "/new", 200],
  ["POST", "CHAT.example", "/cgi-bin/newemail.py", 200],
  ["POST", "closed.example", "/new", 403],
  ["POST", "closed.example", "/new?i=first-one", 403],
  ["POST", "invite.example", "/new", 403],
  ["POST", "invite.example", "/new?i=", 403],
  ["POST", "invite.example", "/new?i=first-on", 403],
  ["POST", "invite.example", "/new?x=1&i=first-one", 200],
  ["GET", "invite.example", "/new?i=first-one", 301],
  ["GET", "_invite.example", "/new", 403],
  ["GET", "_invite.example", "/new?i=first-one", 200],
  ["POST", "elsewhere.example", "/new", 404],
  ["POST", undefined, "/new", 404],
  ["POST", "constructor", "/new", 404],
  ["DELETE", "chat.example", "/new", 405],
  ["POST", "chat.example", "/", 404],
])("%s https://%s%s: %d", async (method, host, path, status) => {
  const answer = await ask(method, host, path);
  expect(answer.status).toBe(status);
  if (status >= 400) expect(JSON.parse(answer.body).reason).toMatch(/^\w/);
});

test("GET leads to the app, with the invite that was shown", async () => {
  const location = async (host: string, path: string) => (await ask("GET", host, path)).headers?.Location;
  expect(await location("chat.example", "/new")).toBe("dcaccount:https://chat.example/new");
  expect(await location("chat.example", "/new?i=first-one")).toBe("dcaccount:https://chat.example/new");
  expect(await location("invite.example", "/new?i=a b&c")).toBe("dcaccount:https://invite.example/new?i=a%20b");
});

test.each([
  { domain: "chat.example", over: {}, kind: "firstPage" },
  { domain: "192.0.2.1", over: {}, kind: "own" },
  { domain: "_self.example", over: {}, kind: "firstPage" },
  { domain: "_self.example", over: { limits: limits({ passwordMinLength: 51 }) }, kind: "own" },
  { domain: "chat.example", over: { limits: limits({ passwordMinLength: 51 }) }, kind: "firstPage" },
  { domain: "chat.example", over: { limits: limits({ registration: "Closed" }), token: "one" }, kind: "firstPage" },
  { domain: "chat.example", over: { limits: invite, tokens: ["one"] }, kind: "firstPage" },
  { domain: "chat.example", over: { limits: invite, tokens: ["one"], token: "two" }, kind: "notValid" },
  { domain: "chat.example", over: { limits: invite, tokens: ["one"], token: "one" }, kind: "link" },
  { domain: "_self.example", over: { limits: invite, tokens: ["one"], token: "one" }, kind: "own" },
  { domain: "192.0.2.1", over: { limits: invite, tokens: ["one"], token: "one" }, kind: "own" },
] as const)("who comes to $domain with $over is shown: $kind", ({ domain, over, kind }) => {
  expect(welcome(asker(domain, over as Partial<Asker>)).kind).toBe(kind);
});

test.each([
  ["invite.example", "/i/first-one", 200, 'href="dcaccount:https://invite.example/new?i=first-one"'],
  ["_invite.example", "/i/first-one", 200, 'href="dclogin:'],
  ["invite.example", "/i/another", 404, "This invite is not valid"],
  ["192.0.2.1", "/join", 200, 'href="dclogin:'],
])("the page https://%s%s answers %d and shows %s", async (host, path, status, shows) => {
  const answer = await ask("GET", host, path);
  expect(answer.status).toBe(status);
  expect(answer.headers).toMatchObject({ "Cache-Control": "no-store", "Content-Type": "text/html; charset=utf-8" });
  expect(answer.body).toContain(shows);
  expect(answer.body).toContain('<html lang="en" dir="ltr">');
  expect((await ask("GET", host, path, "de")).body).toContain('<html lang="de" dir="ltr">');
  expect((await ask("POST", host, path)).status).toBe(405);
});

test.each([
  ["invite.example", "/join"],
  ["chat.example", "/join"],
  ["chat.example", "/i/first-one"],
  ["closed.example", "/i/first-one"],
])("https://%s%s leads to the first page", async (host, path) => {
  expect(await ask("GET", host, path)).toMatchObject({ status: 302, headers: { Location: "/" } });
});

test.each([
  ["[2001:db8::9]", "2001:db8::9"],
  ["[2001:DB8::9]:8443", "2001:db8::9"],
  ["2001:db8::9", undefined],
  ["192.0.2.1:443", "192.0.2.1"],
])("of several domains the host %s means %s", (host, domain) =>
  expect(domainOfHost(host, ["chat.example", "192.0.2.1", "2001:db8::9"])).toBe(domain),
);

test("with one domain every host means it", () =>
  expect(domainOfHost("10.0.0.7", ["chat.example"])).toBe("chat.example"));

test.each([
  ["/passdb", "/passdb"],
  ["http://auth.local/passdb", "/passdb"],
  ["http://auth.local", "/"],
  ["/new?x=1", "/new"],
  ["", "/"],
])("the path of %s is %s", (target, path) => expect(pathOf(target)).toBe(path));
