/**
 * The pages in a real browser: phone and desktop, light and dark, every language; nothing but the
 * relay is asked, and axe finds nothing.
 */
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tagOf } from "../../src/pod/pages/language.ts";
import {
  isTooWide,
  type Look,
  noBrowser,
  openContext,
  screenshotFolder,
  startBrowser,
  violations,
} from "../helpers/browser.ts";
import { type RelayPod, startRelayPod } from "../helpers/relay-pod.ts";

const privacy = {
  postal: "Verein Neun e. V.\nNeungasse 9\n79098 Freiburg",
  mail: "post@nine.example.org",
  dataOfficer: "Dr. Ada Beispiel, datenschutz@nine.example.org",
  supervisor: "Der Landesbeauftragte für den Datenschutz und die Informationsfreiheit Baden-Württemberg",
};
/** A named relay, open; one on a name with _, by invitation; one on an address. */
const hosts = { open: "nine.example.org", invited: "_invited.example.org", literal: "192.0.2.9" } as const;
type Host = keyof typeof hosts;
const token = "k3v9-k3v9-k3v9";

const pods = {} as Record<Host, RelayPod>;
let browser: Browser;
if (noBrowser) console.warn(`skipped: ${noBrowser}`);
beforeAll(async () => {
  if (noBrowser) return;
  const started = await Promise.all([
    startRelayPod({ domain: hosts.open, spec: { privacy } }),
    startRelayPod({
      domain: hosts.invited,
      spec: { accounts: { registration: "Invite" } },
      given: { invites: { link: token } },
    }),
    startRelayPod({ domain: hosts.literal }),
  ]);
  for (const [index, name] of (Object.keys(hosts) as Host[]).entries()) {
    const pod = started[index];
    if (pod) pods[name] = pod;
  }
  browser = await startBrowser(
    pods.open,
    Object.fromEntries((Object.keys(hosts) as Host[]).map((name) => [hosts[name], pods[name].host])),
  );
  if (screenshotFolder) console.log(`screenshots: ${screenshotFolder}`);
});
afterAll(async () => {
  await browser?.close();
  await Promise.all(Object.values(pods).map((pod) => pod.remove()));
});

/** A page of a relay, with all that was asked for on the way. */
async function open(context: BrowserContext, host: Host, path: string) {
  const page = await context.newPage();
  const asked: string[] = [];
  const said: string[] = [];
  const failed: string[] = [];
  page.on("request", (request) => asked.push(request.url()));
  page.on("requestfailed", (request) => failed.push(`${request.url()}: ${request.failure()?.errorText}`));
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(String(error)));
  const response = await page.goto(`https://${hosts[host]}${path}`);
  return { page, asked, said, failed, status: response?.status() };
}

/** For people to look at, where SCREENSHOTS says where to put it: no test depends on one. */
async function picture(page: Page, name: string) {
  if (screenshotFolder) await page.screenshot({ path: join(screenshotFolder, `${name}.png`), fullPage: true });
}

/** Of window, scheme and language each pair of values comes once. */
const looks: Look[] = [
  { window: "phone", scheme: "light", language: "en-GB" },
  { window: "phone", scheme: "dark", language: "de-DE" },
  { window: "desktop", scheme: "light", language: "de-DE" },
  { window: "desktop", scheme: "dark", language: "en-GB" },
];
const views: readonly { name: string; host: Host; path: string; status: number }[] = [
  { name: "index", host: "open", path: "/", status: 200 },
  { name: "info", host: "open", path: "/info", status: 200 },
  { name: "privacy", host: "open", path: "/privacy", status: 200 },
  { name: "missing", host: "open", path: "/nothing-here", status: 404 },
  { name: "by-invitation", host: "invited", path: "/", status: 200 },
  { name: "invite", host: "invited", path: `/i/${token}`, status: 200 },
  { name: "invite-not-valid", host: "invited", path: "/i/nonsense-nonsense", status: 404 },
  { name: "unnamed", host: "invited", path: "/privacy", status: 200 },
  { name: "literal", host: "literal", path: "/", status: 200 },
  { name: "join", host: "literal", path: "/join", status: 200 },
];

describe.skipIf(noBrowser !== undefined).each(looks)("$window, $scheme, $language", (look) => {
  let context: BrowserContext;
  beforeAll(async () => {
    if (noBrowser) return;
    context = await openContext(browser, look);
  });
  afterAll(() => context?.close());

  test.each(views)("$name", async ({ name, host, path, status: expected }) => {
    const { page, asked, said, failed, status } = await open(context, host, path);
    expect(failed).toEqual([]);
    const language = look.language.slice(0, 2);
    await picture(page, `${name}-${look.window}-${look.scheme}-${language}`);
    expect(status).toBe(expected);
    expect(await page.locator("html").getAttribute("lang")).toBe(language);
    expect(await isTooWide(page)).toBe(false);
    expect(await violations(page)).toEqual([]);
    expect(asked.length).toBeGreaterThan(1);
    expect(new Set(asked.map((url) => new URL(url).origin))).toEqual(new Set([`https://${hosts[host]}`]));
    // a browser tells of a document that is not there, and of nothing else
    expect(said.filter((text) => status === 200 || !text.includes("404"))).toEqual([]);
    await page.close();
  });
});

/** As a browser of that country has it. */
const browsers = ["es-MX", "fr-FR", "pt-BR", "ru-RU", "uk-UA", "tr-TR", "fa-IR", "zh-CN"] as const;
/** In every language; the rest is the same for all. */
const translated = [
  { window: "phone", scheme: "light", names: ["index", "info", "privacy", "invite"] },
  { window: "desktop", scheme: "dark", names: ["index", "privacy"] },
] as const;

describe.skipIf(noBrowser !== undefined).each(browsers)("%s", (language) => {
  const code = language.slice(0, 2);

  test.each(translated)("$window, $scheme", async ({ window, scheme, names }) => {
    const context = await openContext(browser, { window, scheme, language });
    try {
      for (const { name, host, path } of views.filter(({ name }) => (names as readonly string[]).includes(name))) {
        const { page, failed, status } = await open(context, host, path);
        await picture(page, `${name}-${window}-${scheme}-${code}`);
        expect({ failed, status }, name).toEqual({ failed: [], status: 200 });
        expect(await page.locator("html").getAttribute("lang")).toBe(tagOf(code));
        expect(await page.locator("html").getAttribute("dir")).toBe(code === "fa" ? "rtl" : "ltr");
        expect(await isTooWide(page), name).toBe(false);
        expect(await violations(page), name).toEqual([]);
        await page.close();
      }
    } finally {
      await context.close();
    }
  });
});

describe.skipIf(noBrowser !== undefined)("going around", () => {
  let context: BrowserContext;
  beforeAll(async () => {
    if (noBrowser) return;
    context = await openContext(browser, { window: "phone", scheme: "light", language: "it-IT" });
  });
  afterAll(() => context?.close());

  test.each([
    { path: "/info", host: "open", there: "/fa/info", status: 200 },
    { path: "/de/privacy", host: "open", there: "/fa/privacy", status: 200 },
    { path: "/", host: "invited", there: "/fa/", status: 200 },
    { path: "/nothing/here?x=1", host: "open", there: "/nothing/here?lang=fa", status: 404 },
    { path: `/i/${token}`, host: "invited", there: `/i/${token}?lang=fa`, status: 200 },
    { path: "/join", host: "literal", there: "/join?lang=fa", status: 200 },
  ] as const)(
    "the language may be changed at $path, and it is the same page",
    async ({ path, host, there, status }) => {
      const { page } = await open(context, host, path);
      const [response] = await Promise.all([
        page.waitForResponse((each) => each.url() === `https://${hosts[host]}${there}`),
        page.getByRole("link", { name: "فارسی" }).click(),
      ]);
      expect(response.status()).toBe(status);
      await page.waitForURL(`https://${hosts[host]}${there}`);
      expect(await page.locator("html").getAttribute("dir")).toBe("rtl");
      await page.close();
    },
  );

  test("a page that is read from the right is the mirror image of one that is read from the left", async () => {
    const desktop = await openContext(browser, { window: "desktop", scheme: "light", language: "fa-IR" });
    const { page } = await open(desktop, "open", "/");
    const left = async (selector: string) => (await page.locator(selector).first().boundingBox())?.x ?? 0;
    expect(await left(".brand")).toBeGreaterThan(await left("header nav"));
    expect(await left(".join > div")).toBeGreaterThan(await left(".join figure"));
    const style = (property: string) =>
      page.evaluate(`getComputedStyle(document.querySelector(".steps li"), "::before").${property}`);
    expect(await style("right")).toBe("0px");
    expect(await page.evaluate('getComputedStyle(document.querySelector("h1")).letterSpacing')).toBe("normal");
    await desktop.close();
  });

  test("who asks for none of the languages gets English, and stays in the one that they choose", async () => {
    const { page } = await open(context, "open", "/");
    const language = () => page.locator("html").getAttribute("lang");
    expect(await language()).toBe("en");
    await page.getByRole("link", { name: "Deutsch" }).click();
    expect(await language()).toBe("de");
    for (const name of ["So funktioniert es", "Datenschutz", "Mitmachen"]) {
      await page.getByRole("navigation").getByRole("link", { name }).click();
      expect(await language()).toBe("de");
      expect(await page.getByRole("navigation").getByRole("link", { name }).getAttribute("aria-current")).toBe("page");
    }
    expect(page.url()).toBe("https://nine.example.org/de/");
    await page.close();
  });

  test("the button leads to Delta Chat, and can be reached and seen with the keyboard alone", async () => {
    const { page } = await open(context, "open", "/");
    const button = page.getByRole("link", { name: "Open in Delta Chat" });
    expect(await button.getAttribute("href")).toBe("dcaccount:nine.example.org");
    const focused = () => page.evaluate("document.activeElement?.className");
    for (let presses = 0; presses < 20 && (await focused()) !== "button"; presses++) await page.keyboard.press("Tab");
    expect(await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")).toBe("solid");
    await page.close();
  });

  test("every link to a page of the relay leads somewhere", async () => {
    const { page } = await open(context, "open", "/");
    const links = await page
      .locator("a[href^='/']")
      .evaluateAll((nodes) => nodes.map((node) => node.getAttribute("href")));
    for (const link of links) {
      const there = await open(context, "open", link ?? "");
      expect(there.status, link ?? "").toBe(200);
      await there.page.close();
    }
    await page.close();
  });

  test("without script all is the same", async () => {
    const plain = await browser.newContext({ ignoreHTTPSErrors: true, javaScriptEnabled: false, locale: "de" });
    const { page } = await open(plain, "open", "/");
    expect(await page.locator("h1").textContent()).toBe("Chatten, ohne sich preiszugeben");
    expect(await page.locator("figure svg").isVisible()).toBe(true);
    await plain.close();
  });

  test("letters twice as large still fit on a phone", async () => {
    for (const path of ["/", "/info", "/privacy"]) {
      const { page } = await open(context, "open", path);
      await page.evaluate('document.documentElement.style.fontSize = "200%"');
      expect(await isTooWide(page), path).toBe(false);
      await page.close();
    }
  });
});
