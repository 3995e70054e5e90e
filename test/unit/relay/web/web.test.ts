import { randomInt } from "node:crypto";
import { expect, test } from "vitest";
import { pathOf } from "../../../../src/relay/http.ts";
import { Metrics } from "../../../../src/relay/metrics.ts";
import { domainOfHost, newCredentials } from "../../../../src/relay/web/policy.ts";
import { answerWeb } from "../../../../src/relay/web/server.ts";
import { limits, settings } from "../settings.ts";

const config = settings({
  domains: {
    "chat.example": limits(),
    "_self.example": limits(),
    "192.0.2.1": limits(),
    "closed.example": limits({ registration: "Closed" }),
    "invite.example": limits({ registration: "Invite" }),
  },
});
const ask = (method: string, host: string | undefined, path = "/new") =>
  answerWeb({ method, path, host, body: "" }, { config, metrics: new Metrics() });

test("POST gives an address and a password, and nothing is made", () => {
  const answer = ask("POST", "chat.example");
  expect(answer.status).toBe(200);
  expect(answer.headers?.["Content-Type"]).toBe("application/json");
  const { email, password, ...rest } = JSON.parse(answer.body);
  expect(email).toMatch(/^[a-z0-9]{9}@chat\.example$/);
  expect(password).toMatch(/^[!-~]{12}$/);
  expect(rest).toEqual({});
});

test("where certificates are self-signed the link says so", () => {
  let letter = 0;
  const below = (max: number) => letter++ % max;
  expect(newCredentials("_self.example", limits(), below)).toEqual({
    email: "abcdefghi@_self.example",
    password: "*+,-./012345",
    dclogin_url: "dclogin:abcdefghi@_self.example?p=%2A%2B%2C%2D%2E%2F012345&v=1&ic=3",
  });
  expect(newCredentials("192.0.2.1", limits(), () => 0).dclogin_url).toBe(
    "dclogin:aaaaaaaaa@[192.0.2.1]?p=%21%21%21%21%21%21%21%21%21%21%21%21&v=1&ih=192.0.2.1&sh=192.0.2.1&ic=3",
  );
});

test("every letter comes about as often", () => {
  const counts = new Map<string, number>();
  for (let round = 0; round < 3000; round++) {
    for (const letter of newCredentials("chat.example", limits(), randomInt).password) {
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
  ["POST", "invite.example", "/new", 403],
  ["POST", "elsewhere.example", "/new", 404],
  ["POST", undefined, "/new", 404],
  ["POST", "constructor", "/new", 404],
  ["DELETE", "chat.example", "/new", 405],
  ["POST", "chat.example", "/", 404],
])("%s https://%s%s: %d", (method, host, path, status) => {
  const answer = ask(method, host, path);
  expect(answer.status).toBe(status);
  if (status >= 400) expect(JSON.parse(answer.body).reason).toMatch(/^\w/);
});

test("GET leads to the app", () =>
  expect(ask("GET", "chat.example").headers?.Location).toBe("dcaccount:https://chat.example/new"));

test("with one domain every host means it", () =>
  expect(domainOfHost("10.0.0.7", ["chat.example"])).toBe("chat.example"));

test.each([
  ["/passdb", "/passdb"],
  ["http://auth.local/passdb", "/passdb"],
  ["http://auth.local", "/"],
  ["/new?x=1", "/new"],
  ["", "/"],
])("the path of %s is %s", (target, path) => expect(pathOf(target)).toBe(path));
