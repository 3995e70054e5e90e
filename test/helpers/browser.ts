/** A real browser without a window: Debian's Chromium, driven by playwright, with axe for accessibility. */
import { existsSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import axe from "axe-core";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";

/** Where screenshots are put for people to look at. */
export const screenshotFolder = process.env.SCREENSHOTS || join(tmpdir(), "chatmail-screenshots");

const program = process.env.CHROMIUM || "/usr/bin/chromium";

/** Why there is no browser here, if there is none. */
export const noBrowser = existsSync(program) ? undefined : `${program} is missing: apt-get install chromium`;

export async function startBrowser(hosts: Readonly<Record<string, string>>): Promise<Browser> {
  mkdirSync(screenshotFolder, { recursive: true });
  const rules = Object.entries(hosts).map(([name, address]) => `MAP ${name} ${address}`);
  return chromium.launch({
    executablePath: program,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      `--host-resolver-rules=${rules.join(",")}`,
    ],
  });
}

export const windows = {
  phone: { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true },
  desktop: { viewport: { width: 1280, height: 800 } },
} as const;
export type WindowName = keyof typeof windows;

export interface Look {
  window: WindowName;
  scheme: "light" | "dark";
  language: string;
}

export function openContext(browser: Browser, { window, scheme, language }: Look): Promise<BrowserContext> {
  return browser.newContext({
    ...windows[window],
    colorScheme: scheme,
    locale: language,
    ignoreHTTPSErrors: true,
    javaScriptEnabled: true,
  });
}

export interface Violation {
  id: string;
  help: string;
  where: string[];
}

/** What axe finds wrong, all its rules and its best practices. */
export async function violations(page: Page): Promise<Violation[]> {
  await page.evaluate(axe.source);
  const found = await page.evaluate(async () => {
    const run = (globalThis as unknown as { axe: typeof axe }).axe.run;
    const { violations } = await run();
    return violations.map(({ id, help, nodes }) => ({ id, help, where: nodes.map(({ html }) => html) }));
  });
  return found;
}

/** Whether something sticks out of the window sideways. */
export function isTooWide(page: Page): Promise<boolean> {
  return page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth");
}
