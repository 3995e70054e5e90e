/** The pages of a relay and the way to a new address, as a browser and a client see them. */
import { connect } from "node:http2";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ChatmailServerSpec } from "../../src/api/chatmail-server.ts";
import { ports } from "../../src/mail/ports.ts";
import { planOf, planText } from "../../src/pod/plan-of.ts";
import { fewNewAddresses, onAnyLoad } from "../helpers/accounts.ts";
import { askHttps } from "../helpers/https.ts";
import { LineSocket } from "../helpers/line-socket.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";

let pod: RelayPod;
beforeAll(async () => {
  pod = await startRelayPod({ domain: "_web.test", spec: { accounts: fewNewAddresses } });
});
afterAll(() => pod?.remove());

const portEighty = async (path: string, host: string) => {
  const socket = await LineSocket.open(pod.at(ports.http), undefined);
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nX-Forwarded-Host: evil.example\r\nConnection: close\r\n\r\n`);
  const status = await socket.line();
  const head: string[] = [];
  for (let line = await socket.line(); line !== ""; line = await socket.line()) head.push(line);
  const length = Number(head.find((line) => line.startsWith("Content-Length: "))?.slice(16) ?? 0);
  const body = (await socket.bytes(length)).toString();
  socket.destroy();
  return { status, head, body };
};

const ask = (path: string, method = "GET", body = "", headers: Record<string, string> = {}) =>
  askHttps(pod, { path, method, body, headers });

test("the page has the invite as a link and as a QR code, and loads nothing from elsewhere", async () => {
  const page = await ask("/");
  expect(page).toMatchObject({ status: 200, headers: { "content-type": "text/html; charset=utf-8" } });
  expect(page.body).toContain('href="dcaccount:_web.test"');
  expect(page.body).toContain("<svg");
  expect(page.headers["content-security-policy"]).toMatch(/default-src 'none'/);
  expect(page.headers.server).toBe("nginx");
  for (const file of ["chatmail.css", "chatmail.svg", "robots.txt"]) {
    expect(await ask(`/${file}`)).toMatchObject({ status: 200 });
  }
});

test("pages come compressed to who takes them so, and over TLS 1.2 too", async () => {
  expect((await ask("/", "GET", "", { "Accept-Encoding": "gzip" })).headers["content-encoding"]).toBe("gzip");
  const old = await LineSocket.open(pod.at(ports.https), { alpn: ["http/1.1"], maxVersion: "TLSv1.2" });
  old.write("GET / HTTP/1.0\r\n\r\n");
  expect(await old.line()).toBe("HTTP/1.1 200 OK");
  old.destroy();
});

test.each([
  ["/", "de-AT,de;q=0.9,en;q=0.8", "de", 200],
  ["/", "it,en;q=0.5,de;q=0.3", "en", 200],
  ["/", "en;q=0.5,fr;q=0.9", "fr", 200],
  ["/", "de;q=0", "en", 200],
  ["/privacy", "PT-br,pt;q=0.9", "pt", 200],
  ["/info", "zh-CN,zh;q=0.9", "zh-Hans", 200],
  ["/info", "zh-TW,uk;q=0.1", "uk", 200],
  ["/info?lang=fa", "de", "fa", 200],
  ["/info?lang=nonsense", "de", "de", 200],
  ["/fa/info?lang=de", "en", "fa", 200],
  ["/zh/", "", "zh-Hans", 200],
  ["/", "", "en", 200],
  ["/privacy", "de", "de", 200],
  ["/de/info", "en", "de", 200],
  ["/en/", "de", "en", 200],
  ["/index.html", "de", "de", 200],
  ["/info.html", "de", "de", 200],
  ["/privacy.html", "", "en", 200],
  ["/nothing", "de", "de", 404],
  ["/nothing?lang=tr", "de", "tr", 404],
])("%s for a browser that wants %j is in %s, %i", async (path, wanted, language, status) => {
  const page = await ask(path, "GET", "", { "Accept-Language": wanted });
  expect(page.status).toBe(status);
  expect(page.body).toContain(`<html lang="${language}" dir="${language === "fa" ? "rtl" : "ltr"}">`);
  expect(page.headers.vary).toContain("Accept-Language");
});

test("a page is asked for again each time; a browser that has changed its language gets another one", async () => {
  for (const path of ["/", "/info", "/info.html", "/de/info", "/nothing"]) {
    const { headers } = await ask(path);
    expect(headers).toMatchObject({ "cache-control": "no-cache", vary: "Accept-Encoding, Accept-Language" });
  }
  const { headers } = await ask("/info", "GET", "", { "Accept-Language": "de" });
  const since = { "If-Modified-Since": String(headers["last-modified"]) };
  expect(headers.etag).toBeUndefined();
  expect((await ask("/info", "GET", "", { ...since, "Accept-Language": "en" })).status).toBe(200);
  // of one language at its address, and in the way that all have in common, there is only one
  for (const path of ["/de/info", "/chatmail.css"]) {
    const first = await ask(path);
    expect(first.headers["cache-control"]).toBe("no-cache");
    expect((await ask(path, "GET", "", { "If-None-Match": String(first.headers.etag) })).status).toBe(304);
  }
  expect((await ask("/chatmail.css")).headers.vary).toBe("Accept-Encoding");
  expect((await ask("/join")).headers["cache-control"]).toBe("no-store");
});

test("mail programs find the servers, in the order in which to try them", async () => {
  const config = await ask("/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=a%40_web.test");
  expect(config).toMatchObject({ status: 200, headers: { "content-type": "text/xml; charset=utf-8" } });
  const servers = [...config.body.matchAll(/<port>(\d+)<\/port>\s*<socketType>(\w+)</g)];
  expect(servers.map(([, port, socket]) => `${port} ${socket}`)).toEqual([
    "993 SSL",
    "143 STARTTLS",
    "443 SSL",
    "465 SSL",
    "587 STARTTLS",
    "443 SSL",
  ]);
});

test("who sends mail to a self-signed relay need not verify it: there is no MTA-STS policy", async () => {
  expect(await ask("/.well-known/mta-sts.txt")).toMatchObject({ status: 404 });
});

test("www leads to the name without it, on the same path", async () => {
  const answer = await ask("/info?x", "GET", "", { Host: "www._web.test" });
  expect(answer).toMatchObject({ status: 301, headers: { location: "https://_web.test/info?x" } });
});

test.each(["/new", "/cgi-bin/newemail.py"])("POST %s gives an address and its password", async (path) => {
  const page = await ask(path, "POST");
  expect(page.status).toBe(200);
  const answer = JSON.parse(page.body) as { email: string; password: string };
  expect(answer.email).toMatch(/^[a-z0-9]{9}@_web\.test$/);
  expect(answer.password.length).toBeGreaterThan(9);
});

test("a body is not wanted", async () => {
  expect(await ask("/new", "POST", "x".repeat(10_000))).toMatchObject({ status: 413 });
});

test.each(["/nothing", "/../etc/passwd", "/%2e%2e/nginx.conf", "/new/more"])("%s is not there", async (path) => {
  const { status, body } = await ask(path);
  expect([400, 404]).toContain(status);
  expect(body).not.toMatch(/nginx\/\d/);
});

test.each(["_web.test", "www._web.test", "evil.example", "evil.example:8080", "[::1]"])(
  "port 80 asked as %s points to the domain and nowhere else",
  async (host) => {
    const { status, head } = await portEighty("/x?y", host);
    expect(status).toMatch(/^HTTP\/1\.1 301 /);
    expect(head).toContain("Location: https://_web.test/x?y");
  },
);

test("an authority finds the ACME account of the plan at any token, and all else on port 80 is as before", async () => {
  const challenge = "/.well-known/acme-challenge";
  const thumbprint = "t-_".padEnd(43, "T");
  const spec = ChatmailServerSpec.parse({ domain: "_web.test", accounts: { ...onAnyLoad, ...fewNewAddresses } });
  expect((await portEighty(`${challenge}/aB-_9`, "_web.test")).status).toMatch(/ 301 /);
  await pod.usePlan(planText(planOf(spec, { acmeThumbprint: thumbprint })));
  for (const host of ["_web.test", "www._web.test", "mta-sts._web.test"])
    expect(await portEighty(`${challenge}/aB-_9`, host)).toMatchObject({
      status: "HTTP/1.1 200 OK",
      body: `aB-_9.${thumbprint}`,
    });
  for (const path of ["/", "/a/b", "/a.b", "/a%0d%0aX:%20y", ""])
    expect((await portEighty(challenge + path, "_web.test")).status).toMatch(/ 301 /);
  // an edge may send all of port 80 to 443
  for (const host of ["_web.test", "www._web.test", "mta-sts._web.test"])
    expect(await askHttps(pod, { path: `${challenge}/aB-_9`, site: host })).toMatchObject({
      status: 200,
      body: `aB-_9.${thumbprint}`,
    });
  expect(await ask(`${challenge}/a.b`)).toMatchObject({ status: 404 });
  await pod.usePlan(planText(planOf(spec)));
  expect((await portEighty(`${challenge}/aB-_9`, "_web.test")).status).toMatch(/ 301 /);
  expect(await ask(`${challenge}/aB-_9`)).toMatchObject({ status: 404 });
});

test("a name whose certificate no browser accepts asks for no strict transport: the page could not be opened again", async () => {
  for (const path of ["/", "/nothing", "/new"])
    expect((await ask(path)).headers).not.toHaveProperty("strict-transport-security");
  expect((await ask("/", "GET", "", { Host: "www._web.test" })).headers).not.toHaveProperty(
    "strict-transport-security",
  );
});

test.each([
  ["X-Forwarded-Host", "evil.example"],
  ["Forwarded", "host=evil.example"],
  ["X-Original-Host", "evil.example"],
  ["Host", "evil.example"],
])("%s of a client changes no page and no link", async (header, value) => {
  for (const path of ["/", "/new", "/i/k3v9-k3v9", "/nothing"]) {
    const page = await ask(path, "GET", "", { [header]: value });
    expect(`${JSON.stringify(page.headers)} ${page.body}`).not.toContain("evil.example");
    if (path !== "/new") expect(page.body).toBe((await ask(path)).body);
  }
});

test("who asks for addresses without end is slowed down", async () => {
  const client = connect(`https://${pod.host}`, { rejectUnauthorized: false });
  const post = () =>
    new Promise<number>((resolve, reject) => {
      const asking = client.request({ ":path": "/new", ":method": "POST" });
      asking.on("response", (headers) => resolve(Number(headers[":status"])));
      asking.on("error", reject);
      asking.resume().end();
    });
  // all of them on one connection: nginx reads them together, however slow this machine is
  const statuses = await Promise.all(Array.from({ length: 100 }, post));
  client.close();
  expect(statuses).toContain(200);
  expect(statuses).toContain(503);
});

test("no visit is written down, whatever came of it", async () => {
  expect(await pod.logs("web")).not.toMatch(/GET|POST|HTTP\/|privacy|newemail|_web/);
});

describe("texts of one's own", () => {
  let own: RelayPod;
  beforeAll(async () => {
    own = await startRelayPod({ domain: "_texts.test", spec: { accounts: { registration: "Invite" } } });
    const spec = ChatmailServerSpec.parse({ domain: "_texts.test", accounts: { registration: "Invite" } });
    const texts = {
      de: { "index.title": "Servus <b>beinand</b>" },
      it: { "language.name": "Italiano", "notValid.title": "Invito non valido", "missing.title": "Non c’è" },
    };
    await own.usePlan(planText(planOf(spec, { texts })));
  });
  afterAll(() => own?.remove());

  const askIn = (path: string, language: string) => askHttps(own, { path, headers: { "Accept-Language": language } });

  test("take the place of the built-in ones, as text", async () => {
    expect((await askIn("/", "de")).body).toContain("<h1>Servus &lt;b&gt;beinand&lt;/b&gt;</h1>");
    expect((await askIn("/", "de")).body).toContain("Nur mit Einladung");
  });

  test("make a language that browsers get, from nginx and from the daemon", async () => {
    for (const [path, says] of [
      ["/nothing", "Non c’è"],
      ["/i/nothing", "Invito non valido"],
      ["/info", "How it works"],
      ["/it/privacy", "Privacy"],
    ] as const) {
      const { body } = await askIn(path, "it-CH,de;q=0.5");
      expect(body, path).toContain('<html lang="it" dir="ltr">');
      expect(body, path).toContain(says);
    }
    expect((await askIn("/i/nothing?lang=ru", "it")).body).toContain('<html lang="ru" dir="ltr">');
    expect((await askIn("/fr/", "it")).body).toContain('<a href="/it/" hreflang="it" lang="it" dir="ltr">Italiano</a>');
  });
});

describe("own pages", () => {
  let own: RelayPod;
  beforeAll(async () => {
    own = await startRelayPod({
      domain: "own.web.example",
      spec: { website: { configMapName: "own" }, accounts: { registration: "Invite" } },
      ownPages: { "index.html": "<!doctype html><title>own</title>", "more.de.html": "mehr" },
      given: { invites: { link: "https://own.web.example/i/k3v9-k3v9" } },
    });
  });
  afterAll(() => own?.remove());

  const askOwn = (path: string, headers: Record<string, string> = {}) => askHttps(own, { path, headers });

  test("stand in the place of the built-in ones", async () => {
    expect((await askOwn("/")).body).toContain("<title>own</title>");
    for (const path of ["/more", "/more.html", "/more.de.html"]) {
      expect(await askOwn(path, { "Accept-Language": "de" })).toMatchObject({ status: 200, body: "mehr" });
    }
    for (const path of ["/privacy", "/en/", "/de/info"]) expect(await askOwn(path)).toMatchObject({ status: 404 });
    expect((await askOwn("/")).headers["content-security-policy"]).toContain("style-src 'self' 'unsafe-inline'");
  });

  test("come by HTTPS alone from now on, once a browser has seen the real certificate", async () => {
    const strict = { "strict-transport-security": "max-age=31536000" };
    for (const path of ["/", "/nothing", "/i/k3v9-k3v9", "/.well-known/mta-sts.txt"])
      expect((await askOwn(path)).headers).toMatchObject(strict);
    const www = await askOwn("/x", { Host: "www.own.web.example" });
    expect(www).toMatchObject({ status: 301, headers: { location: "https://own.web.example/x", ...strict } });
  });

  test("and what clients and servers ask for is there as before", async () => {
    const policy = await askOwn("/.well-known/mta-sts.txt", { Host: "mta-sts.own.web.example" });
    expect(policy.body).toBe("version: STSv1\nmode: enforce\nmx: own.web.example\nmax_age: 2419200\n");
    // RFC 8461 §3.2
    expect(policy.headers["content-type"]).toMatch(/^text\/plain/);
    expect((await askOwn("/.well-known/autoconfig/mail/config-v1.1.xml")).body).toContain("own.web.example");
    expect((await askOwn("/new?i=k3v9-k3v9")).headers.location).toBe(
      "dcaccount:https://own.web.example/new?i=k3v9-k3v9",
    );
    const invite = await askOwn("/i/k3v9-k3v9");
    expect(invite.status).toBe(200);
    expect(invite.body).toContain('href="dcaccount:https://own.web.example/new?i=k3v9-k3v9"');
    // the menu of the built-in pages would lead nowhere
    expect(invite.body).not.toContain("/en/privacy");
    expect((await askOwn("/nothing")).body).toContain("Page not found");
    expect(await askOwn("/chatmail.css")).toMatchObject({ status: 200 });
  });
});
